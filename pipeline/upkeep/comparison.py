"""How two entries that should be equal differ: byte for byte, or beyond a given cosine."""

import hashlib
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open

from pipeline.store import groups
from pipeline.upkeep import changes

_BLOCK = 1 << 16  # rows that are compared at a time


def differences(stored: Path, made: Path, cosine: float | None = None) -> list[str]:
    """What differs between two entries, a line per array; empty where they are equal.

    Without `cosine`, all parts must have equal bytes. With it, arrays must have equal shapes and
    dtypes. Arrays of floats are compared row by row (along the last axis; a vector value by value):
    both the cosine of two rows and the ratio of their lengths, the shorter to the longer, must be
    at least `cosine`. All else must be equal.
    """
    if cosine is None and _parts(stored) == _parts(made):
        return []
    (old, old_texts), (new, new_texts) = _read(stored), _read(made)
    lines = [f"{name}: only in the stored entry" for name in sorted(old.keys() - new.keys())]
    lines += [f"{name}: only in the new entry" for name in sorted(new.keys() - old.keys())]
    for name in sorted(old.keys() & new.keys()):
        if line := of_arrays(old[name], new[name], cosine):
            lines.append(f"{name}: {line}")
    lines += changes.of_values("texts", old_texts, new_texts)
    if cosine is None and not lines:
        one, other = _parts(stored), _parts(made)
        apart = sorted(p for p in one.keys() | other.keys() if one.get(p) != other.get(p))
        lines = [f"{part}: other bytes for equal values" for part in apart]
    return lines


def of_arrays(old: NDArray, new: NDArray, cosine: float | None = None) -> str:
    """How two arrays differ, in a line; "" where they do not. `cosine` as for `differences`."""
    if old.shape != new.shape or old.dtype != new.dtype:
        return f"{old.dtype} {old.shape} -> {new.dtype} {new.shape}"
    floats = np.issubdtype(old.dtype, np.floating)
    if cosine is not None and floats:
        rows = old.size // old.shape[-1] if old.ndim > 1 and old.size else old.size
        if not rows:
            return ""
        similarity = _similarity(old.reshape(rows, -1), new.reshape(rows, -1))
        low = int((similarity < cosine).sum())
        line = f"{low} of {rows} rows are below {cosine}, the least at {similarity.min():.6f}"
        return line if low else ""
    unequal = old != new
    if floats:
        unequal &= ~(np.isnan(old) & np.isnan(new))
    if not unequal.any():
        return ""
    with np.errstate(invalid="ignore"):
        most = np.abs(old[unequal].astype(np.float64) - new[unequal].astype(np.float64)).max()
    return f"{int(unequal.sum())} of {old.size} values differ, by at most {most:g}"


def _similarity(old: NDArray, new: NDArray) -> NDArray[np.float64]:
    """The lesser of cosine and ratio of lengths for each row of two (N, D) matrices; float64 (N,).

    Equal rows have 1; unequal rows of which either has a value that is not finite have -1.
    """
    found = [np.ones(0)]
    for start in range(0, len(old), _BLOCK):
        a, b = (m[start : start + _BLOCK].astype(np.float64) for m in (old, new))
        equal = ((a == b) | (np.isnan(a) & np.isnan(b))).all(axis=1)
        finite = (np.isfinite(a) & np.isfinite(b)).all(axis=1)
        a[~finite], b[~finite] = 0, 0
        lengths = np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1)
        short, long = np.minimum(*lengths), np.maximum(*lengths)
        with np.errstate(divide="ignore", invalid="ignore"):
            similarity = np.minimum((a * b).sum(axis=1) / (short * long), short / long)
        similarity[short == 0] = 0
        similarity[~finite] = -1
        similarity[equal] = 1
        found.append(similarity)
    return np.concatenate(found)


def _parts(path: Path) -> dict[str, str]:
    """Name -> digest of each part of an entry, except its own name."""
    if path.suffix == ".zip":  # has its name in a comment
        with zipfile.ZipFile(path) as pack:
            return {name: _sha256(pack.read(name)) for name in pack.namelist()}
    arrays, texts = _read(path)
    tensors = {n: f"{a.dtype} {a.shape} {_sha256(a.tobytes())}" for n, a in arrays.items()}
    return tensors | {name: json.dumps(text) for name, text in texts.items()}


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _read(path: Path) -> tuple[Mapping[str, NDArray], dict[str, Any]]:
    """The arrays of an entry, and its other content except its own name."""
    if path.suffix == ".zip":
        group = groups.read(path)
        return {name: np.asarray(array[...]) for name, array in group.arrays()}, dict(group.attrs)
    if path.suffix == ".safetensors":
        with safe_open(path, framework="np") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            texts = dict(file.metadata() or {})
    else:
        arrays, texts = {}, json.loads(path.read_text(encoding="utf-8"))
    return arrays, {name: text for name, text in texts.items() if name != "entry"}
