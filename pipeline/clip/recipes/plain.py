"""The recipe `plain`: the last block as it was trained."""

from torch import Tensor

from pipeline.clip.inputs import Inputs, Needs

NEEDS = Needs()


def read(inputs: Inputs) -> Tensor:
    """All tokens (B, prefix + h w, width)."""
    return inputs.last(inputs.before_last())
