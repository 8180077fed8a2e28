"""A setting has one default: that of the schema is that of the code, wherever both have one."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest
import yaml

from model.data.augment import Augmentation
from model.network.adapter import PRESETS, AdapterConfig
from model.network.inputs import CHANNELS
from model.network.unet import ARCHITECTURES, MinkUNet
from model.training import losses
from model.training.loop import OptimiserConfig
from model.training.objective import LossConfig
from model.training.refine import LabelsConfig
from model.training.selection import SelectionConfig
from model.training.self_training import RoundConfig
from model.training.variants import VARIANTS, refined
from pipeline.clip import reader
from pipeline.clip.regions import Regions
from pipeline.facts import ROUNDS, SELF_TRAINED, SUPERVISED
from pipeline.grids import codecs
from pipeline.stages import frames, parts, projections, pseudo_labels, tags, targets, voxels

SCHEMA = yaml.safe_load((Path(__file__).parents[1] / "workflow/config.schema.yaml").read_text())
DATASET = SCHEMA["$defs"]["dataset"]["properties"]


class Pair(NamedTuple):
    """What takes the keys of a section as keywords, and which keys only one of both knows."""

    code: Callable[..., Any]
    in_code: frozenset[str] = frozenset()
    in_schema: frozenset[str] = frozenset()


TERMS = frozenset(losses.known_terms())
PAIRS = {
    "frames": Pair(frames.Settings),
    "voxels": Pair(voxels.Settings),
    "tags": Pair(tags.Settings, in_code=frozenset({"classes"})),
    "projections": Pair(projections.Settings),
    "projections.weight": Pair(projections.Weighting),
    # The others choose modules, or take the place of all.
    "embeddings": Pair(
        reader.Settings, in_schema=frozenset({"recipe", "codec", "regions", "features", "preset"})
    ),
    "embeddings.regions": Pair(Regions),
    "pseudo_labels": Pair(pseudo_labels.Settings),
    "train.network": Pair(MinkUNet, in_code=frozenset({"in_channels", "out_channels"})),
    "train.optimiser": Pair(OptimiserConfig),
    "train.augment": Pair(Augmentation),
    "train.selection": Pair(SelectionConfig),
    "train.loss": Pair(LossConfig, in_code=frozenset({"weights"}), in_schema=TERMS),
    "train.labels": Pair(LabelsConfig),
    # How many rounds and steps there are chooses stages and trainings; `soft` is of the labels.
    "train.self_training": Pair(
        RoundConfig, in_code=frozenset({"soft"}), in_schema=frozenset({"rounds", "steps"})
    ),
    # How the weights begin belongs to a preset.
    "train.adapter": Pair(
        AdapterConfig, in_code=frozenset({"from_identity"}), in_schema=frozenset({"preset"})
    ),
}
# No class has their keys: the first is read by many, the others have one key each.
ELSEWHERE = {"train", "text", "targets"}


def sections(properties: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted names of all sections that list their keys, with these."""
    for name, part in properties.items():
        if "properties" in part:
            yield f"{prefix}{name}", part["properties"]
            yield from sections(part["properties"], f"{prefix}{name}.")


SECTIONS = dict(sections(DATASET))


def test_each_section_of_the_schema_is_compared() -> None:
    assert set(SECTIONS) == set(PAIRS) | ELSEWHERE


@pytest.mark.parametrize("name", PAIRS)
def test_keys_and_defaults_of_a_section_are_those_of_the_code(name: str) -> None:
    pair, section = PAIRS[name], SECTIONS[name]
    known = inspect.signature(pair.code).parameters
    assert pair.in_code <= set(known)
    assert pair.in_schema <= set(section)
    assert set(section) - pair.in_schema == set(known) - pair.in_code
    for key in set(section) & set(known):
        default = known[key].default
        if "default" in section[key] and default is not inspect.Parameter.empty:
            wanted = section[key]["default"]
            assert (list(default) if isinstance(wanted, list) else default) == wanted, key
        elif key not in section.get("required", ()) and default is inspect.Parameter.empty:
            # Else nobody gives it a value. Presets give the adapter's, and a folder of features
            # takes the place of the model.
            given = "default" in section[key] or name == "train.adapter" or key == "model"
            assert given, f"{name}.{key} has no default"


def test_terms_of_the_loss_have_the_weights_that_the_schema_says() -> None:
    section = SECTIONS["train.loss"]
    assert set(section) == TERMS | set(losses.SETTINGS)
    assert {term: section[term]["default"] for term in TERMS} == {
        term: losses.DEFAULTS.get(term, 0) for term in TERMS
    }


def test_names_that_the_schema_lists_are_those_that_the_code_knows() -> None:
    train = SECTIONS["train"]
    assert set(train["variants"]["items"]["enum"]) == {*VARIANTS, SUPERVISED}
    assert train["inputs"]["items"]["enum"] == list(CHANNELS)
    assert SECTIONS["train.network"]["arch"]["enum"] == list(ARCHITECTURES)
    assert SECTIONS["train.adapter"]["preset"]["enum"] == list(PRESETS)


def test_variants_with_refined_labels_have_rounds_of_self_training() -> None:
    assert SECTIONS["train.self_training"]["rounds"]["maximum"] == ROUNDS
    source = {"labels": {"source": "adapter"}}
    assert [variant for variant in VARIANTS if refined(variant, source)] == [*SELF_TRAINED]


def test_inputs_are_by_default_those_of_the_schema() -> None:
    assert SECTIONS["train"]["inputs"]["default"] == list(CHANNELS)
    assert SECTIONS["train"]["voxel_size"]["default"] is None


def test_recipe_and_codec_are_by_default_those_of_the_schema() -> None:
    section = SECTIONS["embeddings"]
    given = {key: section[key]["default"] for key in ("recipe", "codec")}
    for stage in ("embeddings", "targets"):
        written = parts.part_names(stage, {"embeddings": {"model": "ViT-B-16"} | given})
        assert parts.part_names(stage, {"embeddings": {"model": "ViT-B-16"}}) == written


def test_superpoints_have_by_default_the_share_of_the_schema() -> None:
    chosen = {"codec": ModuleType(codecs.module_name("fp16"))}
    given = {"segments": SECTIONS["targets"]["segments"]["default"]}
    assert vars(targets.Worker({}, chosen)) == vars(targets.Worker(given, chosen))
