"""Rows of an array of an entry are those that zarr reads, and damage does not pass for rows."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.store import arrays
from pipeline.store.entry import Damaged
from pipeline.store.mapped import MappedArray


def written(home: Path, data: NDArray[np.float16], chunk: int, compress: bool = False) -> Path:
    with zarr.storage.ZipStore(home, mode="w") as store:
        arrays.write(zarr.create_group(store), "feature", data, chunk, compress)
    return home


def numbers(rows: int, width: int) -> NDArray[np.float16]:
    return np.arange(rows * width, dtype=np.float16).reshape(rows, width)


@given(
    shape=st.tuples(st.integers(0, 700), st.integers(1, 5)),
    chunk=st.integers(1, 800),
    seed=st.integers(0, 99),
)
@settings(max_examples=50)
def test_rows_are_those_of_the_array_in_any_order(
    shape: tuple[int, int], chunk: int, seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    rng = np.random.default_rng(seed)
    data = rng.normal(size=shape).astype(np.float16)
    data[rng.random(shape[0]) < 0.5] = 0  # some chunks of 0, which zarr does not write
    found = MappedArray(written(tmp_path_factory.mktemp("a") / "a.zip", data, chunk), "feature")
    assert (found.shape, found.dtype) == (shape, np.float16)
    row = rng.integers(0, shape[0], 50 if shape[0] else 0)
    out = np.full((len(row), shape[1]), np.nan, np.float16)
    found.read(row, out)
    np.testing.assert_array_equal(out, data[row])


@pytest.mark.parametrize("row", [-1, 10])
def test_a_row_that_is_not_there_is_an_error(row: int, tmp_path: Path) -> None:
    found = MappedArray(written(tmp_path / "a.zip", numbers(10, 2), 4), "feature")
    with pytest.raises(IndexError):
        found.read(np.array([0, row]), np.empty((2, 2), np.float16))


def test_one_wrong_byte_is_damage(tmp_path: Path) -> None:
    home = written(tmp_path / "a.zip", numbers(10, 2) + 1, 4)
    data = bytearray(home.read_bytes())
    with zipfile.ZipFile(home) as pack:
        part = pack.getinfo("feature/c/1/0")
    data[part.header_offset + 30 + len(part.filename)] ^= 1
    home.write_bytes(data)
    with pytest.raises(Damaged, match="checksum mismatch in its part 'feature/c/1/0'"):
        MappedArray(home, "feature")


def test_a_file_that_takes_the_place_of_another_is_checked_anew(tmp_path: Path) -> None:
    found = MappedArray(written(tmp_path / "a.zip", numbers(10, 2), 4), "feature")
    written(tmp_path / "b.zip", numbers(10, 2) * 2, 4).replace(tmp_path / "a.zip")
    out = np.empty((1, 2), np.float16)
    found.read(np.array([3]), out)
    assert out.tolist() == [[12, 14]]
    (tmp_path / "a.zip").write_bytes(b"no zip")
    with pytest.raises(Damaged):
        found.read(np.array([3]), out)


def test_an_array_that_is_missing_or_compressed_is_refused(tmp_path: Path) -> None:
    home = written(tmp_path / "a.zip", numbers(10, 2), 4, compress=True)
    with pytest.raises(Damaged, match="blosc"):
        MappedArray(home, "feature")
    with pytest.raises(Damaged, match="has no array 'voxel'"):
        MappedArray(home, "voxel")


def test_more_arrays_are_known_than_files_may_be_open(tmp_path: Path) -> None:
    import resource

    home = written(tmp_path / "a.zip", numbers(10, 2), 4)
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    found = [MappedArray(home, "feature") for _ in range(min(limit, 4096) + 10)]
    out = np.empty((1, 2), np.float16)
    for each in found:
        each.read(np.array([3]), out)
