"""Intrinsics of another camera, or of images of another size: those with which frames agree."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy.optimize import minimize

from pipeline.doctor.judge import Judge
from pipeline.doctor.readings import Reading
from pipeline.doctor.views import Array, View
from pipeline.scan import RawFrames

_FOCAL = np.geomspace(0.4, 2.5, 23)  # factors that are tried
_PROBES = 0.08, 0.08, 0.06, 0.06  # changes of one value alone that are tried
_HELPS = 0.85  # share of the disagreement that one of these must leave at most
_STEPS = 160  # evaluations of the fit


def changed(values: Array) -> Callable[[View], View]:
    """Focal lengths multiplied, and the principal point moved by parts of the image's size.

    `values` (4,) are the logarithms of both factors and both parts. Colour is changed alike.
    """
    focal, shift = np.exp(values[:2]), values[2:]

    def change(view: View) -> View:
        depth = _moved(view.depth_intrinsics, focal, shift * view.depth.shape[::-1])
        size = np.array(view.color.shape[1::-1])
        color = _moved(view.color_intrinsics, focal, shift * size)
        return replace(view, depth_intrinsics=depth, color_intrinsics=color)

    return change


def reading(judge: Judge, raw: RawFrames) -> Reading | None:
    """The intrinsics with which frames agree best, None where others help little at first look."""

    def misfit(values: Array) -> float:
        found = judge.first_look(changed(values))
        return found if np.isfinite(found) else 1.0

    tried = [np.array([np.log(f)] * 2 + [0.0] * 2) for f in _FOCAL]
    tried += [sign * step for step in np.diag(_PROBES) for sign in (-1, 1)]
    found = [misfit(values) for values in tried]
    if min(found) > _HELPS * misfit(np.zeros(4)):
        return None
    start = tried[int(np.argmin(found))]
    simplex = start + np.vstack([np.zeros(4), np.diag([0.05, 0.05, 0.03, 0.03])])
    options = {"initial_simplex": simplex, "maxfev": _STEPS, "xatol": 1e-4, "fatol": 1e-6}
    values = minimize(misfit, start, method="Nelder-Mead", options=options).x
    given = np.median(np.reshape(raw.depth_intrinsics, (-1, 3, 3)), axis=0)
    k = _moved(given, np.exp(values[:2]), values[2:] * raw.depth_size)
    size = "{} x {}".format(*raw.depth_size)
    what = (
        f"the intrinsics of depth look like those of another camera or size: focal lengths of "
        f"{given[0, 0]:.1f} and {given[1, 1]:.1f} pixels with a principal point at "
        f"({given[0, 2]:.1f}, {given[1, 2]:.1f})"
    )
    remedy = (
        f"use those of the camera; from the frames, about {k[0, 0]:.1f}, {k[1, 1]:.1f} and "
        f"({k[0, 2]:.1f}, {k[1, 2]:.1f}) in images of {size}"
    )
    return Reading(what, remedy, changed(values))


def _moved(k: Array, focal: Array, shift: Array) -> Array:
    moved = k.copy()
    moved[[0, 1], [0, 1]] *= focal
    moved[:2, 2] += shift
    return moved
