"""Stage text: the classes in words -> one embedding for each class, by an ensemble of prompts."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from open_clip import OPENAI_IMAGENET_TEMPLATES, SIMPLE_IMAGENET_TEMPLATES

from pipeline.clip.models import TextTower, load_text_tower
from pipeline.errors import BadInput
from pipeline.facts import Facts
from pipeline.stages.declaration import Over, Stage, by_digest
from pipeline.store import arrays

FEATURES = "pipeline.readers.features.text"

# Ensembles that go by a name: what Radford et al. classify ImageNet by, and the seven of these that
# they picked one after the other (their notebook Prompt_Engineering_for_ImageNet).
ENSEMBLES = {
    "imagenet_80": [template("{}") for template in OPENAI_IMAGENET_TEMPLATES],
    "imagenet_7": [template("{}") for template in SIMPLE_IMAGENET_TEMPLATES],
}


class TextStage(Stage):
    """The text embeddings of the classes, each the mean of its prompts."""

    over = Over.DATASET
    packages = ("numpy", "open_clip_torch", "torch", "transformers")
    memory_mb = 8000

    def module(self, facts: Facts) -> str:
        """Features from elsewhere bring text embeddings of their own."""
        return FEATURES if facts.features else super().module(facts)

    def params(self, facts: Facts) -> dict[str, Any]:
        """The classes with their prompts, and the tower; of features, the names alone."""
        if facts.features:
            return {"classes": [c["name"] for c in facts.classes]}
        tower = facts.section["embeddings"]
        classes = [{"name": c["name"], "prompts": c["prompts"]} for c in facts.classes]
        own = {"classes": classes, "model": tower["model"], "pretrained": tower["pretrained"]}
        return super().params(facts) | own

    def key_params(self, facts: Facts) -> dict[str, Any]:
        """The digest of local weights takes the place of their path."""
        if facts.features:
            return self.params(facts) | {"texts": facts.weights}
        return self.params(facts) | by_digest(facts)


class Worker:
    """Holds the text tower."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        """`params`: model, pretrained, templates, classes: [{name, prompts}].

        Templates are sentences with {} for the word, or the name of one of `ENSEMBLES`. Raises
        `BadInput` for templates without {}, classes without a word, and weights that cannot
        be used.
        """
        self.classes: Sequence[Mapping[str, Any]] = params["classes"]
        templates: str | Sequence[str] = params["templates"]
        self.templates = ENSEMBLES[templates] if isinstance(templates, str) else templates
        bad = [template for template in self.templates if "{}" not in template]
        if bad or not self.templates:
            what = f"the template `{bad[0]}` has no place for a word" if bad else "no templates"
            raise BadInput("text", what, "write {} where the class is to stand")
        for entry in self.classes:
            if not entry["prompts"]:
                raise BadInput(
                    "text", f"the class {entry['name']} has no prompts", "give it a word"
                )
        self._tower = load_text_tower(params["model"], params["pretrained"])

    def __call__(self, out: zarr.Group) -> None:
        """Write `embedding` f32 (K, d) and attributes classes, prompts, templates, logit_scale."""
        prompts = [list(entry["prompts"]) for entry in self.classes]
        rows = [ensemble(self._tower, words, self.templates) for words in prompts]
        arrays.write(out, "embedding", np.stack(rows), compress=False)
        out.attrs["classes"] = [entry["name"] for entry in self.classes]
        out.attrs["prompts"] = prompts
        out.attrs["templates"] = list(self.templates)
        out.attrs["logit_scale"] = self._tower.logit_scale


def ensemble(
    tower: TextTower, words: Sequence[str], templates: Sequence[str]
) -> NDArray[np.float32]:
    """The L2-normalised mean (d,) of the embeddings of every word in every template.

    Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", 3.1.4.
    """
    embedded = tower.embed([t.replace("{}", word) for word in words for t in templates])
    mean = embedded.mean(axis=0)
    return mean / np.linalg.norm(mean)
