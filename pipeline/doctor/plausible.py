"""Values that are implausible in themselves, whether or not frames can be compared."""

from dataclasses import dataclass

import numpy as np

from pipeline.doctor.views import Array, Sample
from pipeline.geometry import pairs
from pipeline.geometry.cameras import scale_intrinsics
from pipeline.scan import RawFrames

DEPTH = 0.1, 30.0  # metres: the plausible range of the median depth of a room
WALK = 500.0  # metres: the largest plausible extent of a camera's positions
_MAX_OFF_CENTRE = 0.2  # of half the image: how far the principal point may be off the centre
_PROVED = 0.25  # of the bound: a smaller disagreement proves that cameras are right


@dataclass(frozen=True)
class Finding:
    """Something wrong, and what to do about it."""

    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.what}; {self.remedy}."


def cameras(raw: RawFrames, agreement: pairs.Agreement | None) -> list[Finding]:
    """Intrinsics whose principal point is far from the centre of their image.

    Images that were cut have that rightly: frames that agree prove it.
    """
    if agreement and agreement.ratio < _PROVED and _alike(raw):
        return []
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


def _alike(raw: RawFrames) -> bool:
    """Whether the intrinsics of colour are those of depth, scaled to the images' size."""
    color = np.reshape(raw.color_intrinsics, (-1, 3, 3))[0]
    depth = np.reshape(raw.depth_intrinsics, (-1, 3, 3))[0]
    scaled = scale_intrinsics(depth, raw.depth_size, raw.color_size)
    return bool(np.allclose(scaled, color, rtol=0.02, atol=2))


def units(sample: Sample) -> list[Finding]:
    """Depth and positions that are implausible in metres."""
    found = []
    low, high = DEPTH
    far = sample.far
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
