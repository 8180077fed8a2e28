"""Errors in the input of a training: wrong scene tags, and cameras that are not where they were.

The errors of a scan are its own, the same each time and whichever other scans there are.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.readers.scannet.sens import SensFile
from pipeline.scan import Frame
from pipeline.simulate.scannet_sens import Sensor, write_sens

SEED = 0  # of all errors
OFFSET = 0.02  # metres by which cameras are moved, root mean square


def rng_of(scan: str) -> np.random.Generator:
    """What the errors of a scan are drawn from."""
    return np.random.default_rng([SEED, *scan.encode()])


def wrong_tags(
    present: NDArray[np.bool_], share: float, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Tags (K,) with a share of those `present` (K,) left out, and as many absent classes added.

    How many is rounded up or down by chance, so that the share holds over many scans, and is at
    most the number of absent classes. With an equal `rng`, what is wrong at a share is also wrong
    at a larger one.
    """
    inside = rng.permutation(np.flatnonzero(present))
    outside = rng.permutation(np.flatnonzero(~present))
    count = min(int(share * len(inside) + rng.random()), len(outside))
    found = present.copy()
    found[inside[:count]], found[outside[:count]] = False, True
    return found


def write_moved(source: Path, home: Path) -> None:
    """Write a simulated scan again with its cameras moved; all but its frames is linked."""
    home.mkdir(parents=True, exist_ok=True)
    frames = source / f"{source.name}.sens"
    for path in source.iterdir():
        if path != frames and not (home / path.name).exists():
            (home / path.name).symlink_to(path.resolve())
    if not (home / frames.name).exists():
        sens = SensFile(frames)
        sensor = Sensor(
            sens.color_size,
            sens.depth_size,
            sens.color_intrinsics,
            sens.depth_intrinsics,
            sens.depth_scale,
            sens.sensor_name,
        )
        found = moved((sens.read(i) for i in sens.frame_ids), rng_of(source.name))
        write_sens(home / "unfinished", sensor, found)
        (home / "unfinished").replace(home / frames.name)


def moved(frames: Iterable[Frame], rng: np.random.Generator) -> Iterator[Frame]:
    """The frames with their cameras moved by independent normal errors, and turned by none."""
    for frame in frames:
        pose = frame.camera_to_world.copy()
        pose[:3, 3] += rng.normal(0, OFFSET / np.sqrt(3), 3)
        yield replace(frame, camera_to_world=pose)
