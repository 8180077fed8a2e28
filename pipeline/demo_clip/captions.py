"""Captions of simulated views.

A thing has several descriptions: nouns ("sofa", "couch") and uses ("something to lounge on"). Some
phrases of known words are held out (`HELD_OUT`): no caption contains them, so that a query for them
tests a new composition.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np


class Words(NamedTuple):
    """Descriptions of a thing: `nouns` take an article, `uses` do not."""

    nouns: tuple[str, ...]
    uses: tuple[str, ...] = ()


# By NYU40 id. The first noun is the name of the class in the ScanNet benchmark.
WORDS: Mapping[int, Words] = {
    1: Words(("wall", "wall of the room", "painted wall"), ("the side of the room",)),
    2: Words(("floor", "ground", "floor of the room"), ("something to walk on", "flooring")),
    3: Words(
        ("cabinet", "cupboard", "drawers", "chest of drawers", "kitchen cabinet"),
        ("something to store things in", "a place to store things"),
    ),
    4: Words(
        ("bed", "mattress", "bunk", "bed with a pillow"),
        ("something to sleep on", "something to sleep in", "somewhere to sleep"),
    ),
    5: Words(
        ("chair", "seat", "armchair", "office chair"), ("something to sit on", "a seat for one")
    ),
    6: Words(
        ("sofa", "couch", "settee", "soft seat"),
        ("something to lounge on", "a seat for several people"),
    ),
    7: Words(
        ("table", "dining table", "coffee table", "end table"),
        ("something to eat at", "a place to eat"),
    ),
    8: Words(("door", "doorway", "doorframe"), ("something to walk through", "the way out")),
    9: Words(
        ("window", "window frame", "window pane"),
        ("something to look out of", "something that lets light in"),
    ),
    10: Words(
        ("bookshelf", "bookcase", "shelf", "rack of books"),
        ("something to keep books on", "shelves full of books"),
    ),
    11: Words(
        ("picture", "painting", "poster", "picture frame"),
        ("art on the wall", "something to look at"),
    ),
    12: Words(
        (
            "counter",
            "countertop",
            "kitchen counter",
            "bathroom counter",
            "worktop",
            "kitchen island",
        ),
        ("something to prepare food on", "a surface of the kitchen"),
    ),
    14: Words(
        ("desk", "writing desk", "office desk", "computer desk"),
        ("something to work at", "something to write at"),
    ),
    16: Words(
        ("curtain", "drape", "window curtain"),
        ("curtains", "drapes", "cloth hanging at the window"),
    ),
    24: Words(
        ("refrigerator", "fridge", "freezer"),
        ("something that keeps food cold", "something to keep food in"),
    ),
    28: Words(
        ("shower curtain", "shower cloth", "bathroom curtain"),
        ("cloth hanging at the shower", "something that keeps water in"),
    ),
    33: Words(
        ("toilet", "lavatory", "toilet bowl", "toilet seat"),
        ("something to flush", "the wc"),
    ),
    34: Words(
        ("sink", "basin", "washbasin", "kitchen sink"),
        ("something to wash hands in", "somewhere to wash hands"),
    ),
    36: Words(
        ("bathtub", "bath", "tub"),
        ("something to bathe in", "a place to bathe"),
    ),
    39: Words(
        ("other furniture", "furniture", "piece of furniture", "furnishing", "wardrobe"),
        ("some other furniture",),
    ),
}

# Never in a caption: new compositions of known words.
HELD_OUT: Mapping[int, tuple[str, ...]] = {
    4: ("a place to sleep",),
    5: ("a place to sit", "somewhere to sit"),
    6: ("a place to lounge", "a soft couch for several people"),
    9: ("a place to look out",),
    10: ("a place to keep books",),
    12: ("a place to prepare food",),
    14: ("a place to work", "somewhere to write"),
    16: ("window drapes",),
    24: ("a place to keep food cold",),
    34: ("a place to wash hands",),
    36: ("somewhere to bathe",),
}

TEMPLATES = (
    "{}",
    "a photo of {}",
    "a view of {}",
    "{} in a room",
    "there is {}",
    "this is {}",
    "a photo of {} in a room",
    "a close view of {}",
)
_PAIRS = ("{} and {}", "{} next to {}", "{} with {}", "{} by {}")


def words_of(name: str, nyu40: int) -> Words:
    """Descriptions of a thing of raw category `name` and NYU40 id, its own name included."""
    own = name.lower().replace("_", " ")
    known = WORDS.get(nyu40, Words((own,)))
    return known if own in known.nouns else Words((own, *known.nouns), known.uses)


def phrase(words: Words, rng: np.random.Generator) -> str:
    """One description of a thing: usually a noun with or without an article, sometimes a use."""
    if words.uses and rng.random() < 0.35:
        return words.uses[rng.integers(len(words.uses))]
    noun = words.nouns[rng.integers(len(words.nouns))]
    article = ("an" if noun[0] in "aeiou" else "a", "a", "the", "")[rng.integers(4)]
    return f"{article} {noun}".strip()


def caption(things: Sequence[Words], rng: np.random.Generator) -> str:
    """A sentence about one to three things, the most visible first."""
    parts = [phrase(words, rng) for words in things[: int(rng.integers(1, 4))]]
    text = parts[0]
    for more in parts[1:]:
        text = _PAIRS[rng.integers(len(_PAIRS))].format(text, more)
    return TEMPLATES[rng.integers(len(TEMPLATES))].format(text)


def corpus(names: Sequence[tuple[str, int]]) -> list[str]:
    """All parts of captions of things with these (raw category, NYU40 id), in a fixed order."""
    texts = [
        t for name, nyu40 in names for words in [words_of(name, nyu40)] for t in sum(words, ())
    ]
    texts += [t for words in WORDS.values() for t in sum(words, ())]
    texts += [t.format("a an the", "") for t in (*TEMPLATES, *_PAIRS)]
    return list(dict.fromkeys(texts))
