"""Stage text: the classes in words -> one text embedding per class, by an ensemble of prompts."""

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np
import zarr

from pipeline.errors import BadInput
from pipeline.facts import Facts
from pipeline.stages.declaration import Over, Stage, by_digest
from pipeline.store import arrays

FEATURES = "pipeline.readers.features.text"


class TextStage(Stage):
    """The text embeddings of the classes, each the mean of its prompts."""

    over = Over.DATASET
    packages = ("numpy", "open_clip_torch", "tokenizers", "torch", "transformers")
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
        return self.placed(super().params(facts) | own)

    def key_params(self, facts: Facts) -> dict[str, Any]:
        """The digest of local weights takes the place of their path."""
        if facts.features:
            return self.params(facts) | {"texts": facts.weights}
        return self.params(facts) | by_digest(facts)


class Worker:
    """Embeds classes with a text tower."""

    def __init__(
        self, params: Mapping[str, Any], parts: Mapping[str, ModuleType] | None = None
    ) -> None:
        """`params`: model, pretrained, templates, classes: [{name, prompts}]; no `parts`.

        Templates are sentences with {} for the word, or the name of an ensemble (see
        `pipeline.clip.prompts`). Raises `BadInput` for templates without {}, classes without a
        word, and weights that cannot be used.
        """
        from pipeline.clip import prompts, text_tower

        self.classes: Sequence[Mapping[str, Any]] = params["classes"]
        self.templates = prompts.templates_of(params["templates"])
        bad = [template for template in self.templates if "{}" not in template]
        if bad or not self.templates:
            what = f"the template `{bad[0]}` has no place for a word" if bad else "no templates"
            raise BadInput("text", what, "write {} where the class belongs")
        for entry in self.classes:
            if not entry["prompts"]:
                what = f"the class {entry['name']} has no prompts"
                raise BadInput("text", what, "give it a word")
        self._tower = text_tower.load_text_tower(params["model"], params["pretrained"])
        self._ensemble = prompts.ensemble

    def __call__(self, out: zarr.Group) -> None:
        """Write `embedding` f32 (K, d) and attributes classes, prompts, templates, logit_scale."""
        prompts = [list(entry["prompts"]) for entry in self.classes]
        rows = [self._ensemble(self._tower, words, self.templates) for words in prompts]
        arrays.write(out, "embedding", np.stack(rows), compress=False)
        out.attrs["classes"] = [entry["name"] for entry in self.classes]
        out.attrs["prompts"] = prompts
        out.attrs["templates"] = list(self.templates)
        out.attrs["logit_scale"] = self._tower.logit_scale
