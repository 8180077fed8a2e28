"""Stage embeddings: the colour images of a scan -> grids of dense CLIP embeddings.

The grid is coarser than the image, and by contract it is read bilinearly at any pixel through
`pixel_to_grid`: per pixel, ScanNet would take 15 TB instead of 0.2.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, cast

import numpy as np
import torch
import zarr
from numpy.typing import NDArray

from pipeline.clip import crew, windows
from pipeline.clip.reader import Images, Pooling, Reader, Settings, Turns, embed, prepare
from pipeline.clip.recipes import RECIPES, obstacle
from pipeline.clip.towers.load import load_image_tower, skeleton
from pipeline.errors import BadInput
from pipeline.facts import Facts
from pipeline.grids import forms
from pipeline.grids.affine import pixel_to_grid
from pipeline.stages.declaration import Stage, by_digest

FEATURES = "pipeline.readers.features.embeddings"


class EmbeddingsStage(Stage):
    """Grids of dense CLIP embeddings of the colour images."""

    reads = ("frames",)
    packages = ("numpy", "open_clip_torch", "pillow", "timm", "torch")
    gpu = True
    memory_mb, minutes = 16000, 240

    def module(self, facts: Facts) -> str:
        """Features from elsewhere take the place of an image tower."""
        if facts.features:
            return FEATURES
        regions = facts.section["embeddings"].get("regions")
        return "pipeline.clip.regions" if regions else super().module(facts)

    def raw_group(self, facts: Facts) -> str | None:
        """Features from elsewhere are files outside the store."""
        return "features" if facts.features else None

    def params(self, facts: Facts) -> dict[str, Any]:
        """The section; of features, how their grids are cached."""
        params = super().params(facts)
        if facts.features:
            return {key: params[key] for key in ("form",) if key in params}
        return params

    def key_params(self, facts: Facts) -> dict[str, Any]:
        """The digest of local weights takes the place of their path."""
        return self.params(facts) | ({} if facts.features else by_digest(facts))

    def batches(self, facts: Facts, names: Sequence[str]) -> list[list[str]]:
        """A job embeds several scans, so that the image tower is loaded once for all of them."""
        size = facts.section["scans_per_job"]
        return [list(names[i : i + size]) for i in range(0, len(names), size)]

    def threads(self, facts: Facts) -> int:
        """Threads that decode, resize and read images."""
        return int(facts.section["threads"])


class Worker:
    """Holds the tower, so that a batch of scans loads it once."""

    def __init__(self, params: Mapping[str, Any], pooling: Pooling | None = None) -> None:
        """`params` are `Settings`; raises `BadInput` for what cannot be used."""
        self.settings = settings = Settings(**params)
        if settings.recipe not in RECIPES:
            remedy = f"take one of {', '.join(RECIPES)}"
            raise BadInput("embeddings", f"there is no recipe {settings.recipe}", remedy)
        recipe = RECIPES[settings.recipe]
        plan, width = skeleton(settings.model)  # nothing is fetched for what cannot work
        reason = obstacle(plan, recipe)
        if reason:
            what = f"cannot be read by the recipe {settings.recipe}: {reason}"
            raise BadInput(settings.model, what, "set `recipe: plain`")
        _check_windows(settings, plan.patch)
        forms.check(settings.form, width)
        self._patch, self._width = plan.patch, width
        tower = load_image_tower(settings.model, settings.pretrained)
        turns = Turns() if tower.device.type == "cuda" else None
        self._reader = Reader(settings, recipe, tower, pooling, turns)
        self.crew = crew.muster(torch.get_num_threads())
        self._held: Any = None if turns else self.crew.hold(self._reader)

    def __call__(self, out: zarr.Group, frames: zarr.Group) -> None:
        """Write the grids of all frames in the form that is asked for, and `pixel_to_grid`.

        A batch of images goes from its files to the entry at a time, and there are as many on the
        way as the crew has threads: that bounds the memory, whatever the scan. Without a GPU,
        towers of one thread side by side need no waiting for each other, and give the same bytes
        however many there are. With one, the crew decodes, and the tower is the job's own.
        """
        color_size = cast(list[int], frames.attrs["color_size"])
        size, grid = self._sizes(color_size)
        images = _Encoded(frames, self._reader.images_at_once(size))
        writer = forms.Writer(out, self.settings.form, (images.count, *grid, self._width))
        out.attrs["pixel_to_grid"] = pixel_to_grid(color_size, grid[::-1])

        def make(first: int) -> None:
            encoded = images.batch(first)
            if self._reader.turns is None:
                cells = self.crew.call(embed, self._held, encoded, size, grid)
            else:
                ready = self.crew.call(prepare, encoded, size, self._reader.pooling)
                cells = self._reader.read(*ready, grid)
            writer.put(first, cells)

        with ThreadPoolExecutor(self.crew.threads, initializer=forms.use_one_thread) as pool:
            for _ in pool.map(make, images.starts):
                pass
            writer.finish(pool)

    def exact(self, frames: zarr.Group) -> NDArray[np.float32]:
        """The grids (F, h, w, d) of all frames before they are rounded, to compare forms with."""
        size, grid = self._sizes(cast(list[int], frames.attrs["color_size"]))
        images = _Encoded(frames, self._reader.images_at_once(size))
        pooling = self._reader.pooling
        batches = (prepare(images.batch(first), size, pooling) for first in images.starts)
        return np.concatenate([self._reader.exact(*batch, grid) for batch in batches])

    def read(self, images: Images) -> NDArray[np.float16]:
        """L2-normalised embeddings (B, h, w, d) of RGB images (B, y, x, 3) of whole patches."""
        grid = (images.shape[1] // self._patch[0], images.shape[2] // self._patch[1])
        pooling = self._reader.pooling
        regions = [pooling.of(image) for image in images] if pooling else []
        return self._reader.read(images, regions, grid)

    def _sizes(self, color_size: Sequence[int]) -> tuple[tuple[int, int], tuple[int, int]]:
        """What images are resized to (width, height), and the grid (h, w) that is read."""
        grid = grid_of(self.settings.image_size or color_size, self._patch)
        high, wide = windows.size_at(max(self.settings.scales), grid, self._patch)
        return (wide, high), grid


class _Encoded:
    """The colour images of a scan as they were found, a batch at a time."""

    def __init__(self, frames: zarr.Group, at_once: int) -> None:
        self._offsets = np.asarray(frames["color_offsets"])
        self._blobs = cast(zarr.Array, frames["color"])
        self._at_once = at_once
        self.count = len(self._offsets) - 1
        self.starts = range(0, self.count, at_once)  # the first image of each batch

    def batch(self, first: int) -> list[bytes]:
        """The images of the batch that begins with image `first`."""
        borders = pairwise(self._offsets[first : first + self._at_once + 1])
        return [np.asarray(self._blobs[begin:end]).tobytes() for begin, end in borders]


def grid_of(size: Sequence[int], patch: tuple[int, int]) -> tuple[int, int]:
    """The patch grid (h, w) for an image of `size` (width, height) px, `patch` (height, width).

    An image is resized to whole patches: to the nearest number of them, and at least one.
    """
    return max(1, int(size[1] / patch[0] + 0.5)), max(1, int(size[0] / patch[1] + 0.5))


def _check_windows(settings: Settings, patch: tuple[int, int]) -> None:
    """Raise `BadInput` where windows do not hold whole patches or leave gaps."""
    window, stride = settings.window, settings.stride
    if (window is None) != (stride is None):
        raise BadInput("embeddings", "`window` and `stride` go together", "give both or neither")
    if window and stride:
        if stride > window:
            what = f"windows of {window} px every {stride} px leave gaps"
            raise BadInput("embeddings", what, "make `stride` at most `window`")
        if any(window % side for side in patch):
            what = f"a window of {window} px does not hold whole patches of {patch[0]} px"
            raise BadInput("embeddings", what, "make `window` a multiple of the patch")
