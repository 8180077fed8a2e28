"""What a recipe is given of the images at hand, and what it may need of a tower."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from pipeline.clip.tower import Block, Tower


@dataclass(frozen=True)
class Needs:
    """What a recipe needs; by default nothing, so that it reads towers of any kind."""

    blocks: bool = False  # a ViT whose blocks can be taken apart
    class_token: bool = False
    image: bool = False  # `Inputs.image`
    second_tower: bool = False  # `Inputs.second`


@dataclass(frozen=True)
class Inputs:
    """The blocks of a ViT with what goes into the first of them."""

    x: Tensor  # input of the first block (B, prefix + h w, width)
    grid: tuple[int, int]  # (h, w)
    blocks: Sequence[Block]
    prefix: int  # tokens before the patches, the class token first
    image: Tensor | None = None  # (B, 3, H, W) f32, normalised, if it is needed
    second: Tower | None = None  # another image tower, if it is needed

    @property
    def last(self) -> Block:
        """The block that recipes change."""
        return self.blocks[-1]

    def outputs(self) -> Iterator[Tensor]:
        """The output (B, prefix + h w, width) of each block but the last."""
        x = self.x
        for block in self.blocks[:-1]:
            x = block(x)
            yield x

    def before_last(self) -> Tensor:
        """The input of the last block (B, prefix + h w, width)."""
        x = self.x
        for block in self.blocks[:-1]:
            x = block(x)
        return x
