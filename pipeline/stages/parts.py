"""The modules that parameters of a stage choose, by their roles, without importing them.

A stage is given these modules and imports none of its own choice, so that its key names the recipe
or codec that is used, and no other.
"""

from collections.abc import Mapping
from importlib import import_module
from types import ModuleType
from typing import Any

from pipeline.clip import families, hub, recipes
from pipeline.clip.weights import CONFIG, is_tipsv2, local_folder
from pipeline.grids import codecs


def part_names(stage: str, section: Mapping[str, Any], needed: bool = True) -> dict[str, str]:
    """Role -> dotted name of its module, for a stage under a dataset's `section` of the config.

    A local model that is absent from this machine has no family unless it is `needed`: its weights,
    which the key contains, are unknown too, and the key only serves to plan without them. Raises
    `BadInput` for a recipe or codec that does not exist, and for a model without a configuration.
    """
    params = section.get("embeddings") or {}
    if stage not in ("embeddings", "targets"):
        return {}
    names = {"codec": codecs.module_name(params.get("codec", "fp16"))}
    if stage == "targets" or params.get("features"):
        return names
    names["recipe"] = recipes.module_name(params.get("recipe", "naclip"))
    model = hub.located(params.get("model") or "")
    folder = local_folder(model)
    here = folder is None or (folder / CONFIG).is_file() or is_tipsv2(folder)
    absent = hub.is_hub(model) or not here
    if model and (needed or not absent):
        names["family"] = families.module_name(model)
    if params.get("regions"):
        names["regions"] = "pipeline.clip.regions"
    return names


def load_parts(stage: str, section: Mapping[str, Any]) -> dict[str, ModuleType]:
    """Role -> module, imported now; raises as `part_names`."""
    return {role: import_module(name) for role, name in part_names(stage, section).items()}
