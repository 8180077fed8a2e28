"""Tensors and metadata in one safetensors file; equal content gives equal bytes."""

import json
import os
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save

from pipeline.errors import BadInput
from pipeline.foreign import one_line, parse_json

_MOST_HEADER = 16 << 20  # bytes: those of networks have a few thousand


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
    if not path.is_file():
        raise BadInput(path, "no such file", "name a network that train_... made")
    try:
        _check_header(path)
        with safe_open(path, framework="pt") as file:
            yield file
    except Exception as error:  # many kinds: safetensors lets those of torch through
        what = f"not a readable safetensors file ({one_line(error)})"
        raise BadInput(path, what, "name a trained network, or make this one again") from error


def _check_header(path: Path) -> None:
    """Raise `ValueError` for a header that safetensors reads in another way than it is meant.

    Of a tensor that is there twice it takes one. It compares all sizes with that of the file.
    """
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8).ljust(8, b"\0"))
        if length > min(_MOST_HEADER, path.stat().st_size - 8):
            raise ValueError(f"its header has {length:,} bytes")
        parse_json(file.read(length).decode())


def under(prefix: str, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors whose names begin with `prefix.`, by their names without it."""
    return {
        n.removeprefix(prefix + "."): t for n, t in tensors.items() if n.startswith(prefix + ".")
    }


def named(prefix: str, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors with `prefix.` before each name."""
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}
