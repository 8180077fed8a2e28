"""The frames of a ScanNet scan, whichever way they lie on disk."""

from collections.abc import Mapping
from pathlib import Path

from pipeline.scan import RawFrames
from pipeline.scannet.exported import ExportedFrames
from pipeline.scannet.sens import SensFile


def open_frames(files: Mapping[str, Path]) -> RawFrames:
    """Open the group "frames" of `pipeline.scannet.files.scan_files`. Raises `BadInput`."""
    if "sens" in files:
        return SensFile(files["sens"])
    return ExportedFrames(files)
