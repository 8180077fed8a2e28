"""What is wrong with a scan, in sentences: unusual values, and images that disagree."""

from dataclasses import dataclass

import numpy as np

from pipeline.doctor import pairs, readings
from pipeline.doctor.readings import Reference
from pipeline.doctor.views import Array, Sample
from pipeline.geometry import agreement
from pipeline.scan import Cloud, RawFrames

DEPTH = 0.1, 30.0  # metres: the plausible range of the median depth of a room
WALK = 500.0  # metres: the largest plausible extent of a camera's positions
_MAX_OFF_CENTRE = 0.2  # of half the image: how far the principal point may be off the centre
_MIN_MEASURED = 0.1  # share of the depth pixels
_MAX_LOST = 0.5  # share of the poses


@dataclass(frozen=True)
class Finding:
    """Something wrong, and what to do about it."""

    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.what}; {self.remedy}."


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
    agreement = pairs.compare(sample.at())
    found = [*_unusual(sample), *_cameras(raw), *_units(sample)]
    if found:  # with a wrong camera or unit nothing agrees: more would be guesswork
        return Result(found, [], agreement)
    unmeasured = [] if cloud else _unmeasured(sample, agreement)
    if cloud is None and len(sample.places) < 2:
        return Result([], unmeasured, agreement)
    reference = Reference(cloud) if cloud else None
    reading = readings.misread(sample, reference)
    if reading:
        found.append(Finding(reading.message, reading.remedy))
    elif shift := readings.late_colour(sample, reference):
        word = "before" if shift > 0 else "after"
        what = (
            f"colour looks out of step with depth and poses: it fits those of the frame {word} it"
        )
        remedy = "export the recording again with matched times, or rename the colour images"
        found.append(Finding(what, remedy))
    elif cloud:
        found += _apart(raw, cloud)
    if not found and agreement and agreement.ratio > 1:
        found.append(_unexplained(agreement))
    return Result(found, [] if found else unmeasured, agreement)


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
        f"frames disagree by {100 * agreement.metres:.1f} cm about what they see, right ones by "
        f"{100 * agreement.bound:.1f} cm at most, and no usual mistake explains it"
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


def _cameras(raw: RawFrames) -> list[Finding]:
    """Intrinsics whose principal point is far from the centre of their image."""
    found = []
    each = (
        ("colour", raw.color_intrinsics, raw.color_size),
        (
            "depth",
            raw.depth_intrinsics,
            raw.depth_size,
        ),
    )
    for name, matrices, size in each:
        center = np.median(np.reshape(matrices, (-1, 3, 3))[:, :2, 2], axis=0)
        ratio = (center + 0.5) * 2 / size
        if (abs(ratio - 1) > _MAX_OFF_CENTRE).any():
            meant = "{:.0f} x {:.0f}".format(*(2 * center + 1))
            what = (
                f"the intrinsics of {name} look like those of images of about {meant} pixels, but "
                "the images have {} x {}".format(*size)
            )
            found.append(Finding(what, "scale them to the size of the images"))
    return found


def _units(sample: Sample) -> list[Finding]:
    """Depth and positions that are implausible in metres."""
    found = []
    low, high = DEPTH
    depth = np.concatenate([view.depth[view.depth > 0] for view in sample.at()])
    far = float(np.median(depth)) if len(depth) else 1.0
    if not low <= far <= high:
        unit, factor = ("millimetres", 1000) if far > high else ("kilometres", 0.001)
        guess = ""
        if low <= far / factor <= high:
            guess = f": it looks like {unit} read as metres"
        what = f"half of the depth is beyond {far:.3g} m{guess}"
        remedy = f"multiply the depth scale by {factor:g}"
        found.append(Finding(what, remedy))
    span = _span(sample.path)
    if span > WALK:
        what = (
            f"the camera's positions span {span:.3g} m: they look like millimetres read as metres"
        )
        found.append(Finding(what, "divide the translations of the poses by 1,000"))
    return found


def _span(path: Array) -> float:
    """The extent in metres of camera centres (F, 3), without outliers."""
    return float(np.linalg.norm(np.subtract(*np.percentile(path, (95, 5), axis=0))))


def _apart(raw: RawFrames, cloud: Cloud) -> list[Finding]:
    """Images and points of different rooms or releases."""
    found = agreement.measure(raw, cloud)
    if found.offset <= agreement.LIMIT and not found.turn:
        return []
    turned = f", as if one were turned by {found.turn} degrees" if found.turn else ""
    what = f"its images and its points disagree by {100 * found.offset:.0f} cm{turned}"
    return [Finding(what, "check that both are of the same room and release")]
