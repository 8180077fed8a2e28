"""Units of depth and of positions.

Frames cannot tell depth that is s times too large from positions that are s times too small: only
their ratio shows. What the number is, and how far away walls then are, tells which is meant.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize_scalar

from pipeline.doctor.judge import Judge
from pipeline.doctor.readings import Change, Reading
from pipeline.doctor.views import View

# Units of depth to the metre, and who writes them.
DEPTH_UNITS = {
    1000.0: "millimetres, as most cameras give it",
    5000.0: "1/5000 m, TUM's unit",
    4000.0: "1/4000 m, as RealSense L515 gives it",
    6553.5: "1/6553.5 m, Replica's unit",
    10000.0: "1/10000 m, as RGB-D Scenes and short-range cameras give it",
    256.0: "1/256 m, KITTI's unit",
    512.0: "1/512 m, 2D-3D-S's unit",
    100.0: "centimetres",
    1.0: "metres",
    39.3701: "inches",
    3.28084: "feet",
}
POSE_UNITS = {
    1e-3: "millimetres",
    1e-2: "centimetres",
    0.1: "decimetres",
    0.3048: "feet",
    0.0254: "inches",
}
ROOM = 0.8, 8.0  # metres: within which half of the depth of most rooms is
SAME = 0.04  # relative difference of two scales that are taken to be the same
_WORST = 10.0  # where nothing can be compared
_WIDEST, _STEP = 40.0, 1.25


@dataclass(frozen=True)
class Units:
    """The unit of depth as the files are read."""

    depth_scale: float  # units to the metre
    depth: float  # metres: half of the depth is below


def scaled_poses(factor: float) -> Callable[[View], View]:
    """Positions of the cameras multiplied by `factor`."""

    def change(view: View) -> View:
        pose = view.camera_to_world.copy()
        pose[:3, 3] *= factor
        return replace(view, camera_to_world=pose)

    return change


def scaled_depth(factor: float) -> Callable[[View], View]:
    """Depth multiplied by `factor`."""
    return lambda view: replace(view, depth=view.depth * factor)


def best_factor(judge: Judge, units: Units, before: Change) -> float | None:
    """The factor of the cameras' positions with which frames agree best, None if none can be.

    `before` is done to a view first.
    """

    def misfit(exponent: float) -> float:
        scale = scaled_poses(float(np.exp(exponent)))
        return judge.first_look(lambda view: scale(each) if (each := before(view)) else None)

    known = [unit / units.depth_scale for unit in DEPTH_UNITS] + list(POSE_UNITS)
    reach = np.log(_WIDEST)
    tried = np.concatenate([np.arange(-reach, reach, np.log(_STEP)), np.log(known)])
    found = np.array([misfit(each) for each in tried])
    if not np.isfinite(found).any():
        return None
    middle = tried[found.argmin()]
    step = np.log(_STEP)
    best = minimize_scalar(
        lambda exponent: min(misfit(exponent), _WORST),
        bounds=(middle - step, middle + step),
        method="bounded",
        options={"xatol": 1e-3},
    )
    return float(np.exp(best.x if best.fun < found.min() else middle))


def readings(factor: float, units: Units) -> list[Reading]:
    """What positions that should be multiplied by `factor` may mean, the likeliest first."""
    far = units.depth
    unit = next((u for u in DEPTH_UNITS if _same(u / units.depth_scale, factor)), None)
    positions = next((u for u in POSE_UNITS if _same(u, factor)), None)
    found = []
    if unit and _room(far / factor):
        found.append(_of_depth(unit, units))
    if not found or _room(far) or positions:
        found.append(_of_positions(positions or factor, POSE_UNITS.get(positions or 0)))
    if unit is None and not _room(far) and _room(far / factor):
        found.insert(0, _of_depth(units.depth_scale * factor, units))
    return found


def _of_depth(unit: float, units: Units) -> Reading:
    factor = units.depth_scale / unit
    named = f", {DEPTH_UNITS[unit]}" if unit in DEPTH_UNITS else ""
    return Reading(
        f"depth looks to be in units of which {unit:.6g} are a metre{named}, not "
        f"{units.depth_scale:.6g}",
        f"set the depth scale to {unit:.6g} (multiply depth in metres by {factor:.5g})",
        scaled_depth(factor),
    )


def _of_positions(factor: float, unit: str | None) -> Reading:
    named = f"in {unit}" if unit else f"{_times(factor)} in the unit of depth"
    return Reading(
        f"the cameras' positions look to be {named}",
        f"multiply the translations of the poses by {factor:.4g}",
        scaled_poses(factor),
    )


def _times(factor: float) -> str:
    return f"{1 / factor:.3g} times too large" if factor < 1 else f"{factor:.3g} times too small"


def _same(a: float, b: float) -> bool:
    return abs(np.log(a / b)) < SAME


def _room(depth: float) -> bool:
    return ROOM[0] <= depth <= ROOM[1]
