"""Presets are compared by eye and by cost on raw frames, before anything is run."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from pipeline.cli.main import main
from pipeline.errors import BadInput
from pipeline.look import presets as report
from pipeline.look import sample
from pipeline.plan import config, presets
from tests.helpers import tiny_clip, tiny_tips

FIRST = "scene0000_00"
WHOLE = {"pretrained": None, "recipe": "value", "window": None, "stride": None}
WINDOWS = {"pretrained": None, "recipe": "value_residual", "window": 56, "stride": 35}


@pytest.fixture
def inside(inside: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    clip, tips = tiny_clip.write(tmp_path / "clip"), tiny_tips.write(tmp_path / "tips")
    text = {"templates": ["a {}"]}
    known: dict[str, Any] = {
        "fast": {"embeddings": {"model": clip, "image_size": [64, 48], **WHOLE}, "text": text},
        "good": {"embeddings": {"model": tips, "image_size": [84, 56], **WINDOWS}, "text": text},
        "best": {"embeddings": {"model": "local-dir:none", "image_size": None, **WHOLE}},
    }
    monkeypatch.setattr(presets, "presets", lambda: known)
    return inside


def test_presets_are_drawn_below_each_other_with_time_and_bytes(inside: Path) -> None:
    asked = ["look", "presets", "scannet", "--query", "chair", "--scan", FIRST, "--frames", "2"]
    result = CliRunner().invoke(main, asked)
    assert result.exit_code == 0, result.output
    prefix = Path("results/scannet/look/presets")
    found = json.loads(prefix.with_suffix(".json").read_text())["presets"]
    assert [each["preset"] for each in found] == ["fast", "good"]
    assert [each["grid"] for each in found] == [[6, 8, 24], [4, 6, 32]]
    for each in found:
        assert each["bytes_per_frame"] >= 2 * np.prod(each["grid"])
        assert each["seconds_per_frame"] > 0
    assert "Left out is best: " in result.stdout
    with Image.open(prefix.with_suffix(".png")) as image:
        image.load()
        assert image.height > image.width, "two presets on each of two frames"
    assert not Path("store").exists()


def test_a_preset_is_looked_at_as_a_run_with_it_reads(inside: Path) -> None:
    plan = config.plan("scannet", wanted=False)
    chosen = report.with_preset(plan, "good")
    assert chosen.section["embeddings"].items() >= WINDOWS.items()
    assert chosen.section["text"] == {"templates": ["a {}"]}
    assert chosen.section["frames"] == plan.section["frames"]
    (one,) = sample.take(plan, [FIRST], 1)
    cost, (row,) = report._read(chosen, "good", [one], ["chair"])
    assert cost.bytes_per_scan == pytest.approx(one.taken * cost.bytes_per_frame, rel=0.2)
    assert 0.9 < np.clip(row.near, 0, 1).max() <= 1
    assert row.title.startswith("good\n")


def test_a_word_that_is_no_preset_and_presets_without_weights_are_told(inside: Path) -> None:
    plan = config.plan("scannet", wanted=False)
    with pytest.raises(BadInput, match="'gut' is not one of the presets; use one of fast, good"):
        report.write_report(plan, ["gut"], [FIRST], 1, [])
    with pytest.raises(BadInput, match="none"):
        report.write_report(plan, ["best"], [FIRST], 1, [])
