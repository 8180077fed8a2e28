"""Scores of ways to apply the demo's small CLIP densely: 2D mIoU on simulated views.

The ground truth is rendered with the views. The rooms are not those of its training, nor the
demo's, but have the furniture of its training; three sets of them show how large a difference must
be to matter.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pipeline.clip import recipes
from pipeline.demo_clip.clip_scores import REGIONS, class_iou
from pipeline.demo_clip.pairs import render_views
from pipeline.simulate.catalogue import Catalogue

ROOMS = [range(10_000 + 16 * i, 10_016 + 16 * i) for i in range(3)]
VIEWS = 6  # of each room


@dataclass(frozen=True)
class Reading:
    """The settings of `embeddings` in the config that say how a tower is applied."""

    recipe: str = "plain"
    window: int | None = 64
    stride: int | None = 32
    scales: tuple[float, ...] = (1.0,)
    flip: bool = False
    regions: Mapping[str, float] | None = None

    def __str__(self) -> str:
        windows = f"{self.window} / {self.stride}" if self.window else "whole image"
        more = [*[f"scales {self.scales}"] * (len(self.scales) > 1), *["flip"] * self.flip]
        more += ["regions"] if self.regions else []
        return " | ".join([self.recipe, windows, ", ".join(more) or "-"])


WINDOWED = Reading()
READINGS = [
    *(Reading(recipe, None, None) for recipe in recipes.names()),
    *(Reading(recipe) for recipe in recipes.names()),
    replace(WINDOWED, stride=16),
    replace(WINDOWED, stride=20),
    replace(WINDOWED, stride=12),
    replace(WINDOWED, flip=True),
    replace(WINDOWED, scales=(1.0, 1.5)),
    replace(WINDOWED, stride=20, flip=True),
    replace(WINDOWED, regions=REGIONS),
    replace(WINDOWED, stride=20, regions=REGIONS),
    replace(WINDOWED, stride=12, regions=REGIONS),
    replace(WINDOWED, stride=20, flip=True, regions=REGIONS),
]


def table(model: Path, cache: Path, furniture: Path) -> Iterator[str]:
    """The lines of a table with one row per reading.

    `model` is the folder of the model, `cache` that of the rendered views. Raises `BadInput` where
    there is no furniture.
    """
    catalogue = Catalogue(furniture)
    sets = [render_views(cache / str(rooms.start), catalogue, rooms, VIEWS) for rooms in ROOMS]
    yield "| recipe | window / stride | more | 2D mIoU | of each set of rooms | views/s |"
    yield "|---|---|---|---|---|---|"
    for reading in READINGS:
        begin = time.perf_counter()
        found = [100 * np.nanmean(class_iou(model, views, vars(reading))) for views in sets]
        rate = sum(len(views.color) for views in sets) / (time.perf_counter() - begin)
        each = ", ".join(f"{value:.1f}" for value in found)
        spread = np.std(found, ddof=1)
        yield f"| {reading} | {np.mean(found):.1f} ± {spread:.1f} | {each} | {rate:.1f} |"
