"""Scoring protocols, one module each: `score(counts, classes) -> Scores`.

A module in this folder is found by its name, and its scores are in every table; those of `GROUPED`,
`score(counts, classes, groups)`, are in the tables of classes that come in groups.
"""

import pkgutil
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # so that names need no numpy
    import numpy as np
    from numpy.typing import NDArray

    from model.scoring.scores import Scores

_FIRST = ("scannet_official", "openscene", "foreground", "s3dis")  # the order in the tables
GROUPED = ("scannet200",)


def names(grouped: bool = False) -> tuple[str, ...]:
    """The names of protocols in the order of the tables: new ones last, by name.

    Those of classes in groups only if these are `grouped`, and last.
    """
    found = {module.name for module in pkgutil.iter_modules(__path__)}
    first = [name for name in _FIRST if name in found]
    others = sorted(found.difference(first, GROUPED))
    return (*first, *others, *(GROUPED if grouped else ()))


def score(
    name: str,
    counts: "NDArray[np.int64]",
    classes: Sequence[str],
    groups: Mapping[str, str] | None = None,
) -> "Scores":
    """Scores of a confusion matrix (K, K + 1) of the named classes (K) under a protocol.

    `groups` are those of the classes, by name, for the protocols of `GROUPED`. Raises `ValueError`
    where there is no protocol of that name, or it needs groups and there are none.
    """
    known = names(grouped=groups is not None)
    if name not in known:
        raise ValueError(f"{name!r} is none of {known}")
    more = (groups,) if name in GROUPED else ()
    found: Scores = import_module(f"{__name__}.{name}").score(counts, classes, *more)
    return found
