"""The known layouts, and which of them a folder has."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from pipeline.readers.folder import (
    open3d_log,
    own,
    record3d,
    scanner_app,
    seven_scenes,
    trajectory,
    transforms,
    tum,
)
from pipeline.readers.folder.recording import Recording


class Layout(Protocol):
    """A module that reads one layout."""

    NAME: str  # for messages: what a user finds in such a folder

    def select(self, names: Mapping[str, Path]) -> dict[str, Path]:
        """The files of this layout among those of a folder; empty if it has another layout."""

    def read(self, files: Mapping[str, Path]) -> Recording:
        """The recording in the files. Raises `BadInput`."""


LAYOUTS: tuple[Layout, ...] = (
    own,
    tum,
    seven_scenes,
    record3d,
    scanner_app,
    open3d_log,
    transforms,
    trajectory,
)


# Files of a layout that may lie beside the folder of a scan, or further out than its frames.
OUTER: tuple[str, ...] = tuple(n for each in LAYOUTS for n in getattr(each, "OUTER", ()))


def find_layout(names: Mapping[str, Path]) -> tuple[Layout, dict[str, Path]] | None:
    """The layout of files named by their path in a folder, with its files; None if unknown."""
    for layout in LAYOUTS:
        if files := layout.select(names):
            return layout, files
    return None
