"""The frames of a folder in any known layout."""

from collections.abc import Mapping
from pathlib import Path

from pipeline.errors import BadInput
from pipeline.readers.folder.layouts import find_layout
from pipeline.readers.folder.recording import FolderFrames

PACKAGES = ("lzfse", "numpy", "openexr", "pillow", "scipy")


def open_frames(files: Mapping[str, Path]) -> FolderFrames:
    """Open the group "frames" of `pipeline.readers.folder.files.scan_files`. Raises `BadInput`."""
    found = find_layout(files)
    if found is None:
        raise BadInput("frames", "there is no frame of a known layout", "give a folder of frames")
    layout, own = found
    return FolderFrames(layout.read(own))
