"""What is wrong with a scan, in sentences: unusual values, and images that disagree."""

from dataclasses import dataclass

import numpy as np

from pipeline.doctor import colours, plausible
from pipeline.doctor.explain import Explanation, depth_alone, explain
from pipeline.doctor.judge import Judge, Reference
from pipeline.doctor.plausible import Finding
from pipeline.doctor.views import Sample
from pipeline.geometry import agreement as points
from pipeline.geometry import pairs
from pipeline.geometry.pairs import length
from pipeline.scan import Cloud, RawFrames

_MIN_MEASURED = 0.1  # share of the depth pixels
_MAX_LOST = 0.5  # share of the poses


@dataclass(frozen=True)
class Result:
    """What is known of a scan after all checks."""

    findings: list[Finding]
    unmeasured: list[str]  # sentences about what could not be checked
    agreement: pairs.Agreement | None  # of its frames, None where they share too little


def examine(raw: RawFrames, sample: Sample, cloud: Cloud | None) -> Result:
    """All findings about a scan, and by how much its frames disagree.

    `cloud` has points that do not come from the images, if there are any.
    """
    reference = Reference(cloud) if cloud else None
    judge = Judge(sample.at(), reference)
    agreement = judge.given.agreement
    found = _unusual(sample)
    cameras = plausible.cameras(raw, judge)
    if cameras:  # with a wrong camera nothing agrees: more would be guesswork
        return Result(found + cameras, [], agreement)
    disagree = agreement is not None and agreement.ratio > 1
    explained = explain(judge, sample, raw) if len(sample.places) > 1 else None
    if explained:
        found.append(_explained(judge, sample, explained))
    elif units := plausible.units(sample):
        found += units
    elif not disagree and (colour := colours.misread(sample)):  # else spots meet by chance
        found.append(Finding(colour.what, colour.remedy))
    elif cloud and (apart := _apart(raw, cloud)):
        found += apart
    elif agreement and disagree:
        found.append(_unexplained(agreement))
    unmeasured = [] if cloud or found else _unmeasured(sample, agreement)
    return Result(found, unmeasured, agreement)


def _explained(judge: Judge, sample: Sample, found: Explanation) -> Finding:
    """The finding of a reading that makes frames agree, with figures before and after."""
    what = ", or ".join(reading.what for reading in found.readings)
    remedy = ", or ".join(reading.remedy for reading in found.readings)
    if abs(found.shift) == 1 and depth_alone(sample, found):
        word = "before" if found.shift < 0 else "after"
        what = (
            f"depth looks out of step with colour and poses: it fits those of the frame {word} it"
        )
        remedy = "export the recording again with matched times, or rename the depth images"
    if len(found.readings) > 1:
        what += " (frames cannot tell which)"
    after = found.verdict
    given = (
        f"instead of {length(judge.given.metres)}"
        if np.isfinite(judge.given.metres)
        else "and as they are given share too little to be compared"
    )
    return Finding(f"{what}: so read, frames disagree by {length(after.metres)} {given}", remedy)


def _unmeasured(sample: Sample, agreement: pairs.Agreement | None) -> list[str]:
    """What the frames cannot show about poses, units and cameras."""
    count, judged = len(sample.places), agreement.frames if agreement else 0
    if 2 * judged >= count:
        return []
    what = f"{judged} of {count} examined frames see" if judged else "no two examined frames see"
    more = ", or give more frames by --frames" if sample.count > count else ""
    return [
        f"poses, units and cameras could not be checked by the images: {what} enough of a surface "
        f"that another sees; look at the pictures of the page{more}."
    ]


def _unexplained(agreement: pairs.Agreement) -> Finding:
    what = (
        f"frames disagree by {length(agreement.metres)} about what they see, right ones by "
        f"{length(agreement.bound)} at most, and no usual mistake explains it"
    )
    remedy = (
        "check that each pose belongs to its image, the unit of depth and of positions, and the "
        "intrinsics"
    )
    return Finding(what, remedy)


def _unusual(sample: Sample) -> list[Finding]:
    """What is unusual about frames, whatever they show."""
    found = []
    if sample.lost > _MAX_LOST * sample.count:
        what = f"{sample.lost} of {sample.count} poses are invalid (not finite, or not a rotation)"
        found.append(Finding(what, "check how they were exported"))
    measured = np.mean([(view.depth > 0).mean() for view in sample.at()])
    if measured < _MIN_MEASURED:
        what = f"only {100 * measured:.0f} % of the depth pixels are measured"
        found.append(Finding(what, "check that 0, and no other value, means no measurement"))
    if len(sample.path) > 1 and np.ptp(sample.path, axis=0).max() == 0:
        found.append(Finding("the camera never moves", "check that poses belong to the frames"))
    return found


def _apart(raw: RawFrames, cloud: Cloud) -> list[Finding]:
    """Images and points of different rooms or releases."""
    found = points.measure(raw, cloud)
    if found.offset <= points.LIMIT and not found.turn:
        return []
    turned = f", as if one were turned by {found.turn} degrees" if found.turn else ""
    what = f"its images and its points disagree by {100 * found.offset:.0f} cm{turned}"
    return [Finding(what, "check that both are of the same room and release")]
