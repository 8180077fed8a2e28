"""Checks of the header of a PLY file, before plyfile allocates what a damaged one claims."""

import re
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import BadInput

_LONGEST = 65536  # bytes, far more than any header has
_END = re.compile(rb"[\r\n]end_header(?:\r\n?|\n)")


@dataclass(frozen=True)
class Header:
    """The header of a PLY file, with its last line, and the size of the file in bytes."""

    text: bytes
    file_size: int

    @property
    def lines(self) -> list[bytes]:
        """Its lines without line ends."""
        return self.text.splitlines()

    @property
    def counts(self) -> dict[str, int]:
        """The number of each element, such as "vertex"."""
        found = re.findall(rb"element\s+(\S+)\s+([0-9]{1,15})\s", self.text)
        return {name.decode("latin-1"): int(count) for name, count in found}


def read_header(path: Path, remedy: str, vertex_bytes: int = 6, other_bytes: int = 1) -> Header:
    """The header of a PLY file of at least one vertex.

    Raises `BadInput` with `remedy` where the file cannot be read, is not a PLY file, has no vertex
    or is smaller than its elements, each vertex of at least `vertex_bytes` (by default x, y and z
    as text) and each other element of `other_bytes`.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(_LONGEST)
            size = file.seek(0, 2)
    except OSError as error:
        raise BadInput(path, f"cannot be read ({error.strerror})", remedy) from None
    end = _END.search(head)
    if not head.startswith(b"ply") or end is None:
        raise BadInput(path, "is not a PLY file", remedy)
    header = Header(head[: end.end()], size)
    vertices, elements = header.counts.get("vertex", 0), sum(header.counts.values())
    if vertices == 0:
        raise BadInput(path, "has no vertex", remedy)
    if vertices * vertex_bytes + (elements - vertices) * other_bytes > size:
        raise BadInput(path, f"claims {elements} elements for {size} bytes", remedy)
    return header
