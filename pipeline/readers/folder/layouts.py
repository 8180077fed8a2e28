"""The layouts that are known, and which of them a folder has."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from pipeline.readers.folder import open3d_log, own, record3d, scanner_app, seven_scenes, tum
from pipeline.readers.folder.recording import Recording


class Layout(Protocol):
    """A module that reads one layout."""

    NAME: str  # what a user finds in such a folder

    def select(self, names: Mapping[str, Path]) -> dict[str, Path]:
        """The files of this layout among those of a folder; empty where it is another."""

    def read(self, files: Mapping[str, Path]) -> Recording:
        """What the files hold. Raises `BadInput`."""


LAYOUTS: tuple[Layout, ...] = (own, tum, seven_scenes, record3d, scanner_app, open3d_log)


def recognise(names: Mapping[str, Path]) -> tuple[Layout, dict[str, Path]] | None:
    """The layout of files that are named by their path in a folder, and its files."""
    for layout in LAYOUTS:
        if files := layout.select(names):
            return layout, files
    return None
