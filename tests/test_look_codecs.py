"""The report on codecs agrees with each codec written out by hand."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipeline.cli.main import main
from pipeline.grids import codecs
from pipeline.grids.affine import pixel_to_grid
from pipeline.grids.codecs import low_rank
from pipeline.look import codecs as report
from pipeline.look import measure, sample
from pipeline.plan import config
from tests.helpers import tiny_checkout

FIRST = "scene0000_00"


def test_the_report_has_every_codec_and_leaves_nothing_else(inside: Path) -> None:
    result = CliRunner().invoke(main, ["look", "codecs", "scannet", "--frames", "2"])
    assert result.exit_code == 0
    printed = result.stdout
    folder = Path("results/scannet/look")
    assert {path.name for path in folder.iterdir()} == {
        f"codecs.{kind}" for kind in ("txt", "json", "csv", "png")
    }
    assert not Path("store").exists()
    assert not Path("work").exists()
    text = (folder / "codecs.txt").read_text()
    assert printed.startswith(text)
    names = tuple(codecs.names())
    listed = [line.split()[0] for line in text.splitlines() if line.startswith(names)]
    found = json.loads((folder / "codecs.json").read_text())
    with (folder / "codecs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    of_json = [cost["codec"] for cost in found["codecs"]]
    assert listed == of_json == [row["codec"] for row in rows] == list(names)
    for row, cost in zip(rows, found["codecs"], strict=True):
        assert float(row["same_class"]) == cost["same_class"]
    assert list(found["frames"]) == list(tiny_checkout.SCANS)
    with Image.open(folder / "codecs.png") as image:
        image.load()


def test_bytes_are_those_of_the_arrays_and_of_the_frames_that_a_run_takes(
    inside: Path, tmp_path: Path
) -> None:
    plan = config.plan("scannet", wanted=False)
    samples = sample.take(plan, [FIRST], 2)
    found = report.costs(sample.Reader(plan, codec="fp16"), samples, tmp_path)
    frames, high, wide, depth = found.grids[FIRST]
    assert (frames, found.taken) == (2, {FIRST: samples[0].taken})
    assert samples[0].taken > 2
    fp16, int8, smallest = found.codecs
    assert fp16.bytes_per_frame == high * wide * depth * 2
    assert int8.bytes_per_frame == high * wide * (depth + 2)
    assert fp16.bytes_per_scan == samples[0].taken * fp16.bytes_per_frame
    rank = sum(low_rank.bands_of(depth))
    directions = rank * (depth + 2 + 4 + 4)  # basis, its scale, and the levels
    grids = samples[0].taken * smallest.bytes_per_frame
    assert smallest.bytes_per_scan == grids + directions
    size = (tmp_path / f"{FIRST}.int8.zarr.zip").stat().st_size
    assert 2 * int8.bytes_per_frame < size < 2 * int8.bytes_per_frame + 5000  # of zarr's and zip's


def test_likeness_is_that_of_each_codec_written_out_by_hand(inside: Path, tmp_path: Path) -> None:
    plan = config.plan("scannet", wanted=False)
    samples = sample.take(plan, [FIRST], 2)
    reader = sample.Reader(plan, codec="fp16")
    found = {cost.codec: cost for cost in report.costs(reader, samples, tmp_path).codecs}
    exact, text = reader.exact(samples[0]), reader.classes()
    size = samples[0].color_size
    uv = measure.pixels(size, report.PIXELS, 0)
    rounded = exact.astype(np.float16).astype(np.float32)
    scale = np.abs(rounded).max(-1, keepdims=True) / 127
    coded = np.rint(rounded / scale) * scale
    for codec, grids in (("fp16", rounded), ("int8", coded)):
        a, b = (np.concatenate([read_by_hand(g, uv, size) for g in of]) for of in (grids, exact))
        cosine = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
        same = (a @ text.T).argmax(1) == (b @ text.T).argmax(1)
        assert found[codec].cosine_mean == pytest.approx(cosine.mean(), abs=1e-5)
        assert found[codec].cosine_1st_percentile == pytest.approx(
            np.percentile(cosine, 1), abs=1e-5
        )
        assert found[codec].same_class == pytest.approx(same.mean(), abs=0.002)
    kept = [found[codec].cosine_mean for codec in codecs.names()]
    assert kept == sorted(kept, reverse=True)
    assert kept[2] < kept[1]


def read_by_hand(grid: np.ndarray, uv: np.ndarray, size: list[int]) -> np.ndarray:
    """The grid (h, w, d) at pixels (P, 2), one pixel after the other."""
    high, wide, _ = grid.shape
    (ax, bx), (ay, by) = pixel_to_grid(size, (wide, high))
    out = []
    for u, v in uv.astype(float):
        x, y = np.clip(ax * u + bx, 0, wide - 1), np.clip(ay * v + by, 0, high - 1)
        left, top = min(int(x), wide - 2), min(int(y), high - 2)
        row = (1 - x + left) * grid[top : top + 2, left] + (x - left) * grid[
            top : top + 2, left + 1
        ]
        out.append((1 - y + top) * row[0] + (y - top) * row[1])
    return np.array(out)


@given(st.integers(1, 40), st.integers(1, 6), st.integers(2, 8), st.integers(0, 2**32))
def test_only_directions_count_and_pixels_without_an_embedding_are_left_out(
    count: int, classes: int, depth: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    exact, text = rng.normal(size=(count, depth)), rng.normal(size=(classes, depth))
    nothing = rng.random(count) < 0.3
    exact[nothing] = 0
    longer = exact * rng.uniform(0.5, 2, (count, 1))
    cosine, same = measure.compare(*(v.astype(np.float32) for v in (longer, exact, text)))
    assert len(cosine) == len(same) == count - nothing.sum()
    np.testing.assert_allclose(cosine, 1, atol=1e-6)
    opposite, _ = measure.compare(*(v.astype(np.float32) for v in (-longer, exact, text)))
    np.testing.assert_allclose(opposite, -1, atol=1e-6)


def test_a_codec_that_cannot_store_the_embeddings_is_left_out_and_said(
    inside: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(low_rank, "LEAST_DEPTH", 10**6)
    plan = config.plan("scannet", wanted=False)
    reader = sample.Reader(plan, codec="fp16")
    found = report.costs(reader, sample.take(plan, [FIRST], 1), tmp_path)
    assert [cost.codec for cost in found.codecs] == ["fp16", "int8"]
    text = report.format_report(found, "a title")
    assert "Left out is low_rank: " in text
    assert "are too short for the codec low_rank" in text


def test_what_is_missing_is_said_in_one_sentence(inside: Path) -> None:
    result = CliRunner().invoke(main, ["look", "codecs", "demo"])
    assert result.exit_code == 1
    assert "is not simulated yet" in result.stderr
    assert result.stderr.count("\n") == 1
