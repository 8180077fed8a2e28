"""The frames of a ScanNet scan: a `.sens` file, or exported folders."""

from collections.abc import Mapping
from pathlib import Path

from pipeline.readers.scannet.exported import ExportedFrames
from pipeline.readers.scannet.sens import SensFile
from pipeline.scan import RawFrames


def open_frames(files: Mapping[str, Path]) -> RawFrames:
    """Open the group "frames" of `pipeline.readers.scannet.files.scan_files`. Raises `BadInput`."""
    if "sens" in files:
        return SensFile(files["sens"])
    return ExportedFrames(files)
