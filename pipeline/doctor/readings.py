"""Ways in which the poses of a scan may have to be read, and what each would mean."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import permutations, product

import numpy as np

from pipeline.doctor.views import Array, View

OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])  # its camera axes: x right, y up, looking along -z
_WORDS = (("left", "right"), ("up", "down"), ("backwards", "forwards"))


Change = Callable[[View], View | None]


@dataclass(frozen=True)
class Reading:
    """One way to read the files, by which a view is changed.

    Attributes:
        what: what is wrong if this reading is the right one.
        remedy: what to do then.
        change: a view as it is read, to what it then is; None where it is then without a pose.
    """

    what: str
    remedy: str
    change: Change


def of_poses(what: str, remedy: str, pose: Callable[[Array], Array]) -> Reading:
    """A reading that converts each pose."""
    return Reading(
        what, remedy, lambda view: replace(view, camera_to_world=pose(view.camera_to_world))
    )


def inverted(pose: Array) -> Array:
    """The inverse (4, 4) of a pose."""
    return np.asarray(np.linalg.inv(pose), np.float64)


USUAL = (
    of_poses(
        "the poses look like world-to-camera matrices",
        "invert them: camera-to-world is expected",
        inverted,
    ),
    of_poses(
        "the poses look like those of cameras with OpenGL's axes (y up, looking along -z)",
        "multiply each from the right by diag(1, -1, -1, 1)",
        lambda pose: pose @ OPENGL,
    ),
    of_poses(
        "the poses look like world-to-camera matrices of cameras with OpenGL's axes",
        "multiply each from the left by diag(1, -1, -1, 1), and invert it",
        lambda pose: inverted(OPENGL @ pose),
    ),
)


def rare() -> Iterator[Reading]:
    """All other conventions: each order and sign of the axes, with any way to store a pose.

    Turns of the world are left out, since frames agree whichever way it is turned; so one mirror of
    the world stands for all, and what it mirrors is known only up to a turn.
    """
    stored: tuple[tuple[str, str, Callable[[Array], Array]], ...] = (
        ("", "", lambda pose: pose),
        ("rotated the wrong way", "transpose the rotation of each", _transposed),
        ("world-to-camera", "invert each", inverted),
    )
    for (state, first, convert), axes in product(stored, _axes()):
        left_handed = np.linalg.det(axes) < 0
        mirror = axes if left_handed and (axes == np.diag(np.diag(axes))).all() else _MIRROR
        world = mirror if left_handed else np.eye(4)
        words, then = [state] if state else [], [first] if first else []
        if left_handed:
            words.append("left-handed")
        if (axes != world).any():
            words.append(f"of cameras whose axes point {_directions(axes @ world)}")
        if left_handed:
            then.append(f"multiply each from the left by {_written(world)}")
        if (axes != np.eye(4)).any():
            then.append(f"multiply each from the right by {_written(axes)}")
        if then:
            what = f"the poses look {', and '.join(words)}".replace("look of", "look like those of")
            yield of_poses(what, ", then ".join(then), _composed(world, convert, axes))


_MIRROR = np.diag([1.0, -1.0, 1.0, 1.0])


def _transposed(pose: Array) -> Array:
    turned = pose.copy()
    turned[:3, :3] = pose[:3, :3].T
    return turned


def _composed(
    world: Array, convert: Callable[[Array], Array], axes: Array
) -> Callable[[Array], Array]:
    return lambda pose: world @ convert(pose) @ axes


def _axes() -> Iterator[Array]:
    """The 48 matrices (4, 4) that permute and flip three axes, the fewest changes first."""
    found = []
    for order, signs in product(permutations(range(3)), product((1.0, -1.0), repeat=3)):
        matrix = np.eye(4)
        matrix[:3, :3] = np.eye(3)[list(order)] * np.array(signs)
        found.append(matrix)
    return iter(sorted(found, key=lambda m: int((m != np.eye(4)).sum())))


def _directions(axes: Array) -> str:
    """Where the axes x, y and z of a camera point in the image if `axes` converts from OpenCV's."""
    words = []
    for row in axes[:3, :3]:
        axis = int(np.flatnonzero(row)[0])
        words.append(_WORDS[axis][int(row[axis] > 0)])
    return f"{words[0]}, {words[1]} and {words[2]}"


def _written(matrix: Array) -> str:
    if (matrix == np.diag(np.diag(matrix))).all():
        return f"diag({', '.join(f'{x:.0f}' for x in np.diag(matrix))})"
    rows = ", ".join("[" + ", ".join(f"{x:.0f}" for x in row) + "]" for row in matrix)
    return f"[{rows}]"
