"""Features of other models as files: in every way to write them, cut off, damaged, and hostile."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import zarr
from hypothesis import strategies as st
from zarr.codecs import BloscCodec, GzipCodec, ZstdCodec

from pipeline.readers.features import reader
from tests.other_files import Variant

GRID = np.random.default_rng(0).normal(size=(6, 8, 16)).astype(np.float16)
CODECS: dict[str, Any] = {
    "zstd": ZstdCodec(),
    "zstd with checksum": ZstdCodec(checksum=True),
    "blosc": BloscCodec(cname="lz4"),
    "gzip": GzipCodec(),
    "none": None,
}
CHUNKS = [(2, 8, 16), (6, 8, 16), (4, 3, 5)]


def read(folder: Path) -> np.ndarray:
    """The frame in the folder, as a run reads it."""
    np.savez(folder / reader.TEXT, embedding=np.eye(3, 16, dtype="f4"), classes=np.array([*"abc"]))
    return reader.open_features(folder, "s", reader.read_texts(folder)).exact(0)


def write_zarr(folder: Path, codec: str, chunks: tuple[int, ...], dtype: str = "<f2") -> Path:
    """The grid as an array of zarr's format 3."""
    path = folder / "s/0.zarr"
    how = {"chunks": chunks, "compressors": CODECS[codec]}
    zarr.create_array(store=str(path), shape=GRID.shape, dtype=dtype, **how)[:] = GRID
    return path


def write_npy(folder: Path, dtype: str = "<f2", order: Literal["C", "F"] = "C") -> Path:
    """The grid as an array of NumPy."""
    (folder / "s").mkdir()
    np.save(folder / "s/0.npy", np.asarray(GRID, dtype, order=order))
    return folder / "s/0.npy"


def write_other(folder: Path, what: str) -> Path:
    """What another program makes of the grid, or of its texts."""
    (folder / "s").mkdir()
    path = folder / "s/0.npy"
    grids = {"zeros": GRID * 0, "rows alone": GRID.reshape(-1, 16), "fp64": GRID.astype("f8")}
    if what == "zarr 2":
        path = path.with_suffix(".zarr")
        zarr.create_array(store=str(path), shape=GRID.shape, dtype="<f2", zarr_format=2)[:] = GRID
    elif what == "npz":
        np.savez(path, GRID)
        path.with_name("0.npy.npz").rename(path)
    else:
        np.save(path, grids[what])
    return path


def beside(folder: Path) -> None:
    """What macOS leaves beside a file is no frame."""
    (write_npy(folder).with_name("._0.npy")).write_bytes(b"\0\5\x16\7")


def same_texts(folder: Path) -> None:
    """Two classes of one embedding are refused: nothing can tell them apart."""
    write_npy(folder)
    texts = np.eye(3, 16, dtype="f4")[[0, 1, 1]]
    np.savez(folder / reader.TEXT, embedding=texts, classes=np.array([*"abc"]))
    reader.read_texts(folder)
    raise AssertionError("it was read")


def is_read(folder: Path, put: Callable[[Path], object]) -> None:
    """The grid is read as it is, at unit length."""
    put(folder)
    exact = GRID.astype(np.float32)
    expected = exact / np.linalg.norm(exact, axis=-1, keepdims=True)
    np.testing.assert_allclose(read(folder), expected, atol=1e-3)


def is_refused(
    folder: Path, put: Callable[[Path], Path], change: Callable[[bytes], bytes], part: str
) -> None:
    """What is changed in a file is refused; None as `change` is a file that is missing."""
    path = put(folder)
    if path.is_dir():
        parts = sorted(file for file in path.rglob("*") if file.is_file())
        chosen = [file for file in parts if (file.name == "zarr.json") == (part == "zarr.json")]
        path = chosen[-1]
    path.write_bytes(change(path.read_bytes()))
    if part == "missing":
        path.unlink()
    read(folder)
    raise AssertionError("it was read")


def json_with(**changed: Any) -> Callable[[bytes], bytes]:
    """zarr.json with other values."""
    return lambda whole: json.dumps(json.loads(whole) | changed).encode()


def replaced(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    """A text of a header replaced by one of any length."""
    return lambda whole: whole.replace(old, new)


NPYS = st.builds(
    lambda dtype, order: partial(write_npy, dtype=dtype, order=order),
    st.sampled_from(["<f2", "<f4", ">f4", ">f2"]),
    st.sampled_from(["C", "F"]),
)
ZARRS = st.builds(
    lambda codec, chunks, dtype: partial(write_zarr, codec=codec, chunks=chunks, dtype=dtype),
    st.sampled_from([*CODECS]),
    st.sampled_from(CHUNKS),
    st.sampled_from(["<f2", "<f4"]),
)
BAD_HEADERS = st.sampled_from(
    [
        replaced(b"'shape': (", b"'shape': (("),
        replaced(b"(6, 8, 16)", b"(6, 8, 1600000000)"),
        replaced(b"(6, 8, 16)", b"(-6, 8, 16)"),
        replaced(b"(6, 8, 16)", b"(6, 8, 1e3)"),
        replaced(b"'<f2'", b"'|O'"),
        replaced(b"'<f2'", b"'<i2'"),
        replaced(b"'<f2'", b"'zz'"),
        replaced(b"{", b"{" * 5000),
        lambda whole: whole[:-1],
        lambda whole: whole[:20],
        lambda whole: b"",
        lambda whole: b"PK" + whole,
        lambda whole: whole[:-2] + b"\x00\x7c",
        lambda whole: whole[:-2] + b"\xff\x7f",
    ]
)
BAD_JSON = st.sampled_from(
    [
        lambda whole: b"[" * 100_000,
        lambda whole: b"",
        lambda whole: b"[]",
        lambda whole: whole[:-20],
        json_with(shape=[6, 8, 10**12]),
        json_with(shape=[10**6, 8, 16]),
        json_with(shape=[6, 8]),
        json_with(shape="a"),
        json_with(data_type="zz"),
        json_with(codecs=[]),
        json_with(codecs=[{"name": "pickle"}]),
        json_with(codecs=[{"name": ["a"]}]),
        json_with(zarr_format=2),
        json_with(node_type="group"),
        json_with(chunk_grid={"name": "regular", "configuration": {"chunk_shape": [10**9] * 3}}),
        json_with(chunk_grid={"name": "regular", "configuration": {"chunk_shape": [0, 8, 16]}}),
        json_with(fill_value="x"),
    ]
)
BAD_CHUNKS = st.sampled_from([lambda w: w[:20], lambda w: w[:3], lambda w: b"", lambda w: w[:-1]])


def bad(what: str, put: Any, change: Any, part: str = "") -> st.SearchStrategy[Variant]:
    """Variants that are refused."""
    return st.builds(
        lambda p, c: Variant(what, partial(is_refused, put=p, change=c, part=part), True),
        put,
        change,
    )


PLAIN = st.builds(lambda: write_npy)
VARIANTS = st.one_of(
    st.builds(lambda p: Variant("a right array", partial(is_read, put=p)), NPYS | ZARRS),
    st.just(Variant("a file of macOS", partial(is_read, put=beside))),
    st.just(Variant("the same text twice", same_texts, True)),
    st.sampled_from(["zeros", "rows alone", "fp64", "zarr 2", "npz"]).map(
        lambda what: Variant(
            what,
            partial(is_refused, put=partial(write_other, what=what), change=bytes, part=""),
            True,
        )
    ),
    bad("a header of NumPy", PLAIN, BAD_HEADERS),
    bad("zarr.json", ZARRS, BAD_JSON, "zarr.json"),
    bad("a chunk", ZARRS, BAD_CHUNKS),
    bad("a chunk that is missing", ZARRS, st.just(lambda whole: whole), "missing"),
)
