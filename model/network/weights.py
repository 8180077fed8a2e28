"""The weights in a file put into the network that the file describes, which are checked first."""

from collections.abc import Mapping
from typing import Any

import torch

from model.network.inputs import in_channels
from model.network.tensors import require_like
from model.network.unet import ARCHITECTURES, MinkUNet

_SIZES = ("planes", "layers", "head")  # lists of whole numbers
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
