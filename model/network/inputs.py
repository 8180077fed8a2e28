"""The names of the network's inputs, which the config chooses from, and their numbers of channels.

`model.data.inputs` computes them.
"""

from collections.abc import Collection

CHANNELS = {"color": 3, "height": 1, "normal": 3, "constant": 1}
COLOR_ONLY = ("color",)


def in_channels(names: Collection[str]) -> int:
    """The number of channels of some inputs. Raises `ValueError` for an unknown name, or none."""
    unknown = set(names) - set(CHANNELS)
    if unknown or not names:
        what = f"{sorted(unknown)} are" if unknown else "an empty list is"
        raise ValueError(f"{what} not among the inputs {list(CHANNELS)}")
    return sum(CHANNELS[name] for name in set(names))
