"""Why frames disagree: what is usually wrong is tried in order, and what helps is reported.

A reading is reported only if with it the frames agree as those of right scans, and clearly better
than before. The first in the order is taken unless a later one is better by far.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipeline.doctor import colours, lenses, quaternions, readings, scales
from pipeline.doctor.judge import Judge, Verdict
from pipeline.doctor.readings import Change, Reading
from pipeline.doctor.views import Sample, View
from pipeline.scan import RawFrames

GOOD = 0.0025  # share of the depth: a smaller disagreement is noise, and needs no explanation
_BETTER = 0.6  # a later reading is preferred if at most this share is left
_ENOUGH = 0.1  # share of the disagreement: where less is left, no other reading is tried
_LARGE = 0.5  # of the bound: from here on the axes of cameras are doubted too
_SHIFTS = (1, -1, 2, -2, 3, -3, 4, -4, 5, -5)  # frames that poses may be off
_CLOSER_LOOK = 4  # of the rare conventions


@dataclass(frozen=True)
class Explanation:
    """One or more readings (the frames cannot tell them apart), and how well each agrees."""

    readings: list[Reading]
    verdict: Verdict
    shift: int = 0  # frames that poses are off


def explain(judge: Judge, sample: Sample, raw: RawFrames) -> Explanation | None:
    """What the scan's frames support instead of what the files say, None if nothing."""
    if judge.given.part <= GOOD:
        return None
    found: list[Explanation] = []
    for each in _single(judge, sample, raw):
        found.append(each)
        if each.verdict.part <= _ENOUGH * judge.given.part:
            return each
    found = found or list(_double(judge, sample, raw))
    if not found:
        return None
    best = min(each.verdict.part for each in found)
    return next(each for each in found if best >= _BETTER * each.verdict.part)


def _single(judge: Judge, sample: Sample, raw: RawFrames) -> Iterator[Explanation]:
    yield from _scale(judge, sample, raw, Reading("", "", lambda view: view))
    yield from _accepted(judge, readings.USUAL)
    yield from _out_of_step(judge, sample)
    if np.inf > judge.given.ratio > _LARGE:
        rare = [*readings.rare(), *quaternions.readings(raw)]
        looks = [judge.first_look(each.change) for each in rare]
        yield from _accepted(judge, [rare[i] for i in np.argsort(looks)[:_CLOSER_LOOK]])
    if judge.given.agreement is not None and (lens := lenses.reading(judge, raw)):
        yield from _accepted(judge, [lens])


def _double(judge: Judge, sample: Sample, raw: RawFrames) -> Iterator[Explanation]:
    """Usual conventions and another unit at once, as structure from motion gives them."""
    if judge.given.ratio > _LARGE:
        for reading in readings.USUAL:
            yield from _scale(judge, sample, raw, reading)


def _accepted(judge: Judge, tried: Sequence[Reading]) -> Iterator[Explanation]:
    for reading in tried:
        if verdict := judge.explains(reading):
            yield Explanation([reading], verdict)


def _scale(judge: Judge, sample: Sample, raw: RawFrames, first: Reading) -> Iterator[Explanation]:
    units = scales.Units(raw.depth_scale, sample.far)
    factor = scales.best_factor(judge, units, first.change)
    if factor is None or abs(np.log(factor)) < scales.SAME / 2:
        return
    both = [_joined(first, each) for each in scales.readings(factor, units)]
    kept = [(each, verdict) for each in both if (verdict := judge.explains(each))]
    if judge.reference is not None:  # the points are in metres, and tell
        kept = sorted(kept, key=lambda pair: pair[1].apart or 0.0)[:1]
    if kept:
        yield Explanation([reading for reading, _ in kept], kept[0][1])


def _joined(first: Reading, then: Reading) -> Reading:
    if not first.what:
        return then

    def change(view: View) -> View | None:
        changed = first.change(view)
        return None if changed is None else then.change(changed)

    return Reading(
        f"{first.what}, and {then.what}",
        f"{first.remedy.split(':')[0]}; then {then.remedy}",
        change,
    )


def _out_of_step(judge: Judge, sample: Sample) -> Iterator[Explanation]:
    for shift in _SHIFTS:
        count = f"{abs(shift)} frames" if abs(shift) > 1 else "the frame"
        word = "before" if shift < 0 else "after"
        what = f"poses look out of step with images: those of {count} {word} each fit"
        remedy = "export the recording again with matched times, or rename the poses"
        reading = Reading(what, remedy, _with_pose_of(sample, shift))
        if verdict := judge.explains(reading):
            yield Explanation([reading], verdict, shift)


def depth_alone(sample: Sample, found: Explanation) -> bool:
    """Whether colour belongs to the poses as given, and only depth is out of step."""
    change = _with_pose_of(sample, found.shift)
    pairs = ((place, change(view)) for place, view in sample.views.items())
    views = {place: view for place, view in pairs if view is not None}
    if set(sample.places) - views.keys():
        return False
    colour = colours.misread(replace(sample, views=views))
    return colour is not None and colour.shift == found.shift


def _with_pose_of(sample: Sample, shift: int) -> Change:
    def change(view: View) -> View | None:
        place = view.place + shift
        return (
            replace(view, camera_to_world=sample.poses[place]) if sample.has_pose(place) else None
        )

    return change
