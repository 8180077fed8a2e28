"""Raw files -> frames, cloud and labels of a scan: one reader per way in which scans lie on disk.

A reader is a package `pipeline/readers/<reader>/` with four modules, or one module
`pipeline/readers/<reader>.py` with the content of all four:

files   `scan_files(raw, scan)`, `check(raw, scan, split, labels)`, `recognise(path)`, and as plain
        data `KIND` (what messages call a scan), `HAS_LABELS`, `PROTOCOL` (of its scores, or None)
        and `SIMULATOR` (the module that writes such scans, or None).
        Optional: `find_scans(raw)` where no csv file lists the scans, `check_classes(raw, classes)`
        where labels of some classes need a file for all scans, `read_own_tags(raw, scans, classes)`
        where scans bring their own scene tags, `IS_FALLBACK = True` for a reader that
        recognises any folder, and `POINTS_ONLY`, the module whose `read_points_only(files,
        superpoints)` reads a `Cloud`, with superpoints only if these are asked for, for a trained
        network where `read_cloud` needs more files than that.
frames  `open_frames(files)`, a `RawFrames`
cloud   `read_cloud(files)`, a `Cloud`
labels  `read_labels(files, classes)`, `Labels`

Readers are found by name, and this package imports none until it is asked to recognise a scan.
"""

import ast
import os
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.errors import BadInput

GROUPS = ("files", "frames", "cloud", "labels")

FOLDER = Path(__file__).parent


class Recognised(NamedTuple):
    """A scan that was found by the path of its folder."""

    reader: str
    raw: Path  # the root below which the reader finds the scan
    scan: str


def names() -> list[str]:
    """The names of all readers, sorted."""
    return list(_names(FOLDER))


@cache
def _names(folder: Path) -> tuple[str, ...]:
    """Looked for once: a plan asks for each of thousands of scans."""
    packages = [path.parent.name for path in folder.glob("*/files.py")]
    modules = [path.stem for path in folder.glob("*.py") if _is_reader(path)]
    return tuple(sorted(packages + modules))


def module_name(reader: str, group: str) -> str:
    """The module of a reader for `group`, one of `GROUPS`.

    Raises `BadInput` with the known names where there is no such reader.
    """
    if reader not in names():
        raise BadInput(f"reader {reader!r}", "is unknown", f"use one of {', '.join(names())}")
    single = (FOLDER / f"{reader}.py").is_file()
    return f"{__name__}.{reader}" + ("" if single else f".{group}")


def load(reader: str, group: str) -> Any:
    """The module of a reader for `group`, imported. Raises `BadInput` as `module_name`."""
    return import_module(module_name(reader, group))


def recognise(path: Path) -> Recognised | None:
    """The reader of the scan in the folder `path`, with the scan's root and name; None for none.

    Readers that accept any folder are asked last.
    """
    readers = {name: load(name, "files") for name in names()}
    for name in sorted(readers, key=lambda name: getattr(readers[name], "IS_FALLBACK", False)):
        if found := readers[name].recognise(Path(os.path.abspath(path))):  # a link keeps its name
            return Recognised(name, *found)
    return None


def _is_reader(path: Path) -> bool:
    """Whether a single module is a reader, not a helper of several: it defines `scan_files`."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return any(isinstance(each, ast.FunctionDef) and each.name == "scan_files" for each in body)
