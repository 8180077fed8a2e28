"""What tensors of a file must be, before they are put into a network."""

import math

import torch

_LENGTH = 0.01  # by which the length of a text embedding may differ from 1: that of fp16 does


def require_like(
    name: str, found: torch.Tensor, shape: tuple[int, ...], dtype: torch.dtype = torch.float32
) -> None:
    """Raise `ValueError` unless a tensor has a shape, is a float where it is to be, and finite."""
    if tuple(found.shape) != shape:
        raise ValueError(f"its {name} has the shape {tuple(found.shape)} and not {shape}")
    if found.is_floating_point() != dtype.is_floating_point or found.is_complex():
        raise ValueError(f"its {name} is {found.dtype}")
    if found.is_floating_point() and not _finite(found.float()):
        raise ValueError(f"its {name} has numbers that are not finite")
    if name.endswith("running_var") and (found < 0).any():
        raise ValueError(f"its {name} is negative")


def require_text(text: torch.Tensor, count: int, normalised: bool) -> None:
    """Raise `ValueError` unless text embeddings (K, d) are those of `count` classes.

    Those that outputs are compared with by their cosine (`normalised`) have unit length.
    """
    if len(text) != count:
        raise ValueError(f"it has {count} classes and text embeddings of {len(text)}")
    require_like("text_embeddings", text, (count, text.shape[1]))
    length = text.float().norm(dim=1)
    if normalised and not bool(((length - 1).abs() < _LENGTH).all()):
        raise ValueError("its text embeddings are not of unit length")


def _finite(found: torch.Tensor) -> bool:
    """Whether all are: a sum is not finite if one is not, and needs no memory."""
    return math.isfinite(float(found.abs().max())) if found.numel() else True
