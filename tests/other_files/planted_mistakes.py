"""Mistakes in poses, units and cameras: the doctor names each, and its advice makes it right."""

from functools import cache, partial
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from pipeline.doctor import checks, views
from pipeline.geometry import pairs
from tests.helpers import planted
from tests.helpers.follow import follow
from tests.helpers.planting import KINDS
from tests.other_files import Variant

ROOMS = 4
FRAMES = 9


@cache
def room(seed: int) -> planted.Recorded:
    """A small recording of a room, with nothing wrong about it."""
    return planted.analytic(np.random.default_rng(seed), 18, (56, 42))


def sentences(raw: planted.Recorded) -> list[str]:
    """What the doctor finds."""
    return [str(each) for each in checks.examine(raw, views.take(raw, FRAMES), None).findings]


def check_clean(folder: Path, seed: int) -> None:
    """Nothing is found in a right scan."""
    assert sentences(room(seed)) == []


def check_mistake(folder: Path, seed: int, kind: str, draw: int) -> None:
    """The sentence names the mistake, and the frames of the mended scan agree."""
    fault = KINDS[kind](np.random.default_rng(draw), room(seed))
    said = sentences(fault.recording)
    assert any(word in each for word in fault.words for each in said), (fault.what, said)
    mended = follow(said[0], fault.recording)
    if kind != "nothing explains it":
        assert mended is not None, said
        found = pairs.compare(views.take(mended, FRAMES).at())
        assert (found.ratio if found else 9) < 0.6, (fault.what, said)


seeds = st.integers(0, ROOMS - 1)
EXAMPLES = 5  # each is examined several times

VARIANTS = st.one_of(
    st.builds(lambda seed: Variant(f"right room {seed}", partial(check_clean, seed=seed)), seeds),
    *(
        st.builds(
            lambda kind, seed, draw: Variant(
                f"{kind}, room {seed}, draw {draw}",
                partial(check_mistake, seed=seed, kind=kind, draw=draw),
            ),
            st.just(kind),
            seeds,
            st.integers(0, 999),
        )
        for kind in KINDS
    ),
)
