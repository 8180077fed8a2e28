"""Tensors and metadata in one safetensors file; equal content gives equal bytes."""

import json
import os
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from pipeline.errors import BadInput


def write(path: Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str]) -> None:
    """Write tensors and metadata to `path` atomically.

    safetensors writes metadata in an order that changes from process to process, so the header is
    written here: its length in 8 bytes, then JSON padded to a multiple of 8 bytes.
    """
    plain = save({name: t.detach().cpu().contiguous() for name, t in tensors.items()})
    (length,) = struct.unpack("<Q", plain[:8])
    entries = json.loads(plain[8 : 8 + length])
    header = json.dumps({"__metadata__": dict(sorted(metadata.items())), **entries}).encode()
    header += b" " * (-len(header) % 8)
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.write(memoryview(plain)[8 + length :])
    os.replace(partial, path)


def read(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """The tensors and metadata of a file. Raises `BadInput` if it is damaged or missing."""
    with _opened(path) as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118


def read_metadata(path: Path) -> dict[str, str]:
    """The metadata of a file alone; raises as `read`."""
    with _opened(path) as file:
        return file.metadata() or {}


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (SafetensorError, OSError) as error:
        if not path.is_file():
            raise BadInput(path, "no such file", "name a network that train_... made") from error
        what = f"not a readable safetensors file ({error})"
        raise BadInput(path, what, "name a trained network, or make this one again") from error


def under(prefix: str, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors whose names begin with `prefix.`, by their names without it."""
    return {
        n.removeprefix(prefix + "."): t for n, t in tensors.items() if n.startswith(prefix + ".")
    }


def named(prefix: str, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors with `prefix.` before each name."""
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}
