"""A tower that is loaded once and embeds one scan after another."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from types import ModuleType
from typing import Any, cast

import numpy as np
import torch
import zarr
from numpy.typing import NDArray

from pipeline.clip import windows
from pipeline.clip.dense import obstacle
from pipeline.clip.executor import get_executor
from pipeline.clip.image_tower import load_image_tower, skeleton
from pipeline.clip.reader import Images, Pooling, Reader, Settings, StreamPool, embed, prepare
from pipeline.errors import BadInput
from pipeline.grids.affine import pixel_to_grid
from pipeline.grids.writing import open_writer

_IN_PARTS = ("recipe", "codec", "regions")  # parameters that are no `Settings`


class Embedder:
    """Reads frames densely, and writes their grids."""

    def __init__(self, params: Mapping[str, Any], parts: Mapping[str, ModuleType]) -> None:
        """`params`: the fields of `Settings`, and of `regions` if they are asked for.

        `parts`: the modules of recipe, family (of the tower), codec, and regions if they are asked
        for. Raises `BadInput` for what cannot be used, before anything is fetched.
        """
        given = {name: value for name, value in params.items() if name not in _IN_PARTS}
        self.settings = settings = Settings(**given)
        recipe, family, self._codec = parts["recipe"], parts["family"], parts["codec"]
        planned, width = skeleton(settings.model, family)
        reason = obstacle(planned, recipe)
        if reason:
            what = f"cannot be read by the recipe {params['recipe']}: {reason}"
            raise BadInput(settings.model, what, "set `recipe: plain`")
        _check_windows(settings, planned.patch)
        self._codec.check(width)
        self._patch, self._width = planned.patch, width
        pooling: Pooling | None = None
        if "regions" in parts:
            pooling = parts["regions"].Regions(**params["regions"])
        tower = load_image_tower(settings.model, settings.pretrained, family)
        streams = StreamPool() if tower.device.type == "cuda" else None
        self.reader = Reader(settings, recipe, tower, pooling, streams)
        self.executor = get_executor(torch.get_num_threads())
        self._shared: Any = None if streams else self.executor.share(self.reader)

    def write(self, out: zarr.Group, frames: zarr.Group) -> None:
        """Write the grids of all frames in the codec that is asked for, and `pixel_to_grid`.

        A batch of images goes from its files to the entry, and as many batches are under way as the
        executor has threads: that bounds the memory, whatever the scan. Without a GPU, towers of
        one thread side by side do not wait for each other, and give the same bytes however many
        there are. With a GPU, the executor decodes, and the tower is the one of this process.
        """
        color_size = cast(list[int], frames.attrs["color_size"])
        size, grid = self._sizes(color_size)
        images = _Encoded(frames, self.reader.images_at_once(size))
        writer = open_writer(out, self._codec, (images.count, *grid, self._width))
        out.attrs["pixel_to_grid"] = pixel_to_grid(color_size, grid[::-1])

        def make(first: int) -> None:
            encoded = images.batch(first)
            if self.reader.streams is None:
                cells = self.executor.call(embed, self._shared, encoded, size, grid)
            else:
                ready = self.executor.call(prepare, encoded, size, self.reader.pooling)
                cells = self.reader.read(*ready, grid)
            writer.put(first, cells)

        alone = partial(torch.set_num_threads, 1)  # each thread, beside the others
        with ThreadPoolExecutor(self.executor.threads, initializer=alone) as pool:
            for _ in pool.map(make, images.starts):
                pass
            writer.finish(pool)

    def exact(self, frames: zarr.Group) -> NDArray[np.float32]:
        """The grids (F, h, w, d) of all frames before they are rounded, to compare codecs with."""
        size, grid = self._sizes(cast(list[int], frames.attrs["color_size"]))
        images = _Encoded(frames, self.reader.images_at_once(size))
        pooling = self.reader.pooling
        batches = (prepare(images.batch(first), size, pooling) for first in images.starts)
        return np.concatenate([self.reader.exact(*batch, grid) for batch in batches])

    def read(self, images: Images) -> NDArray[np.float16]:
        """L2-normalised embeddings (B, h, w, d) of RGB images (B, y, x, 3) of whole patches."""
        grid = (images.shape[1] // self._patch[0], images.shape[2] // self._patch[1])
        pooling = self.reader.pooling
        regions = [pooling.of(image) for image in images] if pooling else []
        return self.reader.read(images, regions, grid)

    def _sizes(self, color_size: Sequence[int]) -> tuple[tuple[int, int], tuple[int, int]]:
        """What images are resized to (width, height), and the grid (h, w)."""
        grid = grid_of(self.settings.image_size or color_size, self._patch)
        high, wide = windows.size_at(max(self.settings.scales), grid, self._patch)
        return (wide, high), grid


class _Encoded:
    """The colour images of a scan as they were found, batch by batch."""

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
    """Raise `BadInput` where windows are not whole patches or leave gaps."""
    window, stride = settings.window, settings.stride
    if (window is None) != (stride is None):
        raise BadInput("embeddings", "`window` and `stride` go together", "give both or neither")
    if window and stride:
        if stride > window:
            what = f"windows of {window} px every {stride} px leave gaps"
            raise BadInput("embeddings", what, "make `stride` at most `window`")
        if any(window % side for side in patch):
            what = f"a window of {window} px is not a whole number of patches of {patch[0]} px"
            raise BadInput("embeddings", what, "make `window` a multiple of the patch")
