"""The alternatives that the benchmark of views compares are what they are called."""

from pathlib import Path

import numpy as np
import pytest
import zarr

from pipeline.grids.codecs import fp16
from pipeline.stages import targets
from pipeline.store import arrays
from tests.helpers import ways_to_fuse as ways
from tests.helpers.ways_to_fuse import EMBEDDINGS, PROBABILITIES, Views

VOXELS, FRAMES, DEPTH = 12, 5, 6


def views_of(sample: np.ndarray, seed: int = 0) -> Views:
    """Every voxel seen by every frame, with these samples (FRAMES, VOXELS, DEPTH)."""
    rng = np.random.default_rng(seed)
    frame, row = np.divmod(np.arange(FRAMES * VOXELS), VOXELS)
    return Views(
        sample=sample.reshape(-1, DEPTH).astype(np.float32),
        weight=rng.uniform(0.1, 1, len(row)).astype(np.float32),
        frame=frame,
        row=row,
        superpoint=np.repeat([0, 1, -1], 4).astype(np.int32),
        xyz=rng.uniform(0, 0.4, (VOXELS, 3)).astype(np.float32),
        normal=np.eye(3, dtype=np.float32)[rng.integers(0, 3, VOXELS)],
        text=np.eye(4, DEPTH, dtype=np.float32),
        present=np.array([True, True, True, False]),
    )


@pytest.mark.parametrize("name", EMBEDDINGS)
def test_views_that_agree_stay_what_they_are(name: str) -> None:
    """All of one direction, so that nothing is to be smoothed either."""
    one = np.random.default_rng(1).normal(size=DEPTH).astype(np.float32)
    found = ways.unit(EMBEDDINGS[name](views_of(np.broadcast_to(one, (FRAMES, VOXELS, DEPTH)))))
    np.testing.assert_allclose(found, np.tile(ways.unit(one), (VOXELS, 1)), atol=1e-5)


@pytest.mark.parametrize("name", PROBABILITIES)
def test_probabilities_are_of_the_tags(name: str) -> None:
    views = views_of(np.random.default_rng(2).normal(size=(FRAMES, VOXELS, DEPTH)))
    found = PROBABILITIES[name](views)
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-5)
    assert not found[:, ~views.present].any()


def test_a_median_and_a_medoid_leave_out_a_view_that_is_wrong() -> None:
    right, wrong = np.eye(DEPTH)[0], np.eye(DEPTH)[1]
    sample = np.broadcast_to(right, (FRAMES, VOXELS, DEPTH)).copy()
    sample[2] = wrong
    views = views_of(sample)
    views.weight[:] = 1
    for way in (ways.medoid, ways.geometric_median):
        assert (ways.unit(way(views)) @ right > 0.999).all()
    assert (ways.unit(views.mean(views.weight)) @ right < 0.98).all()


def test_the_default_is_what_the_stage_writes(tmp_path: Path) -> None:
    """Frames of grids of one row, in which each voxel has a cell of its own."""
    grid = np.random.default_rng(3).normal(size=(FRAMES, 1, VOXELS, DEPTH)).astype(np.float16)
    views = views_of(grid)
    embeddings, projections, out = (zarr.create_group(tmp_path / n) for n in "epo")
    embeddings.attrs.update(codec="fp16", pixel_to_grid=[[1, 0], [1, 0]])
    arrays.write(embeddings, "grid", grid)
    weight = views.weight.astype(np.float16)
    pairs: dict[str, np.ndarray] = {
        "offsets": np.arange(0, len(weight) + 1, VOXELS),
        "voxel": views.row.astype(np.uint32),
        "uv": np.column_stack([views.row, np.zeros_like(views.row)]).astype(np.float32),
        "weight": weight,
    }
    for name, values in pairs.items():
        arrays.write(projections, name, values)
    targets.Worker({}, {"codec": fp16})(out, embeddings, projections)
    mean = views.mean(weight.astype(np.float32))
    np.testing.assert_allclose(np.asarray(out["feature"]), mean, atol=2e-3)
