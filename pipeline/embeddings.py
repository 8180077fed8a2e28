"""Stage embeddings: the colour images of a scan -> grids of dense CLIP embeddings.

The grid is coarser than the image, and by contract it is read bilinearly at any pixel through
`pixel_to_grid`: per pixel, ScanNet would take 15 TB instead of 0.2.
"""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from io import BytesIO
from itertools import pairwise
from threading import Lock
from typing import Any, cast

import numpy as np
import torch
import zarr
from numpy.typing import NDArray
from PIL import Image

from pipeline import windows
from pipeline.affine import pixel_to_grid
from pipeline.errors import BadInput
from pipeline.recipes import RECIPES, dense, obstacle
from pipeline.towers.load import load_image_tower, skeleton

PACKAGES = ("open_clip_torch", "pillow", "timm", "torch")


@dataclass(frozen=True)
class Settings:
    """What the config says under `embeddings`; pixels are those of the resized image."""

    model: str
    pretrained: str | None
    recipe: str  # see recipes.py
    image_size: Sequence[int] | None  # (width, height) to resize to; None: as recorded
    window: int | None  # side in pixels, multiple of the patch; None: the whole image at once
    stride: int | None  # in pixels, any; only with a window
    batch: int  # images or windows that the tower is given at a time
    scales: Sequence[float] = (1.0,)  # of `image_size`, at which images are read and averaged
    flip: bool = False  # read mirror images too


class Stage:
    """Holds the tower, so that a batch of scans loads it once."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        """Load the tower; raises `BadInput` for settings or weights that cannot be used."""
        self.settings = Settings(**params)
        if self.settings.recipe not in RECIPES:
            remedy = f"take one of {', '.join(RECIPES)}"
            raise BadInput("embeddings", f"there is no recipe {self.settings.recipe}", remedy)
        self._recipe = RECIPES[self.settings.recipe]
        model, settings = self.settings.model, self.settings
        plan, self._width = skeleton(model)  # nothing is fetched for settings that cannot work
        reason = obstacle(plan, self._recipe)
        if reason:
            what = f"cannot be read by the recipe {settings.recipe}: {reason}"
            raise BadInput(model, what, "set `recipe: plain`")
        self._patch = plan.patch
        _check_windows(settings, self._patch)
        self._tower = load_image_tower(model, settings.pretrained)
        on_gpu = self._tower.device.type == "cuda"
        self._gpu_turn: AbstractContextManager[Any] = Lock() if on_gpu else nullcontext()
        self._workers = min(8, os.cpu_count() or 1) if on_gpu else torch.get_num_threads()

    def __call__(self, out: zarr.Group, frames: zarr.Group) -> None:
        """Write `grid` f16 (F, h, w, d) and the attribute `pixel_to_grid`."""
        color_size = cast(list[int], frames.attrs["color_size"])
        offsets, blobs = np.asarray(frames["color_offsets"]), frames["color"]
        assert isinstance(blobs, zarr.Array)
        high, wide = grid_of(self.settings.image_size or color_size, self._patch)
        size = windows.size_at(max(self.settings.scales), (high, wide), self._patch)[::-1]
        count, width = len(offsets) - 1, self._width
        grid = out.create_array(  # written frame by frame, so that no scan is held in memory
            "grid",
            shape=(count, high, wide, width),
            dtype="float16",
            chunks=(1, high, wide, width),
            compressors=None,
        )
        out.attrs["pixel_to_grid"] = pixel_to_grid(color_size, (wide, high))
        at_once = self._images_at_once(size)

        def embed(first: int) -> None:
            borders = pairwise(offsets[first : first + at_once + 1])
            encoded = [np.asarray(blobs[begin:end]).tobytes() for begin, end in borders]
            images = np.stack([decode(blob, size) for blob in encoded])
            grid[first : first + len(images)] = self.read(images, (high, wide))

        # Every worker thread takes a batch of images from its files to the entry. On a CPU, towers
        # of one thread side by side need no waiting for each other, and give the same bytes however
        # many there are. On a GPU, the lock in `read` leaves the other workers to decode meanwhile.
        with ThreadPoolExecutor(self._workers, initializer=_use_one_thread) as pool:
            for _ in pool.map(embed, range(0, count, at_once)):
                pass

    @torch.inference_mode()
    def read(
        self, images: NDArray[np.uint8], grid: tuple[int, int] | None = None
    ) -> NDArray[np.float16]:
        """L2-normalised embeddings (B, h, w, d) of RGB images (B, y p, x p, 3).

        `grid` (h, w) is that of the embeddings where images are given at another scale. Raises
        `BadInput` where the tower gives infinite numbers or none.
        """
        if grid is None:
            grid = (images.shape[1] // self._patch[0], images.shape[2] // self._patch[1])
        with self._gpu_turn:
            cells = self._read(torch.from_numpy(images).to(self._tower.device), grid)
            if not cells.isfinite().all():
                what = "its weights give embeddings that are not numbers"
                raise BadInput(self.settings.model, what, "fetch them again or take another tower")
            return cells.half().cpu().numpy()

    def _read(self, images: torch.Tensor, grid: tuple[int, int]) -> torch.Tensor:
        pixels = images.permute(0, 3, 1, 2).float() / 255
        mean, std = (
            torch.tensor(v, device=images.device)[:, None, None]
            for v in (self._tower.mean, self._tower.std)
        )
        scales, flip = self.settings.scales, self.settings.flip
        pixels = (pixels - mean) / std
        return windows.read_often(pixels, self._patch, grid, scales, flip, self._read_once)

    def _read_once(self, pixels: torch.Tensor) -> torch.Tensor:
        window, stride, batch = self.settings.window, self.settings.stride, self.settings.batch
        if window and stride:
            return windows.read(pixels, self._patch, window, stride, batch, self._embed)
        return self._embed(pixels)

    def _embed(self, pixels: torch.Tensor) -> torch.Tensor:
        on_gpu = self._tower.device.type == "cuda"
        with torch.autocast(self._tower.device.type, self._tower.half, enabled=on_gpu):
            return dense(self._tower.view, pixels, self._recipe)

    def _images_at_once(self, size: tuple[int, int]) -> int:
        """How many images of `size` (width, height) fill the tower's batch."""
        window, stride = self.settings.window, self.settings.stride
        if not (window and stride):
            return self.settings.batch
        per_image = [len(windows.starts(length, window, stride)) for length in size]
        return max(1, round(self.settings.batch / (per_image[0] * per_image[1])))


def grid_of(size: Sequence[int], patch: tuple[int, int]) -> tuple[int, int]:
    """The patch grid (h, w) for an image of `size` (width, height) px, `patch` (height, width).

    An image is resized to whole patches: to the nearest number of them, and at least one.
    """
    return max(1, int(size[1] / patch[0] + 0.5)), max(1, int(size[0] / patch[1] + 0.5))


def decode(blob: bytes, size: tuple[int, int]) -> NDArray[np.uint8]:
    """RGB pixels (height, width, 3) of an encoded image, resized to `size` (width, height).

    Bicubic, and antialiased where it shrinks, as the towers' training images were.
    """
    image = Image.open(BytesIO(blob)).convert("RGB")
    if image.size != size:
        image = image.resize(size, Image.Resampling.BICUBIC)
    return np.asarray(image)


def _use_one_thread() -> None:
    torch.set_num_threads(1)


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
