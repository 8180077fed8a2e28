"""Values that are implausible in themselves, whether or not frames can be compared."""

from dataclasses import dataclass, replace

import numpy as np

from pipeline.doctor.judge import Judge
from pipeline.doctor.readings import Reading
from pipeline.doctor.views import Array, Sample, View
from pipeline.doctor.whole import Whole
from pipeline.geometry.cameras import scale_intrinsics
from pipeline.scan import RawFrames

DEPTH = 0.1, 30.0  # metres: the plausible range of the median depth of a room
WALK = 500.0  # metres: the largest plausible extent of a camera's positions
_MIN_SEEN = 0.1  # share of the points that frames of a whole recording see at least
_MAX_OFF_CENTRE = 0.2  # of half the image: how far the principal point may be off the centre
_RATIOS = (  # usual ones of images that were resized
    *(1 / 8, 1 / 6, 1 / 5, 1 / 4, 1 / 3, 3 / 8, 2 / 5, 1 / 2, 3 / 5, 2 / 3, 3 / 4, 4 / 5),
    *(5 / 4, 4 / 3, 3 / 2, 5 / 3, 2, 12 / 5, 5 / 2, 3, 4, 5, 6, 8),
)
_NEARLY = 1.25  # times the least disagreement: the first of the sizes, usual ones first, is taken


@dataclass(frozen=True)
class Finding:
    """Something wrong, and what to do about it."""

    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.what}; {self.remedy}."


def cameras(raw: RawFrames, judge: Judge) -> list[Finding]:
    """Intrinsics whose principal point is far from the centre of their image.

    Images that were cut have that rightly, so frames are asked where they can tell.
    """
    found, same = [], _alike(raw)
    depth = _meant(raw.depth_intrinsics, raw.depth_size)
    size = _size(judge, raw, depth) if depth else None
    each = (
        ("colour", _meant(raw.color_intrinsics, raw.color_size), raw.color_size),
        ("depth", depth, raw.depth_size),
    )
    for name, meant, given in each:
        if meant and judge.given.agreement and (same or name == "depth"):
            meant = size and tuple(np.rint(np.array(size) * given / raw.depth_size))
        if meant:
            what = "the intrinsics of {} look like those of images of about {:.0f} x {:.0f} pixels"
            what += ", but the images have {} x {}"
            what = what.format(name, *meant, *given)
            found.append(Finding(what, "scale them to the size of the images"))
    return found


def _meant(matrices: Array, size: tuple[int, int]) -> tuple[float, float] | None:
    """The size of images in whose middle the principal point is, None if that is about `size`."""
    center = np.median(np.reshape(matrices, (-1, 3, 3))[:, :2, 2], axis=0)
    meant = 2 * center + 1
    if (abs(meant / size - 1) <= _MAX_OFF_CENTRE).all():
        return None
    return float(meant[0]), float(meant[1])


def _size(judge: Judge, raw: RawFrames, meant: tuple[float, float]) -> tuple[float, float] | None:
    """The size of images that the intrinsics of depth are of, None if frames support none."""
    given = np.array(raw.depth_size)
    ratio = np.array(meant) / given
    usual = [r for r in _RATIOS if 0.85 * ratio.min() < r < 1.15 * ratio.max()]
    sizes = [tuple(r * given) for r in (*usual, *np.linspace(ratio.min(), ratio.max(), 9))]
    sizes += [meant, tuple(given[::-1])]

    def scaled(size: tuple[float, float]) -> Reading:
        scale = np.array(raw.depth_size) / size

        def change(view: View) -> View:
            k = view.depth_intrinsics.copy()
            k[:2] *= scale[:, None]
            k[:2, 2] += 0.5 * scale - 0.5
            return replace(view, depth_intrinsics=k)

        return Reading("", "", change)

    looks = np.array([judge.first_look(scaled(size).change) for size in sizes])
    best = sizes[int(np.flatnonzero(looks <= _NEARLY * looks.min())[0])]
    return best if judge.explains(scaled(best)) else None


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


def coverage(whole: Whole) -> list[Finding]:
    """Points that hardly any frame sees."""
    if whole.seen is None or whole.seen >= _MIN_SEEN:
        return []
    what = f"{whole.frames} frames, spread over the recording, see {100 * whole.seen:.1f} % of the"
    what += " points"
    return [Finding(what, "check that poses and points are of the same room and world")]
