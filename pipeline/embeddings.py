"""Stage embeddings: the colour images of a scan -> grids of dense CLIP embeddings.

The grid is coarser than the image, and by contract it is read bilinearly at any pixel through
`pixel_to_grid`: per pixel, ScanNet would take 15 TB instead of 0.2.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from itertools import islice, pairwise
from typing import Any, cast

import numpy as np
import torch
import zarr
from numpy.typing import NDArray
from PIL import Image

from pipeline import windows
from pipeline.clip import load_image_tower
from pipeline.errors import BadInput
from pipeline.recipes import RECIPES, can_read, dense

PACKAGES = ("open_clip_torch", "pillow", "torch")


@dataclass(frozen=True)
class Settings:
    """What the config says under `embeddings`; pixels are those of the resized image."""

    model: str
    pretrained: str | None
    recipe: str  # plain, value or naclip: see recipes.py
    image_size: Sequence[int] | None  # (width, height) to resize to; None: as recorded
    window: int | None  # side in pixels, multiple of the patch; None: the whole image at once
    stride: int | None  # in pixels, multiple of the patch; only with a window
    batch: int  # images or windows that the tower is given at a time


class Stage:
    """Holds the tower, so that a batch of scans loads it once."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        """Load the tower; raises `BadInput` for settings or weights that cannot be used."""
        self.settings = Settings(**params)
        if self.settings.recipe not in RECIPES:
            remedy = f"take one of {', '.join(RECIPES)}"
            raise BadInput("embeddings", f"there is no recipe {self.settings.recipe}", remedy)
        self._recipe = RECIPES[self.settings.recipe]
        self._tower = load_image_tower(self.settings.model, self.settings.pretrained)
        if not can_read(self._tower.visual, self._recipe):
            what = f"the recipe {self.settings.recipe} cannot take its last block apart"
            raise BadInput(self.settings.model, what, "set `recipe: plain`")
        self._patch: tuple[int, int] = self._tower.visual.patch_size
        _check_windows(self.settings, self._patch)

    def __call__(self, out: zarr.Group, frames: zarr.Group) -> None:
        """Write `grid` f16 (F, h, w, d) and the attribute `pixel_to_grid`."""
        color_size = cast(list[int], frames.attrs["color_size"])
        high, wide = grid_of(self.settings.image_size or color_size, self._patch)
        width = self._tower.visual.output_dim
        count = len(np.asarray(frames["color_offsets"])) - 1
        grid = out.create_array(  # written frame by frame, so that no scan is held in memory
            "grid",
            shape=(count, high, wide, width),
            dtype="float16",
            chunks=(1, high, wide, width),
            compressors=None,
        )
        out.attrs["pixel_to_grid"] = pixel_to_grid(color_size, (wide, high))
        size = (wide * self._patch[1], high * self._patch[0])
        at_once = self._images_at_once(size)
        first = 0
        with ThreadPoolExecutor() as pool:
            written: Future | None = None
            images = _decoded_ahead(frames, size, pool, 2 * at_once)
            while group := list(islice(images, at_once)):
                embedded = self.read(np.stack(group))
                if written:
                    written.result()
                written = pool.submit(grid.__setitem__, slice(first, first + len(group)), embedded)
                first += len(group)
            if written:
                written.result()

    @torch.inference_mode()
    def read(self, images: NDArray[np.uint8]) -> NDArray[np.float16]:
        """L2-normalised embeddings (B, h, w, d) of RGB images (B, h p, w p, 3)."""
        device, window, stride = self._tower.device, self.settings.window, self.settings.stride
        pixels = torch.from_numpy(images).to(device).permute(0, 3, 1, 2).float() / 255
        mean, std = (
            torch.tensor(v, device=device)[:, None, None]
            for v in (self._tower.mean, self._tower.std)
        )
        pixels = (pixels - mean) / std
        with torch.autocast("cuda", torch.float16, enabled=device.type == "cuda"):
            if window and stride:
                cells = windows.read(
                    pixels, self._patch, window, stride, self.settings.batch, self._embed
                )
            else:
                cells = self._embed(pixels)
        return cells.half().cpu().numpy()

    def _embed(self, pixels: torch.Tensor) -> torch.Tensor:
        return dense(self._tower.visual, pixels, self._recipe)

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


def pixel_to_grid(color_size: Sequence[int], grid_size: Sequence[int]) -> list[list[float]]:
    """[[ax, bx], [ay, by]]: pixel (u, v) is at column ax u + bx and row ay v + by of the grid.

    Both sizes are (width, height), and centres of the first pixel and the first cell are 0. Image
    and grid cover the same view, so (u + 1/2) / width = (column + 1/2) / grid width, whatever the
    image was resized to in between.
    """
    ratios = [cells / pixels for cells, pixels in zip(grid_size, color_size, strict=True)]
    return [[a, 0.5 * a - 0.5] for a in ratios]


def decode(blob: bytes, size: tuple[int, int]) -> NDArray[np.uint8]:
    """RGB pixels (height, width, 3) of an encoded image, resized to `size` (width, height).

    Bicubic, and antialiased where it shrinks, as the towers' training images were.
    """
    image = Image.open(BytesIO(blob)).convert("RGB")
    if image.size != size:
        image = image.resize(size, Image.Resampling.BICUBIC)
    return np.asarray(image)


def _decoded_ahead(
    frames: zarr.Group, size: tuple[int, int], pool: ThreadPoolExecutor, ahead: int
) -> Iterator[NDArray[np.uint8]]:
    """The images in order, `ahead` of them decoded while the tower is at work."""
    offsets, blobs = np.asarray(frames["color_offsets"]), frames["color"]
    assert isinstance(blobs, zarr.Array)
    pending: deque[Future[NDArray[np.uint8]]] = deque()
    for begin, end in pairwise(offsets):
        pending.append(pool.submit(decode, np.asarray(blobs[begin:end]).tobytes(), size))
        if len(pending) > ahead:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()


def _check_windows(settings: Settings, patch: tuple[int, int]) -> None:
    """Raise `BadInput` where windows do not fall on whole patches or leave gaps."""
    window, stride = settings.window, settings.stride
    if (window is None) != (stride is None):
        raise BadInput("embeddings", "`window` and `stride` go together", "give both or neither")
    if window and stride:
        if stride > window:
            what = f"windows of {window} px every {stride} px leave gaps"
            raise BadInput("embeddings", what, "make `stride` at most `window`")
        if any(n % side for n in (window, stride) for side in patch):
            what = f"window {window} and stride {stride} do not fall on patches of {patch[0]} px"
            raise BadInput("embeddings", what, "make both multiples of the patch")
