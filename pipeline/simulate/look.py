"""The viewing directions of a person who scans a room."""

import numpy as np
from numpy.typing import NDArray

from pipeline.simulate.raycast import Rays
from pipeline.simulate.world import World

_BACKGROUND = {1: 0.4, 2: 0.3, 22: 0.0}  # the value of a patch of wall, floor, ceiling

Points = NDArray[np.float64]


def look_round(
    world: World, rays: Rays, eyes: Points, rng: np.random.Generator
) -> tuple[Points, Points]:
    """Yaw and pitch (n,) at each key position: greedily towards new, near and furnished parts."""
    azimuth = np.arange(72) * (2 * np.pi / 72)
    elevation = np.radians(np.arange(-60, 26, 5))
    a, e = np.meshgrid(azimuth, elevation, indexing="ij")
    sight = np.stack([np.cos(a) * np.cos(e), np.sin(a) * np.cos(e), np.sin(e)], -1).reshape(-1, 3)
    worth = np.array([_BACKGROUND.get(thing.nyu40, 1.0) for thing in world.things])
    seen: set[int] = set()
    met = np.zeros(len(world.things), bool)
    yaws: list[float] = []
    pitches: list[float] = []
    for eye in eyes:
        origin = np.broadcast_to(eye, (a.size, 3))
        both = np.concatenate([origin, sight], 1).astype(np.float32)
        distance, face, _ = rays.first_hit(both)
        solid = face >= 0
        distance = np.where(solid, distance, 9.0)
        place = np.floor((eye + sight * distance[:, None]) / 0.25).astype(int) + 200
        block = (place[:, 0] * 1000 + place[:, 1]) * 1000 + place[:, 2]
        thing = world.face_thing[np.maximum(face, 0)]
        value = np.where(solid, worth[thing], 0)
        value = value * (distance > 0.7) * (distance < 4.5) * np.minimum(distance, 2.0)
        fresh = ~np.isin(block, np.fromiter(seen, np.int64, len(seen)))
        gain = (value * (0.25 + fresh + ~met[thing])).reshape(a.shape)
        gain -= ((distance < 0.8) * 0.7).reshape(a.shape)  # filled by something close
        best, choice = -np.inf, (0.0, 0.0)
        for pitch in np.radians([-30.0, -20.0, -10.0]):
            rows = np.abs(elevation - pitch) < np.radians(24)
            column = gain[:, rows].sum(1)
            for view in range(0, 72, 3):
                yaw = azimuth[view]
                total = column[np.arange(view - 6, view + 7) % 72].sum()
                if yaws:
                    turn = abs((yaw - yaws[-1] + np.pi) % (2 * np.pi) - np.pi)
                    total -= 20 * max(0.0, turn - np.pi / 3)
                if (total := total + rng.uniform(0, 5)) > best:
                    best, choice = total, (float(yaw), float(pitch))
        yaws.append(choice[0])
        pitches.append(choice[1])
        ahead = np.abs((a.ravel() - choice[0] + np.pi) % (2 * np.pi) - np.pi) < np.radians(30)
        level = np.abs(e.ravel() - choice[1]) < np.radians(24)
        seen.update(block[ahead & level].tolist())
        met[thing[ahead & level & solid]] = True
    return np.array(yaws), np.array(pitches)
