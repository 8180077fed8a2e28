"""Scoring protocols, one module each: `score(counts, classes) -> Scores`.

A module in this folder is found by its name, and its scores are in every table.
"""

import pkgutil
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # so that names need no numpy
    import numpy as np
    from numpy.typing import NDArray

    from model.scoring.scores import Scores

_FIRST = ("scannet_official", "openscene", "foreground", "s3dis")  # the order in the tables


def names() -> tuple[str, ...]:
    """The names of all protocols in the order of the tables: new ones last, by name."""
    found = {module.name for module in pkgutil.iter_modules(__path__)}
    first = [name for name in _FIRST if name in found]
    return (*first, *sorted(found.difference(first)))


def score(name: str, counts: "NDArray[np.int64]", classes: Sequence[str]) -> "Scores":
    """Scores of a confusion matrix (K, K + 1) of the named classes (K) under a protocol.

    Raises `ValueError` where there is no protocol of that name.
    """
    if name not in names():
        raise ValueError(f"{name!r} is none of {names()}")
    found: Scores = import_module(f"{__name__}.{name}").score(counts, classes)
    return found
