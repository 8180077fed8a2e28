"""How well each way of reading the demo's small CLIP finds things: 2D mIoU on simulated views.

python -m pipeline.demo_clip.reading_scores --model data_manifest/demo/clip --cache FOLDER

The truth is rendered with the views. Their rooms are none that the CLIP was trained on, and none of
the demo's, though of the furniture that it was trained on; three sets of them show what a
difference means.
"""

import argparse
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pipeline.clip import recipes
from pipeline.demo_clip.clip_scores import REGIONS, class_iou
from pipeline.demo_clip.pairs import FURNITURE, render_views
from pipeline.simulate.catalogue import Catalogue

ROOMS = [range(10_000 + 16 * i, 10_016 + 16 * i) for i in range(3)]
VIEWS = 6  # of each room


@dataclass(frozen=True)
class Reading:
    """What the config says under `embeddings` of how a tower is read."""

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


def main() -> None:
    """The command: a table with a row for each reading."""
    parser = argparse.ArgumentParser(description="Scores ways of reading the demo's small CLIP.")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True, help="folder for the rendered views")
    parser.add_argument("--furniture", type=Path, default=FURNITURE)
    args = parser.parse_args()
    catalogue = Catalogue(args.furniture)
    sets = [render_views(args.cache / str(rooms.start), catalogue, rooms, VIEWS) for rooms in ROOMS]
    print("| recipe | window / stride | more | 2D mIoU | of each set of rooms | views/s |")
    print("|---|---|---|---|---|---|", flush=True)
    for reading in READINGS:
        begin = time.perf_counter()
        found = [100 * np.nanmean(class_iou(args.model, views, vars(reading))) for views in sets]
        rate = sum(len(views.color) for views in sets) / (time.perf_counter() - begin)
        each = ", ".join(f"{value:.1f}" for value in found)
        spread = np.std(found, ddof=1)
        print(
            f"| {reading} | {np.mean(found):.1f} ± {spread:.1f} | {each} | {rate:.1f} |", flush=True
        )


if __name__ == "__main__":
    main()
