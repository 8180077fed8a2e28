"""Stage text: the classes in words -> one text embedding per class, by an ensemble of prompts."""

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np
import zarr

from pipeline.errors import BadInput
from pipeline.store import arrays

PACKAGES = ("open_clip_torch", "tokenizers", "torch", "transformers")


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
        from pipeline.clip import models, prompts

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
        self._tower = models.load_text_tower(params["model"], params["pretrained"])
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
