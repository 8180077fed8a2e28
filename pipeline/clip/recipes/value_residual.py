"""The recipe `value_residual`: every patch attends to itself alone, in a block that is else whole.

TIPSv2 (Cao et al., CVPR 2026) is read so, where MaskCLIP (the recipe `value`) leaves out the
residual and the MLP.
"""

from torch import Tensor

from pipeline.clip.inputs import Inputs, Needs

NEEDS = Needs(blocks=True)


def read(inputs: Inputs) -> Tensor:
    """y = x + out(v), then y + MLP(y), for all tokens (B, prefix + h w, width)."""
    x = inputs.before_last()
    _, _, v = inputs.last.qkv(x)
    y = x + inputs.last.out(v)
    return y + inputs.last.mlp(y)
