"""What a user looks at before a run: it shows what a run would make, and makes nothing of it."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from pipeline.cli.main import main
from pipeline.errors import BadInput
from pipeline.look import drawing, picture, sample
from pipeline.plan import config

FIRST = "scene0000_00"


def test_a_picture_of_raw_frames_is_written_before_anything_was_run(
    inside: Path,
) -> None:
    asked = ["--frames", "1", "--query", "chair", "--query", "table"]
    result = CliRunner().invoke(main, ["look", "picture", "scannet", *asked])
    assert result.exit_code == 0
    path = Path("results/scannet/look/picture.png")
    assert result.stdout == f"3 frames of 3 scans: {path}\n"
    with Image.open(path) as image:
        image.load()
        assert image.width > 1000
    assert not Path("store").exists()
    assert not Path("work").exists()


def test_classes_and_queries_at_a_pixel_are_those_of_the_embedding_that_a_run_reads_there(
    inside: Path,
) -> None:
    plan = config.plan("scannet", wanted=False)
    (one,) = sample.take(plan, [FIRST], 2)
    reader = sample.Reader(plan)
    rows = picture.rows(reader, [one], ["chair"])
    entry = sample.memory()
    reader.embed(one, entry)
    grids = picture.Grids(entry, reader.codec)
    text = np.concatenate([reader.classes(), reader.queries(["chair"])])
    for index, row in enumerate(rows):
        high, wide = row.image.shape[:2]
        color = np.array(one.frames.attrs["color_size"])
        v, u = np.mgrid[:high, :wide].reshape(2, -1)
        uv = (np.stack([u, v], 1) + 0.5) * (color / (wide, high)) - 0.5
        score = grids.read(index, uv.astype(np.float32)) @ text.T
        close = np.abs(row.near[0].ravel() - score[:, -1])
        assert close.max() < 1e-3
        picked = np.take_along_axis(score[:, :-1], row.best.reshape(-1, 1), 1)[:, 0]
        assert (picked > score[:, :-1].max(1) - 1e-3).all()


def test_frames_are_spread_over_those_that_a_run_takes(inside: Path) -> None:
    plan = config.plan("scannet", wanted=False)
    (few,) = sample.take(plan, [FIRST], 2)
    (all_,) = sample.take(plan, [FIRST], 10**6)
    assert len(all_.ids) == all_.taken == few.taken
    assert 0 not in all_.ids, "tracking was lost there"
    assert few.ids == [all_.ids[int(0.25 * all_.taken)], all_.ids[int(0.75 * all_.taken)]]
    assert [len(blob) > 0 for blob in few.blobs] == [True, True]


def test_scans_that_are_not_there_are_passed_over_unless_they_are_named(
    inside: Path, tmp_path: Path
) -> None:
    plan = config.plan("scannet", wanted=False)
    partial = tmp_path / "raw"
    shutil.copytree("raw", partial)
    shutil.rmtree(partial / "scans" / FIRST)
    plan.section["raw"] = str(partial)  # type: ignore[index]
    assert [one.scan for one in sample.take(plan, None, 1)] == ["scene0001_00", "scene0002_00"]
    with pytest.raises(BadInput, match=FIRST):
        sample.take(plan, [FIRST], 1)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["s3dis"], "data/s3dis: is not a folder; set `raw`"),
        (["demo"], "is not simulated yet; run: snakemake --cores all demo_simulate"),
        (["scannet", "--scan", "kitchen"], "names no scan 'kitchen'; name one like scene0000_00"),
    ],
)
def test_what_is_missing_is_said_in_one_sentence(
    inside: Path, arguments: list[str], said: str
) -> None:
    result = CliRunner().invoke(main, ["look", "picture", *arguments])
    assert result.exit_code == 1
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


def test_classes_have_their_own_colours_or_such_as_differ() -> None:
    given = drawing.colors([{"name": "wall", "color": "#ff0000"}])
    assert given.tolist() == [[1, 0, 0]]
    made = drawing.colors([{"name": str(i)} for i in range(30)])
    apart = np.abs(made[:, None] - made).max(-1) + np.eye(len(made))
    assert apart.min() > 0.05
