"""The known layouts, one module each, and which of them a folder has."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

from pipeline.readers.folder.layouts import (
    arkit_scenes,
    colmap,
    flat,
    open3d_log,
    own,
    polycam,
    record3d,
    scanner_app,
    scannet_pp,
    seven_scenes,
    stray,
    trajectory,
    transforms,
    tum,
)
from pipeline.readers.folder.recording import Recording


class Layout(Protocol):
    """A module that reads one layout."""

    NAME: str  # for messages: what a user finds in such a folder
    PARTS: dict[str, str]  # its parts in words -> a regular expression of one of their files

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
    polycam,
    stray,
    arkit_scenes,
    scannet_pp,
    trajectory,
    colmap,
    flat,
)


# Files of a layout that may lie beside the folder of a scan, or further out than its frames.
OUTER: tuple[str, ...] = tuple(n for each in LAYOUTS for n in getattr(each, "OUTER", ()))


def find_layout(names: Mapping[str, Path]) -> tuple[Layout, dict[str, Path]] | None:
    """The layout of files named by their path in a folder, with its files; None if unknown."""
    for layout in LAYOUTS:
        if files := layout.select(names):
            return layout, files
    return None


def titles() -> str:
    """Whose layouts are known, without their files."""
    found = ((layout.NAME, re.search(r"\(([^()]*)\)$", layout.NAME)) for layout in LAYOUTS)
    return "; ".join(match[1] if match else name for name, match in found)


def lacking(names: Iterable[str]) -> tuple[int, str, list[str]] | None:
    """Of a folder of no known layout: how many parts of the nearest layout are there, the name of
    that layout, and the parts that it lacks; None where no part of any is there.
    """
    counted = []
    literal = {re.escape(name) for name in names}  # a file that has just one name says most
    for layout in LAYOUTS:
        missing = [
            part
            for part, pattern in layout.PARTS.items()
            if not any(re.fullmatch(pattern, name, re.I) for name in names)
        ]
        there = len(layout.PARTS) - len(missing)
        named = any(pattern in literal for pattern in layout.PARTS.values())
        counted.append((there, named, layout.NAME, missing))
    there, _, name, missing = max(counted, key=lambda each: each[:2])
    return (there, name, missing) if there and missing else None
