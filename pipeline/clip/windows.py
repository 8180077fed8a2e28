"""Reading an image by overlapping windows, blended on the patch grid, at several sizes or mirrored.

A tower sees windows at the size it was trained at, which localises far better than one view with
stretched position embeddings; objects cut by one window's border are whole in another.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

Read = Callable[[Tensor], Tensor]  # images (B, 3, h p, w p) -> embeddings (B, h, w, d)


def starts(length: int, window: int, stride: int) -> list[int]:
    """Where windows begin along an axis: every `stride`, and one flush with the far end."""
    if length <= window:
        return [0]
    return [*range(0, length - window, stride), length - window]


def read(
    images: Tensor, patch: tuple[int, int], window: int, stride: int, batch: int, tower: Read
) -> Tensor:
    """L2-normalised embeddings (B, h, w, d) of images (B, 3, H, W).

    `tower` gets at most `batch` crops per call, those of different images together. Sizes and
    `window` are pixels and multiples of the patch (height, width); a window that is larger than the
    image is cut down to it. Where `stride` is no multiple of the patch, the cells of windows are
    between those of the image, which are sampled bilinearly from them.
    """
    high, wide = images.shape[2:]
    size = (min(window, high), min(window, wide))
    corners = [(y, x) for y in starts(high, window, stride) for x in starts(wide, window, stride)]
    crops = torch.stack([images[:, :, y : y + size[0], x : x + size[1]] for y, x in corners])
    cells = torch.cat([tower(part) for part in _even_parts(crops.flatten(0, 1), batch)])
    total = cells.new_zeros(len(images), high // patch[0], wide // patch[1], cells.shape[-1])
    for corner, part in zip(corners, cells.unflatten(0, crops.shape[:2]), strict=True):
        ys, xs = (
            Axis.of(start, side, size_of // side)
            for start, side, size_of in zip(corner, patch, size, strict=True)
        )
        seen = xs.sample(ys.sample(part, 1), 2)
        total[:, ys.cells, xs.cells] += seen * torch.outer(ys.weight, xs.weight).to(seen)[..., None]
    return F.normalize(total, dim=-1)  # the sum of weights is only a factor


def size_at(scale: float, grid: tuple[int, int], patch: tuple[int, int]) -> tuple[int, int]:
    """Height and width in pixels of `grid` (h, w) times `scale`, in whole patches."""
    high, wide = (max(1, int(scale * n + 0.5)) for n in grid)
    return high * patch[0], wide * patch[1]


def read_repeatedly(
    images: Tensor,
    patch: tuple[int, int],
    grid: tuple[int, int],
    scales: Sequence[float],
    flip: bool,
    once: Read,
) -> Tensor:
    """L2-normalised mean (B, h, w, d) on `grid` (h, w) of several readings by `once`.

    The images (B, 3, H, W) are resized to `grid` times each of the scales, in whole patches, and
    are also read as their mirror images if `flip`. Give them at the largest scale.
    """
    readings = []
    for scale in scales:
        size = size_at(scale, grid, patch)
        resized = images
        if images.shape[2:] != size:
            resized = F.interpolate(images, size, mode="bicubic", antialias=True)
        readings.append(_resampled(once(resized), grid))
        if flip:
            readings.append(_resampled(once(resized.flip(3)).flip(2), grid))
    return F.normalize(sum(readings[1:], readings[0]), dim=-1) if readings[1:] else readings[0]


def _resampled(cells: Tensor, grid: tuple[int, int]) -> Tensor:
    """Embeddings (B, y, x, d) on another grid (h, w) over the same view, (B, h, w, d)."""
    if cells.shape[1:3] == grid:
        return cells
    maps = F.interpolate(cells.permute(0, 3, 1, 2), grid, mode="bilinear", antialias=True)
    return F.normalize(maps.permute(0, 2, 3, 1), dim=-1)


def _even_parts(crops: Tensor, batch: int) -> Iterator[Tensor]:
    """The crops in as few parts of at most `batch` as will do, none much smaller than another."""
    yield from crops.tensor_split(-(-len(crops) // batch))


@dataclass(frozen=True)
class Axis:
    """The position of a window of n cells on the image's cells, along one axis.

    The image's cell c is at t = c - start / side among the window's cells; those with their centre
    in the window, -1/2 < t < n - 1/2, are sampled at t and weigh sin^2(pi (t + 1/2) / n).
    """

    cells: slice
    at: Tensor  # t, clamped to the window's outermost centres
    weight: Tensor  # small but positive at borders

    @classmethod
    def of(cls, start: int, side: int, n: int) -> "Axis":
        """A window that starts at pixel `start`, with cells of `side` pixels."""
        first = (2 * start - side) // (2 * side) + 1
        end = -(-(2 * start + (2 * n - 1) * side) // (2 * side))
        at = (torch.arange(first, end) * side - start) / side
        weight = torch.sin(torch.pi * (at + 0.5) / n).square()
        return cls(slice(first, end), at.clamp(0, n - 1), weight)

    def sample(self, part: Tensor, axis: int) -> Tensor:
        """The window's embeddings at the image's cells, linearly along an axis."""
        before = self.at.floor()
        if torch.equal(before, self.at):  # and then they are the same cells
            return part
        after = self.at.ceil().long().to(part.device)
        share = (self.at - before).to(part).view([-1 if i == axis else 1 for i in range(4)])
        near = part.index_select(axis, before.long().to(part.device))
        return near.lerp(part.index_select(axis, after), share)
