"""Codecs of targets: what each loses is bounded, and trainings gather rows of all of them."""

from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
import zarr
from numpy.typing import NDArray

from model.data.augment import Augmentation
from model.data.dataset import collate
from model.data.entries import read_entry
from model.data.features import open_features, read_features
from model.data.samples import crop, make_sample
from pipeline.errors import BadInput
from pipeline.grids.fused import CODECS, FusedRows
from pipeline.plan.keys import all_keys
from pipeline.stages import parts, targets
from pipeline.store import arrays, groups
from pipeline.store.mapped import MappedArray
from tests.helpers import tiny_store
from tests.helpers.tiny_entries import write_rooms

COUNT, DEPTH = 5000, 64  # more than a chunk
ENCODED = [codec for codec in CODECS if codec != "fp16"]


def like_clip(count: int, depth: int = DEPTH) -> NDArray[np.float16]:
    """Vectors around a common mean with few strong directions, of lengths below 1; one is 0."""
    rng = np.random.default_rng(0)
    strength = 1 / np.arange(1, depth + 1)
    rows = (
        0.3
        + rng.normal(size=(count, depth))
        * strength
        @ np.linalg.qr(rng.normal(size=(depth, depth)))[0]
    )
    rows *= rng.uniform(0.4, 1, (count, 1)) / np.linalg.norm(rows, axis=1, keepdims=True)
    rows[count // 2] = 0
    return rows.astype(np.float16)


def segments(count: int) -> NDArray[np.int32]:
    """Superpoints of 50 voxels in no order; every tenth voxel has none."""
    segment = np.random.default_rng(1).permutation(count) // 50
    segment[::10] = -1
    return segment.astype(np.int32)


def worker_of(codec: str) -> Any:
    grids = parts.load_parts("targets", {"embeddings": {"codec": "fp16"}})
    return import_module(f"pipeline.stages.fused.{codec}").Worker({}, grids)


def encode(out: zarr.Group, codec: str, feature: NDArray[np.float16]) -> None:
    """Write an entry of targets, every second voxel seen, in a codec."""
    voxels = zarr.create_group(zarr.storage.MemoryStore())
    arrays.write(voxels, "voxel_segment", np.repeat(segments(len(feature)), 2))
    arrays.write(out, "voxel", np.arange(0, 2 * len(feature), 2, dtype=np.uint32))
    arrays.write(out, "feature", feature, 4096, compress=False)
    if codec != "fp16":
        worker_of(codec).replace(out, voxels)


def stored(path: Path, codec: str, feature: NDArray[np.float16]) -> Path:
    path.parent.mkdir(exist_ok=True, parents=True)
    with groups.create(path) as out:
        encode(out, codec, feature)
    return path


def decoded(codec: str, feature: NDArray[np.float16]) -> NDArray[np.float32]:
    out = zarr.create_group(zarr.storage.MemoryStore())
    encode(out, codec, feature)
    return FusedRows(out)[:].astype(np.float32)


# What is lost


def test_no_number_of_int8_is_off_by_more_than_half_a_step() -> None:
    feature = like_clip(COUNT)
    exact = feature.astype(np.float32)
    largest = np.abs(exact).max(axis=1, keepdims=True)
    step = largest / 127 * 1.001  # a scale is rounded up to float16
    assert (np.abs(decoded("int8", feature) - exact) <= step / 2 + largest * 2**-11).all()


def test_low_rank_keeps_lengths_and_nearly_all_of_the_directions() -> None:
    feature = like_clip(COUNT)
    exact, found = feature.astype(np.float32), decoded("low_rank", feature)
    long, as_long = np.linalg.norm(exact, axis=1), np.linalg.norm(found, axis=1)
    np.testing.assert_allclose(as_long, long, rtol=1e-2)
    seen = long > 0
    cosine = (exact * found).sum(axis=1)[seen] / (long * as_long)[seen]
    assert (cosine.min(), cosine.mean()) > (0.98, 0.998)
    assert not found[~seen].any()


def test_all_voxels_of_a_superpoint_have_its_mean_and_others_their_own() -> None:
    feature, segment = like_clip(COUNT), segments(COUNT)
    found = decoded("superpoints", feature)
    for name in range(0, segment.max() + 1, 7):
        mean = feature[segment == name].astype(np.float64).mean(axis=0)
        np.testing.assert_allclose(
            found[segment == name], np.tile(mean, (sum(segment == name), 1)), atol=1e-3
        )
    np.testing.assert_array_equal(found[segment < 0], feature[segment < 0].astype(np.float32))


@pytest.mark.parametrize(
    ("codec", "most"), [("int8", 0.55), ("low_rank", 0.2), ("superpoints", 0.2)]
)
def test_codecs_take_less_of_the_disk(codec: str, most: float, tmp_path: Path) -> None:
    size = {
        name: stored(tmp_path / f"{name}.zarr.zip", name, like_clip(COUNT)).stat().st_size
        for name in ("fp16", codec)
    }
    assert size[codec] < most * size["fp16"]


@pytest.mark.parametrize("codec", ENCODED)
def test_frames_are_fused_before_they_are_encoded(codec: str) -> None:
    rng, made = np.random.default_rng(3), zarr.create_group(zarr.storage.MemoryStore())
    for name, values in {
        "offsets": np.array([0, 30, 60]),
        "voxel": np.tile(np.arange(0, 60, 2), 2).astype(np.uint32),
        "uv": rng.uniform(0, 39, (60, 2)).astype(np.float32),
        "weight": np.ones(60, np.float16),
    }.items():
        arrays.write(made, name, values)
    embeddings = zarr.create_group(zarr.storage.MemoryStore())
    grid = like_clip(2 * 6 * 8).reshape(2, 6, 8, DEPTH)
    arrays.write(embeddings, "grid", grid, 1, compress=False)
    to_grid = [[0.2, -0.4], [0.2, -0.4]]
    embeddings.attrs.update({"codec": "fp16", "pixel_to_grid": to_grid})
    plain, encoded, again = (zarr.create_group(zarr.storage.MemoryStore()) for _ in range(3))
    voxels = zarr.create_group(zarr.storage.MemoryStore())
    arrays.write(voxels, "voxel_segment", np.repeat(np.arange(6, dtype=np.int32), 10))
    grids = parts.load_parts("targets", {"embeddings": {"codec": "fp16"}})
    targets.Worker({}, grids)(plain, embeddings, made)
    worker_of(codec)(encoded, embeddings, made, voxels)
    for name in ("voxel", "views", "feature"):
        arrays.write(again, name, plain[name][:], 4096)  # type: ignore[index, arg-type]
    worker_of(codec).replace(again, voxels)
    assert set(encoded.array_keys()) == set(again.array_keys())
    for name in encoded.array_keys():
        np.testing.assert_array_equal(encoded[name][:], again[name][:])  # type: ignore[index]


# What trainings read


@pytest.mark.parametrize("codec", CODECS)
def test_rows_are_gathered_and_decoded_as_the_whole_entry_is(codec: str, tmp_path: Path) -> None:
    rng, opened, expected = np.random.default_rng(2), [], []
    for number in range(2):  # scans with directions of their own
        path = stored(tmp_path / f"{number}.zarr.zip", codec, like_clip(COUNT + number))
        row = rng.permutation(COUNT)[: 70 + number]
        opened.append(open_features(path, read_entry(path))[row])
        expected.append(FusedRows(read_entry(path))[:][row])
    found = read_features(opened)
    assert found.dtype == torch.float16
    np.testing.assert_allclose(found, np.concatenate(expected), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("codec", CODECS)
def test_a_batch_is_decoded_where_it_is_moved_to(
    codec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples, wanted, read = [], [], []
    for number, room in enumerate(write_rooms(tmp_path, range(2))):
        scene = room.weak.read()
        home = stored(tmp_path / f"{number}.zarr.zip", codec, like_clip(len(scene.voxel)))
        feature = open_features(home, read_entry(home))
        near = crop(replace(scene, feature=feature), 100, np.random.default_rng(number))
        samples.append(make_sample(near, Augmentation(), np.random.default_rng(number)))
        every = replace(feature, row=np.arange(len(scene.voxel)))  # its rows are then the voxels
        near = crop(replace(scene, feature=every), 100, np.random.default_rng(number))
        voxel = make_sample(near, Augmentation(), np.random.default_rng(number)).feature.row
        wanted.append(FusedRows(read_entry(home))[:][voxel])
    gathering = MappedArray.read

    def watched(array: MappedArray, row: NDArray[np.integer], out: NDArray[Any]) -> None:
        read.append(len(row))
        gathering(array, row, out)

    monkeypatch.setattr(MappedArray, "read", watched)
    batch = collate(samples).to(torch.device("cpu"))
    assert batch.feature.dtype == torch.float16
    np.testing.assert_allclose(batch.feature, np.concatenate(wanted), rtol=1e-3, atol=1e-3)
    assert set(read) == {len(sample.row) for sample in samples}, "no other rows are read"


# Keys


def keys_with(tmp_path: Path, **setting: str) -> dict[str, str]:
    found = tiny_store.plan(tmp_path).facts
    return all_keys(replace(found, section={**found.section, "targets": setting}))


def test_the_default_keeps_the_keys_and_a_codec_changes_what_comes_from_it(tmp_path: Path) -> None:
    before = keys_with(tmp_path)
    assert keys_with(tmp_path, codec="fp16") == before
    keys = [keys_with(tmp_path, codec=codec) for codec in CODECS]
    assert len({each["targets"] for each in keys}) == len({each["train"] for each in keys}) == 4
    assert {each["embeddings"] for each in keys} == {before["embeddings"]}


def test_the_schema_lists_the_codecs_that_there_are() -> None:
    schema = yaml.safe_load(Path("workflow/config.schema.yaml").read_text(encoding="utf-8"))
    setting = schema["$defs"]["dataset"]["properties"]["targets"]["properties"]["codec"]
    assert setting["enum"] == list(CODECS)
    modules = {path.stem for path in Path("pipeline/stages/fused").glob("*.py")}
    assert modules - {"__init__", "encoded"} == set(ENCODED)


# What is refused


def test_vectors_that_are_too_short_for_low_rank_are_refused() -> None:
    with pytest.raises(BadInput, match="15 numbers are too short for the codec low_rank"):
        decoded("low_rank", like_clip(10, 15))


def test_a_codec_that_this_version_does_not_know_is_named() -> None:
    out = zarr.create_group(zarr.storage.MemoryStore(), attributes={"codec": "fp8"})
    with pytest.raises(BadInput, match="the codec fp8; make it with one of fp16, int8"):
        FusedRows(out)


@pytest.mark.parametrize("codec", CODECS)
def test_a_scan_that_no_frame_sees_has_no_features(codec: str) -> None:
    assert decoded(codec, np.zeros((0, DEPTH), np.float16)).shape == (0, DEPTH)
