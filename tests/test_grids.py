"""Cached grids: one reader for all codecs, what each codec keeps, and what is refused."""

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.clip.executor import LocalExecutor
from pipeline.errors import BadInput
from pipeline.geometry import fusion
from pipeline.grids import codecs, reading, writing
from pipeline.grids.codecs import low_rank
from pipeline.grids.codecs.low_rank import bands_of, fit, to_low_rank
from pipeline.grids.rounding import to_int8
from pipeline.stages import targets
from pipeline.store import arrays
from tests.helpers import room, tiny_clip

TO_GRID = [[0.1, -0.45], [0.1, -0.45]]
CODECS = codecs.names()


def module(codec: str) -> ModuleType:
    return import_module(codecs.module_name(codec))


def entry(grid: np.ndarray, codec: str, to_grid: Any = TO_GRID) -> Any:
    out = zarr.create_group(zarr.storage.MemoryStore(), attributes={"pixel_to_grid": to_grid})
    writing.write(out, module(codec), iter(grid), grid.shape)
    return out


def Grids(embeddings: Any, codec: str | None = None) -> reading.Grids:
    """The reader of an entry, by the codec that it names unless another is given."""
    return reading.Grids(embeddings, module(codec or str(embeddings.attrs["codec"])))


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float16)


def like_clip(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Unit vectors (..., d) with a common mean and a spectrum that decays, as towers give them."""
    rng, depth = np.random.default_rng(seed), shape[-1]
    turn = np.linalg.qr(rng.normal(size=(depth, depth)))[0]
    strength = np.arange(1, depth + 1) ** -0.75
    return unit((rng.normal(size=shape) * strength + np.eye(depth)[0] * 2) @ turn)


def cosine(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    one, other = one.astype(np.float64), other.astype(np.float64)
    lengths = np.linalg.norm(one, axis=-1) * np.linalg.norm(other, axis=-1)
    return (one * other).sum(-1) / lengths


def bilinear(grid: np.ndarray, uv: np.ndarray) -> Iterator[np.ndarray]:
    """The embedding at each pixel, as one would write it down."""
    rows, columns, _ = grid.shape
    (ax, bx), (ay, by) = TO_GRID
    for u, v in uv.astype(float):
        x, y = np.clip(ax * u + bx, 0, columns - 1), np.clip(ay * v + by, 0, rows - 1)
        i, j = int(x), int(y)
        k, m = min(i + 1, columns - 1), min(j + 1, rows - 1)
        upper = grid[j, i] * (1 - (x - i)) + grid[j, k] * (x - i)
        lower = grid[m, i] * (1 - (x - i)) + grid[m, k] * (x - i)
        yield upper * (1 - (y - j)) + lower * (y - j)


# The reader


@given(st.sampled_from(CODECS), st.integers(1, 6), st.integers(1, 7), st.integers(0, 2**32))
@settings(max_examples=30, deadline=None)
def test_a_pixel_is_read_bilinearly_and_beyond_the_border_from_it(
    codec: str, rows: int, columns: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    read = Grids(entry(like_clip((2, rows, columns, 24), seed), codec))
    uv = rng.uniform(-10, 80, (9, 2)).astype(np.float32)
    expected = np.array(list(bilinear(read.frame(1).astype(float), uv)))
    np.testing.assert_allclose(read.read(1, uv), expected, atol=2e-5)


def test_fp16_is_read_back_bit_for_bit() -> None:
    grid = like_clip((3, 4, 5, 7))
    read = Grids(entry(grid, "fp16"))
    assert read.shape == grid.shape
    assert all((read.frame(i) == grid[i]).all() for i in range(3))
    assert read.frame(0).dtype == np.float16


@pytest.mark.parametrize("codec", CODECS)
def test_some_cells_are_those_of_the_whole_frame(codec: str) -> None:
    read = Grids(entry(like_clip((2, 4, 6, 32)), codec))
    need = np.random.default_rng(0).random(24) < 0.4
    whole = read.frame(1).reshape(24, 32)
    np.testing.assert_allclose(read.cells(1, need), whole[need], atol=1e-6)
    assert read.read(0, np.zeros((0, 2), np.float32)).shape == (0, 32)


def test_tensors_are_decoded_as_arrays_are() -> None:
    cells, bands = like_clip((50, 40)), bands_of(40)
    along = fit(cells, bands)
    basis = along.basis * along.basis_scale.astype(np.float32)[:, None]
    parts = (to_low_rank(cells, bands, along), along.low, along.step, basis)
    one = low_rank.decode(parts[0], bands, *parts[1:], np.empty((50, sum(bands)), np.float32))
    code, low, step, matrix = map(torch.from_numpy, parts)
    other = low_rank.decode(code, bands, low, step, matrix, torch.empty(50, sum(bands)))
    np.testing.assert_allclose(one, other.numpy(), atol=1e-6)


# What the codecs keep


@given(st.integers(1, 40), st.floats(-4, 3), st.integers(0, 2**32))
def test_int8_is_off_by_half_a_scale_at_most(depth: int, size: Any, seed: int) -> None:
    cells = np.random.default_rng(seed).normal(size=(20, depth)) * 10**size
    cells[3] = 0
    cells = cells.astype(np.float16)
    code, scale = to_int8(cells)
    wide = scale.astype(np.float64)[:, None]
    assert (np.abs(code * wide - cells) <= wide / 2 * (1 + 1e-6)).all()
    most = np.abs(cells.astype(np.float64)).max(1)
    assert (scale <= most / 127 * (1 + 2**-10) + 2**-24).all()


@given(st.integers(16, 70), st.integers(1, 200), st.floats(0, 3), st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_low_rank_loses_no_more_than_weak_directions_and_half_levels(
    depth: int, count: int, decay: float, seed: int
) -> None:
    """On average over a scan, of a squared distance, which bounds 1 - cosine."""
    rng = np.random.default_rng(seed)
    strength = np.arange(1, depth + 1) ** -decay
    cells = unit(rng.normal(size=(count, depth)) * strength + rng.normal(size=depth))
    read = Grids(entry(cells[None, None], "low_rank")).frame(0)[0].astype(np.float64)
    exact, bands = cells.astype(np.float64), bands_of(depth)
    assert np.linalg.norm(read, axis=1) == pytest.approx(1, abs=0.02)
    energy, directions = np.linalg.eigh(exact.T @ exact / count)
    kept = exact @ directions[:, ::-1][:, : sum(bands)]
    levels = np.repeat([256, 16, 4], bands)
    bound = energy[: depth - sum(bands)].sum() + ((np.ptp(kept, axis=0) / levels / 2) ** 2).sum()
    assert (1 - cosine(exact, read)).mean() <= 1.1 * bound + 1e-3


@pytest.mark.parametrize(
    ("codec", "depth", "least", "smallest"),
    [("fp16", 64, 1.0, 1.0), ("int8", 64, 0.9999, 1.9), ("low_rank", 64, 0.98, 8.0),
     ("int8", 256, 0.9999, 1.98), ("low_rank", 256, 0.99, 8.0)],
)  # fmt: skip
def test_vectors_like_those_of_towers_are_kept_in_a_fraction_of_the_bytes(
    codec: str, depth: int, least: float, smallest: float
) -> None:
    grid = like_clip((20, 16, 20, depth))
    out = entry(grid, codec)
    read = np.stack([Grids(out).frame(i) for i in range(20)])
    assert cosine(grid, read).mean() >= least
    stored = sum(array.nbytes for _, array in out.arrays())
    assert grid.nbytes / stored >= smallest


@pytest.mark.parametrize("codec", CODECS)
def test_an_entry_of_no_frames_can_be_read(codec: str) -> None:
    assert Grids(entry(np.zeros((0, 3, 4, 32), np.float16), codec)).shape == (0, 3, 4, 32)


@pytest.mark.parametrize("codec", CODECS)
def test_frames_of_one_value_are_kept(codec: str) -> None:
    grid = np.broadcast_to(like_clip((32,)), (2, 3, 4, 32))
    assert cosine(Grids(entry(grid, codec)).frame(1), grid[1]).min() > 0.999


@pytest.mark.parametrize("codec", CODECS)
def test_equal_grids_give_equal_bytes_in_any_order_and_on_any_number_of_threads(
    tmp_path: Path, codec: str
) -> None:
    grid, made = like_clip((9, 4, 5, 48)), set()
    for run, (workers, order) in enumerate([(1, range(9)), (4, range(8, -1, -1)), (3, range(9))]):
        out = zarr.create_group(tmp_path / f"{codec}{run}")
        writer = writing.open_writer(out, module(codec), grid.shape)
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(lambda f, put=writer.put: put(f, grid[f : f + 1]), order))
            writer.finish(pool)
        made.add(digest(tmp_path / f"{codec}{run}"))
    assert len(made) == 1


def digest(folder: Path) -> str:
    found = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        found.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    return found.hexdigest()


@pytest.mark.parametrize(("codec", "least"), [("int8", 0.9998), ("low_rank", 0.95)])
def test_targets_hardly_depend_on_the_codec(codec: str, least: float) -> None:
    rng = np.random.default_rng(0)
    grid = like_clip((6, 12, 16, 64))
    voxel = [np.sort(rng.choice(300, 150, replace=False)) for _ in range(6)]
    seen = zarr.create_group(zarr.storage.MemoryStore())
    arrays.write(seen, "offsets", np.arange(0, 901, 150))
    arrays.write(seen, "voxel", np.concatenate(voxel).astype(np.uint32))
    arrays.write(seen, "uv", rng.uniform(0, 160, (900, 2)).astype(np.float32))
    arrays.write(seen, "weight", rng.uniform(0.1, 1, 900).astype(np.float16))
    feature: dict[str, np.ndarray] = {}
    for name in ("fp16", codec):
        out: Any = zarr.create_group(zarr.storage.MemoryStore())
        worker = targets.Worker({}, {"codec": module(name)})
        worker(out, embeddings=entry(grid, name), projections=seen)
        feature[name] = out["feature"][:]
    assert len(feature[codec]) > 250
    assert cosine(feature["fp16"], feature[codec]).min() >= least


# What is refused


def test_codecs_that_cannot_store_the_vectors_are_refused() -> None:
    with pytest.raises(BadInput, match="no codec fp8; take one of fp16, int8, low_rank"):
        entry(like_clip((1, 2, 2, 24)), "fp8")
    with pytest.raises(BadInput, match="15 numbers are too short for the codec low_rank"):
        entry(like_clip((1, 2, 2, 15)), "low_rank")
    assert Grids(entry(like_clip((1, 2, 2, 16)), "low_rank")).frame(0).shape == (2, 2, 16)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("codec", ["int8", "low_rank"])
def test_vectors_that_are_not_finite_are_refused(codec: str, value: Any) -> None:
    grid = like_clip((2, 3, 4, 32))
    grid[1, 2, 3, 5] = value
    with pytest.raises(BadInput, match=r"not finite|unit vectors"):
        entry(grid, codec)


def test_vectors_of_other_lengths_are_refused_where_lengths_are_not_kept() -> None:
    with pytest.raises(BadInput, match="set `codec: int8`"):
        entry(2 * like_clip((2, 3, 4, 32)), "low_rank")
    lengths = np.linalg.norm(Grids(entry(2 * like_clip((2, 3, 4, 32)), "int8")).frame(0), axis=-1)
    assert lengths == pytest.approx(2, abs=0.02)


@pytest.mark.parametrize(
    ("codec", "name"),
    [("fp16", "grid"), ("int8", "code"), ("int8", "scale"), ("low_rank", "code"),
     ("low_rank", "basis"), ("low_rank", "basis_scale"), ("low_rank", "low"),
     ("low_rank", "step")],
)  # fmt: skip
@pytest.mark.parametrize("harm", ["gone", "other shape", "other type"])
def test_an_entry_without_the_arrays_of_a_codec_is_refused_in_one_sentence(
    codec: str, name: str, harm: str
) -> None:
    out = entry(like_clip((2, 3, 4, 32)), codec)
    data = out[name][...]
    del out[name]
    if harm == "other shape":
        arrays.write(
            out, name, data[..., :-1] if name in ("low", "step", "basis_scale") else data[0]
        )
    elif harm == "other type":
        arrays.write(out, name, data.astype(np.int64))
    with pytest.raises(BadInput, match="no grid that can be read") as refused:
        Grids(out)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("attribute", ["pixel_to_grid", "bands"])
@pytest.mark.parametrize("value", [None, [1, 2], "no"])
def test_an_entry_without_its_attributes_is_refused(attribute: str, value: Any) -> None:
    out = entry(like_clip((2, 3, 4, 32)), "low_rank")
    out.attrs[attribute] = value
    with pytest.raises(BadInput, match="no grid that can be read"):
        Grids(out)


def test_fusion_asks_for_the_cells_that_it_needs_and_no_others() -> None:
    asked = []

    def cells(frame: int, need: np.ndarray) -> np.ndarray:
        asked.append(need.reshape(5, 6).nonzero())
        return np.ones((need.sum(), 2), np.float16)

    at = np.array([[2.5, 1.5]], np.float32)
    one = fusion.Samples(np.array([0]), np.array([0]), at, np.ones(1, np.float32))
    fusion.accumulate(np.zeros((1, 2), np.float32), one, (5, 6), cells)
    ((rows, columns),) = asked
    assert sorted(zip(rows, columns, strict=True)) == [(1, 2), (1, 3), (2, 2), (2, 3)]


# The stage that writes them


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The entries of one scan by a tiny tower, in each codec and by several threads."""
    model = tiny_clip.write(tmp_path_factory.mktemp("clip"))
    pictures = np.random.default_rng(0).integers(0, 256, (7, 48, 64, 3), np.uint8)
    blobs = [room.encoded(picture) for picture in pictures]
    frames = zarr.create_group(zarr.storage.MemoryStore(), attributes={"color_size": [64, 48]})
    arrays.write(frames, "color", np.frombuffer(b"".join(blobs), np.uint8))
    arrays.write(frames, "color_offsets", np.cumsum([0, *map(len, blobs)]))
    params: dict[str, Any] = {"model": model, "pretrained": None, "recipe": "plain"}
    params |= {"image_size": None}
    params |= {"window": None, "stride": None, "batch": 2}
    stages = {codec: tiny_clip.embedder(params | {"codec": codec}) for codec in CODECS}
    stages["default"] = tiny_clip.embedder(params)
    out = {}
    for name, stage in stages.items():
        stage.executor = LocalExecutor(3)
        out[name] = zarr.create_group(zarr.storage.MemoryStore())
        stage.write(out[name], frames)
    return out


@pytest.mark.parametrize("codec", CODECS)
def test_an_entry_contains_what_its_codec_makes_of_the_fp16_grids_and_nothing_else(
    made: dict[str, Any], codec: str
) -> None:
    to_grid = made["fp16"].attrs["pixel_to_grid"]
    expected = entry(made["fp16"]["grid"][:], codec, to_grid)
    assert sorted(made[codec].array_keys()) == sorted(expected.array_keys())
    for name, values in expected.arrays():
        found = made[codec][name]
        assert (found.dtype, found.chunks) == (values.dtype, values.chunks)
        np.testing.assert_array_equal(found[...], values[...])
    assert dict(made[codec].attrs) == dict(expected.attrs)
    assert Grids(made[codec]).shape == (7, 6, 8, 24)


def test_the_codec_is_fp16_if_nothing_is_said(made: dict[str, Any]) -> None:
    assert (made["default"]["grid"][:] == made["fp16"]["grid"][:]).all()


@pytest.mark.parametrize("codec", CODECS)
def test_what_reads_grids_needs_no_torch(codec: str) -> None:
    code = (
        f"import sys, pipeline.stages.targets, pipeline.grids.codecs.{codec};"
        "print({'torch', 'open_clip'} & set(sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"


def test_an_entry_names_its_codec_and_is_read_by_no_other() -> None:
    out = entry(like_clip((1, 2, 2, 24)), "int8")
    assert out.attrs["codec"] == "int8"
    with pytest.raises(BadInput, match="its codec is int8, not fp16"):
        Grids(out, "fp16")
