"""The verdict on every tower that open_clip lists: it is read, or refused with a reason."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import huggingface_hub
import open_clip
import pytest
import torch

from pipeline.clip import fetch, models, text_tower
from pipeline.clip.dense import dense, obstacle
from pipeline.clip.image_tower import skeleton
from pipeline.clip.recipes import plain
from pipeline.errors import BadInput
from tests.helpers import tiny_clip


@cache
def skeletons() -> dict[str, Any]:
    """The verdict on every model that open_clip names, without weights: a view or a sentence."""
    found: dict[str, Any] = {}
    built: dict[str, Any] = {}
    for model in open_clip.list_models():
        vision = models.configuration(model)["vision_cfg"] | {"image_size": 0}
        name = vision.get("timm_model_name") or ""
        alike = json.dumps(vision | {"timm_model_name": re.sub(r"_\d+$", "", name)})  # of any size
        if alike not in built:
            try:
                built[alike] = skeleton(model, tiny_clip.family(model))
            except BadInput as error:
                built[alike] = str(error)
        found[model] = built[alike]
    return found


def test_every_listed_tower_with_weights_can_be_read_and_the_others_are_refused_with_a_reason() -> (
    None
):
    verdicts = skeletons()
    refused = {model: v for model, v in verdicts.items() if isinstance(v, str)}
    assert set(refused) == {"swin_base_patch4_window7_224", "vit_relpos_medium_patch16_cls_224"}
    assert not set(refused) & {model for model, _ in open_clip.list_pretrained()}
    for model, sentence in refused.items():
        assert sentence.startswith(f"{model}: cannot be read densely: no way is known")
        assert len(sentence.splitlines()) == 1
    assert len(verdicts) > 140


@pytest.mark.parametrize("model", ["ViT-H-14", "PE-Core-B-16", "ViTamin-L", "convnext_xxlarge"])
def test_a_listed_tower_gives_embeddings_of_its_width_at_a_size_of_no_tower(model: str) -> None:
    """On torch's meta device: shapes without numbers."""
    view, width = skeleton(model, tiny_clip.family(model))
    x = torch.empty(1, 3, 2 * view.patch[0], 3 * view.patch[1], device="meta")
    assert dense(view, x, plain).shape == (1, 2, 3, width)


EXPECTED = {  # recipes that a tower cannot be read by
    "ViT-B-16-quickgelu": set(),
    "ViT-H-14-378": set(),
    "PE-Core-L-14-336": set(),
    "EVA02-L-14": set(),
    "MobileCLIP2-B": set(),
    "coca_ViT-L-14": set(),
    "ViT-B-16-SigLIP2-512": {"scclip"},
    "PE-Core-bigG-14-448": {"scclip"},
    "ViTamin-L": {"scclip"},
    "EVA02-E-14": set(tiny_clip.RECIPES) - {"plain"},
    "convnext_large_d_320": set(tiny_clip.RECIPES) - {"plain"},
    "MobileCLIP2-S3": set(tiny_clip.RECIPES) - {"plain"},
    "RN50x16": set(tiny_clip.RECIPES) - {"plain"},
}


@pytest.mark.parametrize("model", EXPECTED)
def test_recipes_that_do_not_suit_a_tower_are_refused_before_anything_is_fetched(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "is_there", lambda url: pytest.fail("asked the network"))
    view, _ = skeleton(model, tiny_clip.family(model))
    refused = {name for name, r in tiny_clip.RECIPES.items() if obstacle(view, r)}
    assert refused == EXPECTED[model]
    settings = {"image_size": None, "window": None, "stride": None, "batch": 1}
    for recipe in sorted(refused)[:1]:  # building a large tower takes seconds
        with pytest.raises(BadInput, match=f"cannot be read by the recipe {recipe}: its"):
            tiny_clip.embedder({"model": model, "pretrained": "any", "recipe": recipe, **settings})


def test_every_tag_is_found_or_its_address_is_reported_for_images_and_for_texts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_network(url: str) -> None:
        raise OSError("no network")

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(fetch, "is_there", no_network)
    without_text = set()
    for model, tag in open_clip.list_pretrained():
        usual = "write `model:" if tag_differs(model, tag) else "weights .* cannot be fetched"
        with pytest.raises(BadInput, match=usual):
            models.weights_file(model, tag)
        foreign = models.configuration(model)["text_cfg"].get("hf_model_name")
        with pytest.raises(BadInput, match="one of the package transformers" if foreign else usual):
            text_tower.load_text_tower(model, tag)
        without_text |= {model} if foreign else set()
    assert {"xlm-roberta-base-ViT-B-32", "nllb-clip-base-siglip"} < without_text
    assert not [
        model for model in without_text if model.startswith(("ViT-B", "ViT-L", "PE", "EVA"))
    ]


def tag_differs(model: str, tag: str) -> bool:
    """QuickGELU weights are listed for the plain model too."""
    quick = open_clip.get_pretrained_cfg(model, tag).get("quick_gelu", False)
    return quick != models.configuration(model)["quick_gelu"]


def test_statistics_are_those_of_the_tag_and_of_all_tags_for_a_file() -> None:
    siglip = ([0.5] * 3, [0.5] * 3)
    assert models.statistics("ViT-B-16-SigLIP2", "webli") == siglip
    assert models.statistics("ViT-B-16-SigLIP2", "mine.safetensors") == siglip
    mean = list(open_clip.OPENAI_DATASET_MEAN)
    assert models.statistics("ViT-B-16-quickgelu", "openai")[0] == mean
    assert models.statistics("ViT-L-14", "mine.safetensors")[0] == mean  # its tags differ
