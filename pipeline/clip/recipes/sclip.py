"""The recipe `sclip`: attention by the likeness of queries and of keys.

Wang et al., "SCLIP: Rethinking Self-Attention for Dense Vision-Language Inference", ECCV 2024.
"""

from torch import Tensor
from torch.nn import functional as F

from pipeline.clip.inputs import Inputs, Needs

NEEDS = Needs(blocks=True)


def read(inputs: Inputs) -> Tensor:
    """x + out((softmax(s q q^T) + softmax(s k k^T)) v), then the MLP as it was trained.

    All tokens, (B, prefix + h w, width).
    """
    x = inputs.before_last()
    q, k, v = inputs.last.qkv(x)
    mixed = [F.scaled_dot_product_attention(same, same, v) for same in (q, k)]
    x = x + inputs.last.out(mixed[0] + mixed[1])
    return x + inputs.last.mlp(x)
