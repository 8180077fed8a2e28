"""Prompts: sentences in which words are embedded, and their mean."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from open_clip import OPENAI_IMAGENET_TEMPLATES, SIMPLE_IMAGENET_TEMPLATES

from pipeline.clip.text_tower import TextTower

# Ensembles with a name: what Radford et al. classify ImageNet by, and the seven of these that they
# picked one after the other (their notebook Prompt_Engineering_for_ImageNet). TIPSv2 adds two.
_SEVEN = [template("{}") for template in SIMPLE_IMAGENET_TEMPLATES]
ENSEMBLES = {
    "imagenet_80": [template("{}") for template in OPENAI_IMAGENET_TEMPLATES],
    "imagenet_7": _SEVEN,
    "tipsv2_9": [*_SEVEN, "a photo of many {}.", "a photo of {}s."],
}


def templates_of(templates: str | Sequence[str]) -> Sequence[str]:
    """Sentences with {} for the word: as given, or those of an ensemble by its name."""
    return ENSEMBLES[templates] if isinstance(templates, str) else templates


def ensemble(
    tower: TextTower, words: Sequence[str], templates: Sequence[str]
) -> NDArray[np.float32]:
    """The L2-normalised mean (d,) of the embeddings of every word in every template.

    Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", 3.1.4.
    """
    embedded = tower.embed([t.replace("{}", word) for word in words for t in templates])
    mean = embedded.mean(axis=0)
    return mean / np.linalg.norm(mean)
