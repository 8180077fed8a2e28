"""What all image towers have in common, whatever their family.

A patch is embedded as the tower would embed an image if its pooling saw only this patch: the head
of the tower is applied to every position.
"""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn


class Block(Protocol):
    """A transformer block, whole or taken apart.

    x is (B, L, width). Taken apart, the block is x <- x + out(A v), x <- x + MLP(x); each head has
    A = softmax(s q k^T) and s = head_dim^-1/2; recipes replace A, or leave a part out.
    """

    def __call__(self, x: Tensor) -> Tensor:
        """The block as it was trained."""

    def qkv(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """q, k and v, each (B, heads, L, head_dim), as the block's own attention compares them."""

    def out(self, mixed: Tensor) -> Tensor:
        """What attention adds to x, (B, L, width), for A v = `mixed` (B, heads, L, head_dim)."""

    def mlp(self, x: Tensor) -> Tensor:
        """What the MLP adds to x."""


@runtime_checkable
class Vit(Protocol):
    """A tower of transformer blocks."""

    patch: tuple[int, int]  # (height, width) in pixels
    prefix: int  # tokens before the patches
    has_class_token: bool
    comes_apart: bool  # whether `qkv`, `out` and `mlp` of its blocks can be used

    def tokens(self, images: Tensor) -> tuple[Tensor, tuple[int, int], Sequence[Block]]:
        """The first block's input (B, prefix + h w, width), the grid (h, w), and the blocks."""

    def head(self, x: Tensor) -> Tensor:
        """Embeddings (B, L, d) of the last block's output, each token pooled as if alone."""


class Convnet(Protocol):
    """A tower that makes a feature map by convolutions, of images of any size."""

    patch: tuple[int, int]  # (height, width) in pixels of a cell of the map

    def cells(self, images: Tensor) -> Tensor:
        """Embeddings (B, h, w, d): the head of the tower at each position of its last map."""


Tower = Vit | Convnet


def unknown(visual: nn.Module) -> str:
    """Why an image tower of a foreign kind cannot be read, in a few words."""
    kind = type(getattr(visual, "trunk", visual)).__name__
    return f"no way is known to read its image tower, a {kind}, at any image size"


def timm_obstacle(visual: Any, *kinds: type[nn.Module]) -> str | None:
    """Why a `TimmModel` cannot be read as one whose trunk is of these kinds; None if it can."""
    if hasattr(getattr(visual, "head", None), "pool"):
        return "its image tower pools by an attention that is bound to one image size"
    return None if isinstance(getattr(visual, "trunk", None), kinds) else unknown(visual)


def split_heads(x: Tensor, heads: int) -> Tensor:
    """(B, L, heads * head_dim) -> (B, heads, L, head_dim)."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)
