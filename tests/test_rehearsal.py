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


def test_the_table_extrapolates_means_to_the_official_scans(tmp_path: Path) -> None:
    for scan, seconds in (("a", 1.0), ("b", 3.0)):
        path = tmp_path / "store/scannet/targets/key/.records" / f"{scan}.zarr.zip.0.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        record = {"seconds": seconds, "cpu": 0.5, "memory_mb": 90 + seconds, "bytes": 2e8}
        path.write_text(json.dumps(record))
    head, row = rehearsal.report(tmp_path, "scannet").splitlines()
    assert head.split()[-3:] == ["h,", "1513", "GB"]
    assert row.split() == ["targets", "2", "2.00", "0.50", "93", "200.00", "0.8", "302.6"]


def test_presets_whose_tower_can_be_made_here_keep_their_other_settings(tmp_path: Path) -> None:
    (tmp_path / "open_clip_model.safetensors").touch()  # the tower is there
    for name in ("fast", "good"):
        found, said = rehearsal.write_weights(tmp_path, name), presets()[name]["embeddings"]
        changed: dict[str, Any] = {"model": f"local-dir:{tmp_path}", "pretrained": None}
        assert found == {**said, **changed}
