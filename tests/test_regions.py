"""Averaging within regions of the image is what its description says, and is off unless asked."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.clip import regions
from pipeline.facts import Facts
from pipeline.plan import config, schema
from pipeline.plan.plan import Plan
from tests.helpers import tiny_clip, tiny_store

TOWER: dict[str, Any] = {
    "pretrained": None,
    "recipe": "plain",
    "image_size": None,
    "window": None,
    "stride": None,
    "batch": 4,
}


def averaged_slowly(cells: np.ndarray, region: np.ndarray) -> np.ndarray:
    """Pixel by pixel, as one would write it down."""
    high, wide, _ = cells.shape
    rows, columns = (
        [(2 * pixel + 1) * count // (2 * pixels) for pixel in range(pixels)]
        for pixels, count in zip(region.shape, (high, wide), strict=True)
    )
    of_pixel = np.array([[cells[row, column] for column in columns] for row in rows], float)
    pooled = of_pixel.copy()
    for name in np.unique(region):
        pooled[region == name] = of_pixel[region == name].mean(0)
    sums = np.zeros(cells.shape)
    for y, row in enumerate(rows):
        for x, column in enumerate(columns):
            sums[row, column] += pooled[y, x]
    return sums / np.linalg.norm(sums, axis=-1, keepdims=True)


@given(
    *(st.integers(1, 5) for _ in range(3)),
    *(st.integers(0, 9) for _ in range(2)),
    st.integers(0, 2**32),
)
def test_a_cell_becomes_the_mean_of_its_pixels_regions(
    high: int, wide: int, names: int, more_y: int, more_x: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    cells = rng.normal(size=(high, wide, 6)) + 2
    region = rng.integers(0, names, (2 * high + more_y, 2 * wide + more_x)) * 2  # some are empty
    found = regions.Regions(100, 50).average(cells, region)
    np.testing.assert_allclose(found, averaged_slowly(cells, region), atol=1e-5)


def test_two_halves_of_an_image_are_parted_where_their_colours_meet() -> None:
    image = np.full((40, 60, 3), 200, np.uint8)
    image[:, 30:] = (10, 90, 30)
    cells = np.random.default_rng(0).normal(size=(4, 6, 8)).astype(np.float32)
    by = regions.Regions(scale=100, smallest=50)
    found = by.average(cells, by.of(image))
    for half in (slice(0, 3), slice(3, 6)):
        mean = cells[:, half].mean((0, 1))
        expected = np.broadcast_to(mean / np.linalg.norm(mean), (4, 3, 8))
        np.testing.assert_allclose(found[:, half], expected, atol=1e-5)


def test_the_stage_reads_as_the_tower_does_and_averages_then(tmp_path: Path) -> None:
    model = {"model": tiny_clip.write(tmp_path / "clip")}
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 40, 3), np.uint8)
    images[:, :, :20] //= 4
    plain = tiny_clip.embedder(model | TOWER).read(images)
    asked = {"regions": {"scale": 30, "smallest": 20}}
    pooled = tiny_clip.embedder(model | TOWER | asked).read(images)
    assert (pooled.shape, pooled.dtype) == (plain.shape, np.float16)
    assert not np.array_equal(pooled, plain)
    by = regions.Regions(**asked["regions"])
    for grid, image, found in zip(plain, images, pooled, strict=True):
        np.testing.assert_array_equal(by.average(grid, by.of(image)), found)


def test_what_parts_images_is_in_the_key_only_where_it_is_asked_for(tmp_path: Path) -> None:
    plain, facts = tiny_store.plan(tmp_path), tiny_store.facts(tmp_path)
    facts["section"]["embeddings"]["regions"] = {"scale": 100, "smallest": 50}
    asked = Plan(Facts.from_json(facts))
    assert "scikit-image" not in plain.recipe("embeddings")["packages"]
    assert {"scikit-image", "torch"} <= asked.recipe("embeddings")["packages"].keys()
    assert asked.keys["text"] == plain.keys["text"]


@pytest.mark.parametrize("asked", [None, "{}"])
def test_the_schema_leaves_it_off_and_has_defaults_for_it(tmp_path: Path, asked: Any) -> None:
    text = (schema.SCHEMA.parent / "config.yaml").read_text()
    line = "preset: good" + (f"\n    regions: {asked}" if asked else "")
    path = tmp_path / "config.yaml"
    path.write_text(text.replace("preset: good", line))
    found = config.load(path)["scannet"]["embeddings"].get("regions")
    assert found == ({"scale": 100, "smallest": 50} if asked else None)
