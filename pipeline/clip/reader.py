"""What an image tower makes of images: grids of embeddings, read as the config says."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from io import BytesIO
from queue import SimpleQueue
from types import ModuleType
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from pipeline.clip import windows
from pipeline.clip.dense import dense
from pipeline.clip.image_tower import ImageTower
from pipeline.errors import BadInput

Images = NDArray[np.uint8]  # RGB (B, y, x, 3)
Regions = list[NDArray[np.integer]]  # of the pixels (y, x) of each image

PIXELS_ON_A_CPU = 2**18  # per batch: what a tower makes of more does not stay in the caches


@dataclass(frozen=True)
class Settings:
    """How a tower is read; pixels are those of the resized image."""

    model: str
    pretrained: str | None
    image_size: Sequence[int] | None  # (width, height) to resize to; None: as recorded
    window: int | None  # side in pixels, multiple of the patch; None: the whole image
    stride: int | None  # in pixels, any; only with a window
    batch: int  # most images or windows per call of the tower
    scales: Sequence[float] = (1.0,)  # of `image_size`, at which images are read and averaged
    flip: bool = False  # read mirror images too


class Pooling(Protocol):
    """Averages embeddings within regions of the image: see regions.py."""

    def of(self, image: Images) -> NDArray[np.integer]:
        """The region (y, x) of each pixel of one image."""

    def average(
        self, cells: NDArray[np.floating], region: NDArray[np.integer]
    ) -> NDArray[np.floating]:
        """The averaged grid (h, w, d) of one image."""


def prepare(
    blobs: Sequence[bytes], size: tuple[int, int], pooling: Pooling | None
) -> tuple[Images, Regions]:
    """Encoded images, decoded and of one `size` (width, height), and their regions if asked for."""
    images = np.stack([decode(blob, size) for blob in blobs])
    return images, [pooling.of(image) for image in images] if pooling else []


def decode(blob: bytes, size: tuple[int, int]) -> Images:
    """RGB pixels (height, width, 3) of an encoded image, resized to `size` (width, height).

    Bicubic, and antialiased where it shrinks, as the towers' training images were.
    """
    image = Image.open(BytesIO(blob)).convert("RGB")
    if image.size != size:
        image = image.resize(size, Image.Resampling.BICUBIC)
    return np.asarray(image)


class StreamPool:
    """Two streams of a GPU: while the tower works in one, the other copies images in or grids out.

    More than two batches at the same time would only take memory.
    """

    def __init__(self) -> None:
        torch.cuda.synchronize()  # until the weights are there
        self._free: SimpleQueue[torch.cuda.Stream] = SimpleQueue()
        for _ in range(2):
            self._free.put(torch.cuda.Stream())

    @contextmanager
    def acquire(self) -> Iterator[None]:
        """Work on a stream that no other thread uses, as soon as one is free."""
        stream = self._free.get()
        try:
            with torch.cuda.stream(stream):
                yield
        finally:
            self._free.put(stream)


@dataclass(frozen=True)
class Reader:
    """A tower and how it is read, from any number of threads."""

    settings: Settings
    recipe: ModuleType  # of `pipeline.clip.recipes`
    tower: ImageTower
    pooling: Pooling | None = None
    streams: StreamPool | None = None  # on a GPU

    def read(self, images: Images, regions: Regions, grid: tuple[int, int]) -> NDArray[np.float16]:
        """L2-normalised embeddings (B, h, w, d) of images on a `grid` (h, w).

        Raises `BadInput` where the tower gives infinite numbers or none.
        """
        return self._grids(images, regions, grid, torch.float16)

    def exact(self, images: Images, regions: Regions, grid: tuple[int, int]) -> NDArray[np.float32]:
        """The same before they are rounded."""
        return self._grids(images, regions, grid, torch.float32)

    @torch.inference_mode()
    def _grids(
        self, images: Images, regions: Regions, grid: tuple[int, int], kind: torch.dtype
    ) -> NDArray[Any]:
        with self.streams.acquire() if self.streams else nullcontext():
            cells = self._read(torch.from_numpy(images).to(self.tower.device), grid)
            if not cells.isfinite().all():
                what = "its weights give embeddings that are not numbers"
                raise BadInput(self.settings.model, what, "fetch them again or take another tower")
            grids = cells.to(kind).cpu().numpy()
        if self.pooling is None:
            return grids
        pairs = zip(grids, regions, strict=True)
        return np.stack([self.pooling.average(*pair) for pair in pairs])

    def images_at_once(self, size: tuple[int, int]) -> int:
        """How many images of `size` (width, height) fill the tower's batch."""
        window, stride = self.settings.window, self.settings.stride
        if not (window and stride):
            return self._batch(size)
        across, down = (len(windows.starts(side, window, stride)) for side in size)
        return max(1, round(self._batch(size) / (across * down)))

    def _batch(self, size: tuple[int, int]) -> int:
        """How many images of `size` (width, height), or windows, make a batch of the tower."""
        if self.tower.device.type == "cuda":
            return self.settings.batch
        wide, high = (min(side, self.settings.window or side) for side in size)
        return max(1, min(self.settings.batch, PIXELS_ON_A_CPU // (wide * high)))

    def _read(self, images: torch.Tensor, grid: tuple[int, int]) -> torch.Tensor:
        pixels = images.permute(0, 3, 1, 2).float() / 255
        mean, std = (
            torch.tensor(v, device=images.device)[:, None, None]
            for v in (self.tower.mean, self.tower.std)
        )
        scales, flip = self.settings.scales, self.settings.flip
        pixels = (pixels - mean) / std
        patch = self.tower.view.patch
        return windows.read_repeatedly(pixels, patch, grid, scales, flip, self._read_once)

    def _read_once(self, pixels: torch.Tensor) -> torch.Tensor:
        window, stride = self.settings.window, self.settings.stride
        if window and stride:
            high, wide = pixels.shape[2:]
            batch = self._batch((wide, high))
            return windows.read(pixels, self.tower.view.patch, window, stride, batch, self._embed)
        return self._embed(pixels)

    def _embed(self, pixels: torch.Tensor) -> torch.Tensor:
        on_gpu = self.tower.device.type == "cuda"
        with torch.autocast(self.tower.device.type, self.tower.half, enabled=on_gpu):
            return dense(self.tower.view, pixels, self.recipe)


def embed(
    reader: Reader, blobs: Sequence[bytes], size: tuple[int, int], grid: tuple[int, int]
) -> NDArray[np.float16]:
    """The grids (B, h, w, d) of encoded images, by a tower beside others on the cores of a CPU."""
    return reader.read(*prepare(blobs, size, reader.pooling), grid)
