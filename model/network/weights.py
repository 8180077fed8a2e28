"""The weights in a file put into the network that the file describes, which are checked first."""

import math
from collections.abc import Mapping
from typing import Any

import torch

from model.network.inputs import in_channels
from model.network.unet import ARCHITECTURES, MinkUNet

_SIZES = ("planes", "layers", "head")  # lists of whole numbers
_LENGTH = 0.01  # by which the length of a text embedding may differ from 1: that of fp16 does
_STEM = ("stem_width", "stem_kernel")


def network_of(
    weights: Mapping[str, torch.Tensor], sizes: object, inputs: tuple[str, ...], width: int
) -> MinkUNet:
    """The network of `width` outputs with these weights, on the CPU.

    `sizes` are what a file says that it has, of the keywords of `MinkUNet`. It is built without
    memory until each tensor has the shape that follows from them. Raises `ValueError` for sizes
    that cannot be, for tensors that are missing, surplus or of another shape or type, and for
    numbers that are not finite.
    """
    checked = _sizes(sizes, weights)
    with torch.device("meta"):
        network = MinkUNet(in_channels(inputs), width, **checked)
    expected = network.state_dict()
    for names, what in ((expected.keys() - weights.keys(), "no"), (weights.keys() - expected, "a")):
        if names:
            raise ValueError(f"it has {what} tensor {_first(names)}")
    for name, tensor in expected.items():
        require_like(name, weights[name], tuple(tensor.shape), tensor.dtype)
    network.to_empty(device="cpu").load_state_dict(weights)
    return network


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


def _sizes(sizes: object, weights: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """The keywords of `MinkUNet`, none larger than the tensors can be."""
    if not isinstance(sizes, Mapping):
        raise ValueError("its config does not describe a network")
    unknown = sizes.keys() - {"arch", *_SIZES, *_STEM}
    if unknown:
        raise ValueError(f"its network has the unknown size {_first(unknown)}")
    if sizes.get("arch", "18A") not in list(ARCHITECTURES):
        raise ValueError("its network is of an unknown arch")
    most = max((tensor.numel() for tensor in weights.values()), default=0)
    for name in _SIZES:
        found = sizes.get(name)
        if found is not None and not (isinstance(found, list) and _whole(found, most)):
            raise ValueError(f"its network cannot have these {name}")
    for name in _STEM:
        if sizes.get(name) is not None and not _whole([sizes[name]], most):
            raise ValueError(f"its network cannot have this {name}")
    if (sizes.get("stem_kernel") or 1) % 2 == 0:
        raise ValueError("its network has a stem_kernel that is even")
    if len(sizes.get("head") or []) + sum(sizes.get("layers") or []) > len(weights):
        raise ValueError("it has fewer tensors than its network has layers")
    return {name: value for name, value in sizes.items() if value is not None}


def _whole(values: list[Any], most: int) -> bool:
    return all(type(value) is int and 1 <= value <= most for value in values)


def _first(names: set[Any]) -> str:
    return repr(min(map(str, names)))[:60]
