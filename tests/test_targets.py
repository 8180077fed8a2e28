"""Fusion: the weighted mean of bilinear samples, and with a tower that says where it looks, known
in closed form."""

from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.facts import Facts
from pipeline.geometry import cameras as geometry
from pipeline.geometry import fusion
from pipeline.geometry.fusion import Samples
from pipeline.plan.plan import Plan
from pipeline.stages import frames, projections, targets, voxels
from pipeline.store import arrays
from tests.helpers import room, tiny_store

Scene = tuple[np.ndarray, list[list[float]], Any]  # grids, pixel_to_grid, projections


def embeddings(grid: np.ndarray, pixel_to_grid: list[list[float]]) -> Any:
    out = zarr.create_group(zarr.storage.MemoryStore())
    arrays.write(out, "grid", grid.astype(np.float16), 1, compress=False)
    out.attrs.update({"codec": "fp16", "pixel_to_grid": pixel_to_grid})
    return out


def pairs(offsets: list[int], voxel: list[int], uv: Any, weight: Any) -> Any:
    out = zarr.create_group(zarr.storage.MemoryStore())
    arrays.write(out, "offsets", np.array(offsets, np.int64))
    arrays.write(out, "voxel", np.array(voxel, np.uint32))
    arrays.write(out, "uv", np.array(uv, np.float32).reshape(-1, 2))
    arrays.write(out, "weight", np.array(weight, np.float16))
    return out


def covering(width: int, height: int, columns: int, rows: int) -> list[list[float]]:
    """pixel_to_grid of a grid that covers the same view as an image."""
    ax, ay = columns / width, rows / height
    return [[ax, 0.5 * ax - 0.5], [ay, 0.5 * ay - 0.5]]


def looking(frames_: int, rows: int, columns: int, to_grid: list[list[float]]) -> np.ndarray:
    """The grids of a tower whose embedding is the pixel at which it looks, and the frame."""
    (ax, bx), (ay, by) = to_grid
    u, v = (np.arange(columns) - bx) / ax, (np.arange(rows) - by) / ay
    grid = np.zeros((frames_, rows, columns, 3))
    grid[..., 0], grid[..., 1] = u, v[:, None]
    grid[..., 2] = np.arange(frames_)[:, None, None]
    return grid


def bilinear(grid: np.ndarray, x: float, y: float) -> np.ndarray:
    rows, columns = grid.shape[:2]
    x, y = np.clip(x, 0, columns - 1), np.clip(y, 0, rows - 1)
    i, j = int(x), int(y)
    k, m = min(i + 1, columns - 1), min(j + 1, rows - 1)
    fx, fy = x - i, y - j
    upper = grid[j, i] * (1 - fx) + grid[j, k] * fx
    lower = grid[m, i] * (1 - fx) + grid[m, k] * fx
    return upper * (1 - fy) + lower * fy


def slowly(grid: np.ndarray, to_grid: list[list[float]], seen: Any) -> dict[int, Any]:
    """The weighted mean (d,) and the number of views of each voxel, as one would write it down."""
    (ax, bx), (ay, by) = to_grid
    sums: dict[int, Any] = {}
    offsets, voxel = seen["offsets"][:], seen["voxel"][:]
    uv, weight = seen["uv"][:].astype(float), seen["weight"][:].astype(float)
    for frame in range(len(offsets) - 1):
        for pair in range(offsets[frame], offsets[frame + 1]):
            u, v = uv[pair]
            sample = bilinear(grid[frame].astype(float), ax * u + bx, ay * v + by)
            total, weights, views = sums.get(int(voxel[pair]), (0, 0, 0))
            sums[int(voxel[pair])] = (
                total + weight[pair] * sample,
                weights + weight[pair],
                views + 1,
            )
    return {v: (total / weights, views) for v, (total, weights, views) in sums.items()}


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    """Grids of any shape, one cell included, and pairs in and beyond the image; empty frames."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    rows, columns = draw(st.integers(1, 6)), draw(st.integers(1, 7))
    width, depth = draw(st.integers(1, 4)), draw(st.integers(1, 50))
    count = rng.integers(0, depth + 1, size=width)
    voxel = [v for n in count for v in sorted(rng.choice(depth, n, replace=False))]
    uv = rng.uniform(-3, 43, (len(voxel), 2)) * [1, 0.75]
    grid = rng.normal(size=(width, rows, columns, 5)).astype(np.float16)
    weight = rng.uniform(0.05, 1, len(voxel))
    offsets = [0, *np.cumsum(count)]
    return grid, covering(40, 30, columns, rows), pairs(offsets, voxel, uv, weight)


def check(grid: np.ndarray, to_grid: list[list[float]], seen: Any, blocks: Any = None) -> None:
    given = {"embeddings": embeddings(grid, to_grid), "projections": seen}
    out = room.run(targets, {}, **given, blocks=blocks or targets.Blocks())
    expected = slowly(grid, to_grid, seen)
    assert out["voxel"][:].tolist() == sorted(expected)
    assert out["views"][:].tolist() == [expected[v][1] for v in sorted(expected)]
    features = np.array([expected[v][0] for v in sorted(expected)]).reshape(-1, grid.shape[-1])
    np.testing.assert_allclose(out["feature"][:], features, rtol=1e-3, atol=2e-3)


@given(scenes())
@settings(max_examples=25)
def test_a_feature_is_the_weighted_mean_of_bilinear_samples(
    scene: Scene,
) -> None:
    check(*scene)


@given(scenes(), st.integers(1, 12), st.integers(1, 3))
@settings(max_examples=10)
def test_the_sizes_of_blocks_change_nothing(scene: Scene, rows: int, frames_: int) -> None:
    grid, to_grid, seen = scene
    blocks = targets.Blocks(rows, 0, frames_ * grid[0].size * 4, 5 * rows, 40 * rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fusion, "TILE", 3)
        check(grid, to_grid, seen, blocks)


def test_no_grid_is_read_for_a_frame_that_sees_nothing() -> None:
    read = []
    samples = Samples(
        np.array([0, 3, 3]),
        np.array([1, 1, 4]),
        np.zeros((3, 2), np.float32),
        np.ones(3, np.float32),
    )

    def cells(frame: int, need: np.ndarray) -> np.ndarray:
        read.append(frame)
        return np.full((need.sum(), 1), frame, np.float16)

    total = np.zeros((5, 1), np.float32)
    fusion.accumulate(total, samples, (2, 2), cells)
    assert read == [1, 4]
    assert total.ravel().tolist() == [1, 0, 0, 5, 0]


def test_samples_beyond_the_outermost_centres_are_clamped_to_them() -> None:
    to_grid = covering(40, 30, 4, 3)
    grid = looking(1, 3, 4, to_grid)
    uv = [[-0.5, -0.5], [39.5, 29.5], [-0.5, 14.5], [19.5, 29.5]]
    seen = pairs([0, 4], [0, 1, 2, 3], uv, [1, 1, 1, 1])
    out = room.run(targets, {}, embeddings=embeddings(grid, to_grid), projections=seen)
    expected = [[4.5, 4.5, 0], [34.5, 24.5, 0], [4.5, 14.5, 0], [19.5, 24.5, 0]]
    np.testing.assert_allclose(out["feature"][:], expected, atol=1e-2)


def test_a_scan_in_which_nothing_is_seen_has_no_target() -> None:
    to_grid = covering(40, 30, 4, 3)
    out = room.run(
        targets,
        {},
        embeddings=embeddings(looking(2, 3, 4, to_grid), to_grid),
        projections=pairs([0, 0, 0], [], [], []),
    )
    assert out["feature"].shape == (0, 3)
    assert out["voxel"].shape == out["views"].shape == (0,)


@pytest.mark.parametrize("weight", [room.PROJECTIONS["weight"], room.EQUAL_WEIGHTS])
def test_what_a_tower_that_says_where_it_looks_gives_is_where_voxels_are_seen(
    weight: dict[str, Any],
) -> None:
    """From raw frames and points to features: each must be the mean of the voxel's own pixels."""
    size, columns, rows = (320, 240), 20, 15
    raw = room.recording(n_frames=5, color_size=size, depth_size=(240, 180))
    framed = room.run(frames, {"every": 1}, raw=raw)
    voxel_entry = room.run(voxels, {"voxel_size": 0.1}, raw=room.cloud(0.06))
    params = {**room.PROJECTIONS, "border": 8, "weight": weight}
    seen = room.run(projections, params, frames=framed, voxels=voxel_entry)
    to_grid = covering(*size, columns, rows)
    grid = looking(5, rows, columns, to_grid)
    out = room.run(targets, {}, embeddings=embeddings(grid, to_grid), projections=seen)

    xyz, offsets = voxel_entry["voxel_xyz"][:], seen["offsets"][:]
    sums, total = np.zeros((len(xyz), 3)), np.zeros((len(xyz), 1))
    for f, pose in enumerate(raw.poses):
        mine = slice(offsets[f], offsets[f + 1])
        index, w = seen["voxel"][mine], seen["weight"][mine].astype(float)[:, None]
        in_camera = geometry.transform(np.linalg.inv(pose), xyz[index])
        uv = geometry.project(raw.color_intrinsics, in_camera)
        sums[index] += w * np.column_stack([uv, np.full(len(uv), f)])
        total[index] += w
    np.testing.assert_array_equal(out["voxel"][:], np.flatnonzero(total))
    assert len(out["voxel"][:]) > 1000
    assert len(out["voxel"][:]) < len(xyz), "what no frame sees is absent"
    assert out["views"][:].max() > 2
    expected = (sums / np.maximum(total, 1e-9))[out["voxel"][:]]
    np.testing.assert_allclose(out["feature"][:], expected, rtol=1e-3, atol=2e-3)
    assert out["feature"].dtype == np.float16
    assert out["feature"].chunks[0] == 4096


# Segments


def segmented(segment: Any) -> Any:
    out = zarr.create_group(zarr.storage.MemoryStore())
    arrays.write(out, "voxel_segment", np.array(segment, np.int32))
    return out


def blended_slowly(feature: np.ndarray, segment: list[int], share: float) -> np.ndarray:
    """Voxel by voxel, as one would write it down."""
    out = feature.copy()
    for i, mine in enumerate(segment):
        if mine >= 0:
            members = [feature[j] for j, other in enumerate(segment) if other == mine]
            out[i] = (1 - share) * feature[i] + share * np.mean(members, axis=0)
    return out


@given(scenes(), st.sampled_from([0.25, 1.0]), st.integers(0, 2**32), st.integers(1, 12))
@settings(max_examples=25)
def test_a_feature_moves_towards_the_mean_of_its_segment(
    scene: Any, share: float, seed: int, rows: int
) -> None:
    grid, to_grid, seen = scene
    given = {"embeddings": embeddings(grid, to_grid), "projections": seen}
    plain = room.run(targets, {"segments": 0}, **given)
    voxel = plain["voxel"][:].astype(int)
    segment = np.random.default_rng(seed).integers(-1, 4, 60) * 7
    segment[segment < 0] = -1
    blocks = targets.Blocks(rows)
    out = room.run(targets, {"segments": share}, **given, voxels=segmented(segment), blocks=blocks)
    feature = plain["feature"][:].astype(float)
    expected = blended_slowly(feature, segment[voxel].tolist(), share)
    np.testing.assert_allclose(out["feature"][:], expected, rtol=1e-3, atol=2e-3)
    for name in ("voxel", "views"):
        np.testing.assert_array_equal(out[name][:], plain[name][:])


def test_voxels_are_upstream_of_targets_only_where_segments_are_averaged(tmp_path: Any) -> None:
    plain, facts = tiny_store.plan(tmp_path), tiny_store.facts(tmp_path)
    assert plain.upstream("targets") == ("embeddings", "projections")
    facts["section"]["targets"] = {"segments": 0.5}
    plan = Plan(Facts.from_json(facts))
    assert plan.upstream("targets") == ("embeddings", "projections", "voxels")
    assert ("voxels", "scene0000_00") in plan.inputs("targets", "scene0000_00")
    assert plan.keys["targets"] != plain.keys["targets"]
    assert plan.keys["embeddings"] == plain.keys["embeddings"]
