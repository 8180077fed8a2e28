"""The recipe `clearclip`: attention by the likeness of queries.

Lan et al., "ClearCLIP: Decomposing CLIP Representations for Dense Vision-Language Inference",
ECCV 2024.
"""

from torch import Tensor
from torch.nn import functional as F

from pipeline.clip.inputs import Inputs, Needs

NEEDS = Needs(blocks=True)


def read(inputs: Inputs) -> Tensor:
    """out(softmax(s q q^T) v) for all tokens (B, prefix + h w, width); no residual, no MLP."""
    q, _, v = inputs.last.qkv(inputs.before_last())
    return inputs.last.out(F.scaled_dot_product_attention(q, q, v))
