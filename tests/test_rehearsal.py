"""The rehearsal at real size repeats frames truly, and its table is what the records say."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.plan.presets import presets
from pipeline.readers.scannet.sens import SensFile
from pipeline.simulate.scannet_sens import write_sens
from tests.benchmarks import rehearsal
from tests.helpers.tiny_scannet import SENSOR, frames


def test_frames_are_repeated_up_to_the_number_that_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.sens"
    write_sens(path, SENSOR, frames(3))
    rehearsal.repeat(path, 8)
    found = SensFile(path)
    assert list(found.frame_ids) == list(range(8))
    for number in range(8):
        frame, first = found.read(number), frames(3)[number % 3]
        assert frame.color == first.color
        np.testing.assert_array_equal(frame.depth, first.depth)
        np.testing.assert_array_equal(frame.camera_to_world, first.camera_to_world)
    assert (found.color_size, found.depth_size) == (SENSOR.color_size, SENSOR.depth_size)


def test_every_rendered_frame_is_among_those_that_the_default_step_takes() -> None:
    taken = {number % rehearsal.RENDERED for number in range(0, 1600, 20)}
    assert taken == set(range(rehearsal.RENDERED))


def test_the_table_extrapolates_to_the_official_scans_and_their_frames(tmp_path: Path) -> None:
    plan = tmp_path / "checkout/work/scannet/plan.json"
    plan.parent.mkdir(parents=True)
    plan.write_text(json.dumps({"keys": dict.fromkeys(("targets", "text", "voxels"), "key")}))
    for stage, scan, seconds in (
        ("targets of other settings", "a", 9.0),
        *(("targets", "a", 1.0), ("targets", "b", 3.0), ("text", "classes", 1.0)),
        *(("voxels", "a", 2.0), ("voxels", "b", 2.0)),
    ):
        path = tmp_path / f"store/scannet/{stage}/key/.records" / f"{scan}.zarr.zip.0.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        record = {"seconds": seconds, "cpu": 0.5, "memory_mb": 90 + seconds, "bytes": 2e8}
        path.write_text(json.dumps(record))
    _, *rows = rehearsal.report(tmp_path, "scannet", 800).splitlines()
    assert [row.split() for row in rows] == [
        ["targets", "2", "2.00", "0.50", "93", "200.00", "1.7", "302.6"],  # time is by frames
        ["text", "1", "1.00", "0.50", "91", "200.00"],
        ["voxels", "2", "2.00", "0.50", "92", "200.00", "0.8", "302.6"],
    ]


def test_presets_whose_tower_can_be_made_here_keep_their_other_settings(tmp_path: Path) -> None:
    (tmp_path / "open_clip_model.safetensors").touch()  # the tower is there
    for name in ("fast", "good"):
        found, said = rehearsal.write_weights(tmp_path, name), presets()[name]["embeddings"]
        changed: dict[str, Any] = {"model": f"local-dir:{tmp_path}", "pretrained": None}
        assert found == {**said, **changed}
