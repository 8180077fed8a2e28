"""Codecs: how the grids of a scan are stored, F frames of h x w cells and d numbers per vector.

Each module here is a codec, found by its name, which the attribute `codec` of an entry gives. It
has `check(depth)`, which raises `BadInput` where vectors (depth,) cannot be stored; `Writer(out,
shape)` with `put` and `finish`; `Stored(entry)` with `shape` and `cells` (see
`pipeline.grids.writing` and `pipeline.grids.reading`); and `PER_FRAME`, the names of the arrays
that have a part for each frame.
"""

from pathlib import Path
from types import ModuleType

from pipeline.errors import BadInput


def names() -> list[str]:
    """All codecs, in alphabetical order."""
    files = Path(__file__).parent.glob("*.py")
    return sorted(file.stem for file in files if file.stem != "__init__")


def module_name(codec: str) -> str:
    """The dotted name of a codec's module; raises `BadInput` where there is no such codec."""
    if codec not in names():
        remedy = f"take one of {', '.join(names())}"
        raise BadInput("embeddings", f"there is no codec {codec}", remedy)
    return f"{__name__}.{codec}"


def name_of(codec: ModuleType) -> str:
    """The name of a codec, given its module."""
    return codec.__name__.rpartition(".")[2]
