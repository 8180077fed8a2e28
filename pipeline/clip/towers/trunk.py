"""The blocks of a ViT with what goes into the first of them: all that a recipe needs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from pipeline.clip.towers.blocks import Block


@dataclass(frozen=True)
class Trunk:
    """Blocks bound to the images at hand."""

    x: Tensor  # input of the first block (B, prefix + h w, width)
    grid: tuple[int, int]  # (h, w)
    blocks: Sequence[Block]
    prefix: int  # tokens before the patches, the class token first

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
