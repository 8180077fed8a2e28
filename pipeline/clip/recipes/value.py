"""The recipe `value`: every patch attends to itself alone.

Zhou et al., "Extract Free Dense Labels from CLIP" (MaskCLIP), ECCV 2022.
"""

from torch import Tensor

from pipeline.clip.inputs import Inputs, Needs

NEEDS = Needs(blocks=True)


def read(inputs: Inputs) -> Tensor:
    """out(v) for all tokens (B, prefix + h w, width); no residual, no MLP."""
    _, _, v = inputs.last.qkv(inputs.before_last())
    return inputs.last.out(v)
