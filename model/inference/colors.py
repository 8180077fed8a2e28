"""The colours of a network's classes, for those that no file says the colours of."""

from collections.abc import Sequence

from pipeline.clip.weights import CHECKOUT
from pipeline.plan import manifest


def class_colors(classes: Sequence[str]) -> dict[str, str]:
    """The colours in the first list of classes in `data_manifest` that has all these classes.

    Nothing outside a checkout, which has no such list.
    """
    for path in sorted(CHECKOUT.glob("data_manifest/*/classes*.csv"), reverse=True):
        known = {row["name"]: row["color"] for row in manifest.read_classes(path) if "color" in row}
        if set(classes) <= set(known):
            return known
    return {}
