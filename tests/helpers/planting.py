"""Draw a mistake at random: the kinds of the doctor's benchmark."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.random import Generator
from scipy.spatial.transform import Rotation

from tests.helpers import planted
from tests.helpers.planted import Array, Fault, Recorded

OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])
UNITS = (5000, 4000, 6553.5, 10000, 256, 512, 100, 39.3701)  # to the metre
_USUAL: Mapping[str, tuple[Callable[[Array], Array], str]] = {
    "world-to-camera": (planted.inverted, "world-to-camera"),
    "OpenGL": (lambda p: p @ OPENGL, "OpenGL"),
    "world-to-camera, OpenGL": (lambda p: planted.inverted(p @ OPENGL), "OpenGL"),
}


def depth_unit(rng: Generator, raw: Recorded) -> Fault:
    """Depth in another unit."""
    return planted.depth_unit(raw, float(rng.choice(UNITS)))


def pose_scale(rng: Generator, raw: Recorded) -> Fault:
    """Positions in another unit, or without any, as structure from motion gives them."""
    if rng.random() < 0.4:
        return planted.pose_scale(raw, float(rng.choice([1000, 100, 10, 1 / 0.3048, 1 / 0.0254])))
    return planted.pose_scale(raw, float(np.exp(rng.choice([-1, 1]) * rng.uniform(0.2, 2))))


def usual_convention(rng: Generator, raw: Recorded) -> Fault:
    """Inverted poses, and OpenGL's cameras."""
    name = str(rng.choice(list(_USUAL)))
    change, word = _USUAL[name]
    return planted.poses(raw, name, change, (word,))


def other_convention(rng: Generator, raw: Recorded) -> Fault:
    """Rotations transposed, and any order and signs of the axes, left-handed ones included."""
    axes, world = _signed_permutation(rng), np.eye(4)
    if np.linalg.det(axes) < 0:
        world = np.diag([*rng.permutation([-1.0, 1.0, 1.0]), 1.0])
    inverse = rng.random() < 0.3
    if (axes == np.eye(4)).all() or rng.random() < 0.2:
        return planted.poses(
            raw, "rotations transposed", planted.transposed, ("rotated the wrong way",)
        )

    def change(pose: Array) -> Array:
        wrong = np.asarray(world @ pose @ axes)
        return planted.inverted(wrong) if inverse else wrong

    what = (
        f"axes {axes[:3, :3].astype(int).tolist()}, world {np.diag(world)[:3]}, inverse {inverse}"
    )
    return planted.poses(raw, what, change, ("the poses look",))


def quaternion_order(rng: Generator, raw: Recorded) -> Fault:
    """Quaternions w, x, y, z where x, y, z, w are read, or the reverse, of either direction."""
    by, inverse = int(rng.choice([-1, 1])), bool(rng.random() < 0.4)

    def change(pose: Array) -> Array:
        pose = planted.inverted(pose) if inverse else pose.copy()
        order = np.roll(Rotation.from_matrix(pose[:3, :3]).as_quat(), by)
        pose[:3, :3] = Rotation.from_quat(order).as_matrix()
        return planted.inverted(pose) if inverse else pose

    return planted.poses(raw, f"quaternions by {by}, {inverse}", change, ("of quaternions",))


def left_handed(rng: Generator, raw: Recorded) -> Fault:
    """One axis mirrored in camera and world, as engines of games have it."""
    mirror = np.diag([*rng.permutation([-1.0, 1.0, 1.0]), 1.0])
    return planted.poses(
        raw, f"mirrored {np.diag(mirror)[:3]}", lambda p: mirror @ p @ mirror, ("left-handed",)
    )


def convention_and_scale(rng: Generator, raw: Recorded) -> Fault:
    """COLMAP's poses, or those of NeRF: inverted or OpenGL's, and without scale."""
    first = usual_convention(rng, planted.pose_scale(raw, float(rng.uniform(2, 6))).recording)
    return Fault(f"{first.what} and scale", first.recording, ("positions look to be",))


def camera(rng: Generator, raw: Recorded) -> Fault:
    """Intrinsics of another camera."""
    focal = float(np.exp(rng.choice([-1, 1]) * rng.uniform(0.1, 0.4)))
    fy = focal * float(rng.choice([1, 1, rng.uniform(0.9, 1.1)]))
    return planted.intrinsics(
        raw, (focal, fy), (rng.uniform(-0.04, 0.04), rng.uniform(-0.04, 0.04))
    )


def image_size(rng: Generator, raw: Recorded) -> Fault:
    """Intrinsics of images of another size."""
    return planted.of_another_size(raw, float(rng.choice([0.25, 0.5, 0.75, 1.5, 2, 3])))


def out_of_step(rng: Generator, raw: Recorded) -> Fault:
    """Images or poses of other frames."""
    part = str(rng.choice(["poses", "depths", "colors"]))
    return planted.late(raw, part, int(rng.integers(1, 4)) if part == "poses" else 1)


def turned_colour(rng: Generator, raw: Recorded) -> Fault:
    """Colour whose orientation was left in EXIF, or mirrored."""
    return planted.turned(
        raw, str(rng.choice(["ROTATE_180", "FLIP_LEFT_RIGHT", "FLIP_TOP_BOTTOM"]))
    )


def unknown(rng: Generator, raw: Recorded) -> Fault:
    """Poses of another recording: nothing explains them."""
    order = rng.permutation(len(raw.poses))
    shuffled = [raw.poses[i] for i in order]
    index = iter(range(len(shuffled)))
    return planted.poses(raw, "poses shuffled", lambda _: shuffled[next(index)], ("disagree by",))


KINDS: Mapping[str, Callable[[Generator, Recorded], Fault]] = {
    "depth in another unit": depth_unit,
    "positions in another unit or scale": pose_scale,
    "world-to-camera, OpenGL": usual_convention,
    "left-handed": left_handed,
    "quaternions in another order": quaternion_order,
    "other axes, or transposed": other_convention,
    "convention and scale": convention_and_scale,
    "another camera": camera,
    "images of another size": image_size,
    "out of step": out_of_step,
    "colour turned or mirrored": turned_colour,
    "nothing explains it": unknown,
}


def _signed_permutation(rng: Generator) -> Array:
    matrix = np.eye(4)
    matrix[:3, :3] = np.eye(3)[rng.permutation(3)] * rng.choice([-1.0, 1.0], 3)
    return matrix
