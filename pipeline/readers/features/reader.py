"""Files of features and of their text embeddings, checked before they are used."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unicodedata import category

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import BadInput
from pipeline.foreign import one_line
from pipeline.readers.features.stored import open_npy, open_zarr, read_npz

CONTRACT = "see pipeline/readers/features/__init__.py for what must be there"
TEXT = "text.npz"
_ROWS = 16  # of a grid that are converted to float32 at a time


@dataclass(frozen=True)
class Texts:
    """The text embeddings that belong to some features."""

    path: Path
    classes: tuple[str, ...]
    embedding: NDArray[np.float32]  # (K, d) of unit length


@dataclass(frozen=True)
class Features:
    """The features of one scan; a frame is read when it is needed."""

    folder: Path
    frames: Mapping[int, Path]  # by frame id
    width: int  # d, that of the texts

    def shape(self, frame_id: int) -> tuple[int, int]:
        """Rows and columns of a frame's grid. Raises as `read`."""
        height, width, _ = self._open(frame_id).shape
        return height, width

    def read(self, frame_id: int) -> NDArray[np.float16]:
        """The grid (h, w, d) of a frame, of unit vectors and zeros.

        Raises `BadInput` for a frame without a file, and for one that is not as the contract says.
        """
        return self._read(frame_id, np.float16)

    def exact(self, frame_id: int) -> NDArray[np.float32]:
        """The same before it is rounded."""
        return self._read(frame_id, np.float32)

    def _read(self, frame_id: int, kind: type) -> NDArray[Any]:
        stored, path = self._open(frame_id), self.frames[frame_id]
        grid = np.empty(stored.shape, kind)
        try:
            whole = stored if isinstance(stored, np.ndarray) else np.asarray(stored[...])
        except Exception as error:  # many kinds, from several packages
            raise _unreadable(path, error) from error
        for first in range(0, len(grid), _ROWS):
            rows = slice(first, first + _ROWS)
            grid[rows] = _unit(whole[rows].astype(np.float32), path)
        if not grid.any():
            raise BadInput(path, "has no vector but zeros", "make it again")
        return grid

    def _open(self, frame_id: int) -> Any:
        path = self.frames.get(frame_id)
        if path is None:
            raise BadInput(self.folder, f"has no features of frame {frame_id}", CONTRACT)
        try:
            found: Any = open_zarr(path) if path.suffix == ".zarr" else open_npy(path)
        except Exception as error:  # many kinds, from several packages
            raise _unreadable(path, error) from error
        if (
            found.ndim != 3
            or 0 in found.shape
            or found.dtype.newbyteorder("=")
            not in (
                np.float16,
                np.float32,
            )
        ):
            what = f"is {found.dtype} {found.shape}, not float16 or float32 (h, w, d)"
            raise BadInput(path, what, CONTRACT)
        if found.shape[2] != self.width:
            what = f"has vectors of {found.shape[2]} numbers, and the texts have {self.width}"
            raise BadInput(path, what, f"take features and {TEXT} of the same model")
        return found


def open_features(folder: Path, scan: str, texts: Texts) -> Features:
    """The features of a scan. Raises `BadInput` for names that are no frame ids, and duplicates."""
    frames: dict[int, Path] = {}
    for path in _frames(folder, scan):
        if not (path.stem.isascii() and path.stem.isdecimal()):
            raise BadInput(path, "is not named by the id of a frame", CONTRACT)
        if int(path.stem) in frames:
            raise BadInput(path, f"is a duplicate of frame {int(path.stem)}", "remove one")
        frames[int(path.stem)] = path
    return Features(folder / scan, frames, texts.embedding.shape[1])


def scan_files(folder: Path, scan: str) -> dict[str, Path]:
    """All files of a scan's features by their name in its folder. Raises `BadInput` for none."""
    files = [
        file
        for path in _frames(folder, scan)
        for file in (sorted(path.rglob("*")) if path.is_dir() else [path])
        if file.is_file()
    ]
    if not files:
        raise BadInput(folder / scan, "has no features", CONTRACT)
    return {str(file.relative_to(folder / scan)): file for file in files}


def read_texts(folder: Path) -> Texts:
    """The texts that belong to the features in `folder`. Raises `BadInput`."""
    path = folder / TEXT
    try:
        embedding, classes = read_npz(path, ("embedding", "classes"))
    except Exception as error:  # many kinds, from several packages
        raise _unreadable(path, error) from error
    if embedding.dtype.kind != "f" or embedding.ndim != 2 or 0 in embedding.shape:
        what = f"has the embedding {embedding.dtype} {embedding.shape}, not float (K, d)"
        raise BadInput(path, what, CONTRACT)
    if classes.dtype.kind != "U" or classes.shape != embedding.shape[:1]:
        what = f"names its {len(embedding)} rows by {classes.dtype} {classes.shape}"
        raise BadInput(path, what, "let `classes` be an array of text, a name for each row")
    names = _names(classes, path)
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise BadInput(path, f"has two rows for {twice}", "leave one row for each class")
    unit = _unit(embedding.astype(np.float32), path)
    if not unit.any(axis=1).all():
        raise BadInput(path, "has a row of zeros", "give each class its embedding")
    owner: dict[bytes, str] = {}
    for name, row in zip(names, unit, strict=True):
        if (other := owner.setdefault(row.tobytes(), name)) != name:
            what = f"has the same embedding for {other} and {name}"
            raise BadInput(path, what, "give each class its own")
    return Texts(path, names, unit)


def _frames(folder: Path, scan: str) -> list[Path]:
    found = (folder / scan).glob("*") if (folder / scan).is_dir() else []
    shown = (path for path in found if not path.name.startswith("."))  # no ._0.npy of macOS
    return sorted(path for path in shown if path.suffix in (".npy", ".zarr"))


def _names(classes: NDArray[Any], path: Path) -> tuple[str, ...]:
    try:
        names = tuple(str(name) for name in classes)
    except ValueError as error:  # a number that is no character
        raise _unreadable(path, error) from error
    for name in names:
        if not name.strip() or any(category(c) in ("Cc", "Cs") for c in name):
            raise BadInput(path, f"names a class {name!r}", "name each class by a word")
    return names


def _unit(vectors: NDArray[np.float32], path: Path) -> NDArray[np.float32]:
    """Vectors (..., d) at unit length, or zeros."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True).astype(np.float32)
    if not np.isfinite(length).all():
        raise BadInput(path, "has numbers that are not finite", "make it again")
    length[length == 0] = 1
    return vectors / length


def _unreadable(path: Path, error: Exception) -> BadInput:
    return BadInput(path, f"cannot be read ({one_line(error)})", CONTRACT)
