"""Reading an image by overlapping windows, blended on the patch grid.

A tower sees windows at the size it was trained at, which localises far better than one view with
stretched position embeddings; objects cut by one window's border are whole in another.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn import functional as F


def starts(length: int, window: int, stride: int) -> list[int]:
    """Where windows begin along an axis: every `stride`, and one flush with the far end."""
    if length <= window:
        return [0]
    return [*range(0, length - window, stride), length - window]


def read(
    images: Tensor,
    patch: tuple[int, int],
    window: int,
    stride: int,
    batch: int,
    tower: Callable[[Tensor], Tensor],
) -> Tensor:
    """L2-normalised embeddings (B, h, w, d) of images (B, 3, H, W).

    `tower` maps crops (n, 3, y, x) to embeddings (n, y/p, x/p, d) and is given at most `batch` at a
    time, crops of different images together. Sizes, `window` and `stride` are pixels and multiples
    of the patch (height, width); a window that is larger than the image is cut down to it.
    """
    high, wide = images.shape[2:]
    size = (min(window, high), min(window, wide))
    corners = [(y, x) for y in starts(high, window, stride) for x in starts(wide, window, stride)]
    crops = torch.stack([images[:, :, y : y + size[0], x : x + size[1]] for y, x in corners])
    cells = torch.cat([tower(part) for part in _even_parts(crops.flatten(0, 1), batch)])
    h, w = size[0] // patch[0], size[1] // patch[1]
    weighted = cells.unflatten(0, crops.shape[:2]) * _blend(h, w).to(cells)[..., None]
    total = cells.new_zeros(len(images), high // patch[0], wide // patch[1], cells.shape[-1])
    for (y, x), part in zip(corners, weighted, strict=True):
        top, left = y // patch[0], x // patch[1]
        total[:, top : top + h, left : left + w] += part
    return F.normalize(total, dim=-1)  # the sum of weights is only a factor


def _even_parts(crops: Tensor, batch: int) -> Iterator[Tensor]:
    """The crops in as few parts of at most `batch` as will do, none much smaller than another."""
    yield from crops.tensor_split(-(-len(crops) // batch))


def _blend(h: int, w: int) -> Tensor:
    """Weights (h, w) of a window's cells: sin^2 along each axis, small but positive at borders."""
    rise = [torch.sin(torch.pi * (torch.arange(n) + 0.5) / n).square() for n in (h, w)]
    return torch.outer(*rise)
