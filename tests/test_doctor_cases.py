"""Scans as people had them, which the doctor called fine or advised wrongly about."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from pipeline.doctor import checks, colours, views
from tests.helpers import planted, planting
from tests.helpers.planted import Fault, Recorded, inverted

RAW = planted.analytic(np.random.default_rng(7), 14)


def sentences(raw: Recorded) -> Sequence[str]:
    """What the doctor finds in a recording without a cloud."""
    return [str(each) for each in checks.examine(raw, views.take(raw, 12), None).findings]


@pytest.mark.parametrize("unit", [5000, 4000, 6553.5, 10000, 256, 100])
def test_depth_in_another_unit_is_named_and_not_inverted_poses(unit: float) -> None:
    (sentence,) = sentences(planted.depth_unit(RAW, unit).recording)
    assert f"set the depth scale to {unit:g} " in sentence
    assert "invert" not in sentence


def test_depth_in_millimetres_read_as_one_of_tum() -> None:
    (sentence,) = sentences(replace(RAW, depth_scale=5000.0))
    assert "set the depth scale to 1000 " in sentence


@pytest.mark.parametrize("factor", [3.7, 0.4])
def test_positions_of_any_scale_are_named_with_their_factor(factor: float) -> None:
    (sentence,) = sentences(planted.pose_scale(RAW, factor).recording)
    stated = float(sentence.split("translations of the poses by ")[1].rstrip("."))
    assert abs(stated * factor - 1) < 0.03


def test_another_camera_is_named_with_its_focal_length() -> None:
    (sentence,) = sentences(planted.intrinsics(RAW, (0.81, 0.81), (0, 0)).recording)
    stated = float(sentence.split("from the frames, about ")[1].split(",")[0])
    assert abs(stated / RAW.depth_intrinsics[0, 0] - 1) < 0.03


MIRROR = np.diag([1.0, -1.0, 1.0, 1.0])


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (planted.turned(RAW, "ROTATE_180"), "colour looks upside down against depth"),
        (planted.poses(RAW, "", lambda p: MIRROR @ p @ MIRROR, ()), "look left-handed"),
        (planted.poses(RAW, "", planted.transposed, ()), "transpose the rotation"),
        (planted.poses(RAW, "", inverted, ()), "look like world-to-camera matrices"),
    ],
    ids=["EXIF", "left-handed", "transposed", "inverted"],
)
def test_what_passed_before_is_named(fault: Fault, words: str) -> None:
    (sentence,) = sentences(fault.recording)
    assert words in sentence


def test_two_scales_that_frames_cannot_tell_apart_are_both_said() -> None:
    raw = planted.depth_unit(RAW, 512).recording  # depth of 1.5 m is as likely as one of 3 m
    (sentence,) = sentences(raw)
    assert "set the depth scale to 512 " in sentence
    assert "or multiply the translations of the poses by " in sentence
    assert "(frames cannot tell which)" in sentence


def test_colour_is_not_judged_where_frames_disagree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(colours, "misread", lambda sample: colours.OTHERS[0])  # as by chance
    (sentence,) = sentences(planting.unknown(np.random.default_rng(1), RAW).recording)
    assert "no usual mistake explains it" in sentence
    assert "colour looks" not in sentence
