"""TIPSv2: its towers are those of its release, read by their formulas, or refused in a sentence."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sentencepiece
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional as F
from transformers import Tipsv2VisionModel

from pipeline.clip import families, prompts, sound, text_tower, tipsv2, weights
from pipeline.clip.dense import dense, read_tokens
from pipeline.clip.recipes import plain, value_residual
from pipeline.clip.tower import Vit
from pipeline.clip.towers import tipsv2 as tower
from pipeline.errors import BadInput
from tests.helpers import tiny_clip, tiny_tips

SIZES = [(56, 56), (42, 70), (84, 56)]  # height and width; the first is that of its training
RELEASED = {  # as the hub has it
    "model_type": "tipsv2",
    "patch_size": 14,
    "img_size": 448,
    "init_values": 1.0,
    "num_register_tokens": 1,
    "vocab_size": 32000,
    "max_len": 64,
    "temperature": 0.004785141441971064,
}
SISTERS = {
    "vit_base": (768, 3072, 12, 12, "mlp", 86),
    "vit_large": (1024, 4096, 16, 12, "mlp", 303),
    "vit_so400m": (1152, 4304, 16, 27, "mlp", 412),
    "vit_giant2": (1536, 6144, 24, 12, "swiglu", 1135),
}  # width; of texts: MLP, heads, layers; MLP of images; million parameters


@pytest.fixture(scope="module")
def name(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_tips.write(tmp_path_factory.mktemp("tips"))


def folder_of(model: str) -> Path:
    folder = weights.local_folder(model)
    assert folder
    return folder


def images(high: int, wide: int) -> torch.Tensor:
    return torch.rand(2, 3, high, wide, generator=torch.Generator().manual_seed(0))


# The image tower


@pytest.mark.parametrize("swiglu", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_read_plainly_the_tower_gives_what_that_of_transformers_gives(
    tmp_path: Path, size: tuple[int, int], swiglu: bool
) -> None:
    model = tiny_tips.write(tmp_path, use_swiglu_ffn=swiglu)
    ours, x = tower.load(model), images(*size)
    assert isinstance(ours.view, Vit)
    found, grid = read_tokens(ours.view, x, plain)
    assert grid == (size[0] // 14, size[1] // 14)
    own = tiny_tips.build(use_swiglu_ffn=swiglu).vision_model(x).last_hidden_state
    torch.testing.assert_close(found, own, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", SIZES)
def test_values_through_the_last_block_are_the_formula_on_the_released_weights(
    name: str, size: tuple[int, int]
) -> None:
    p = load_file(folder_of(name) / weights.TIPS_WEIGHTS)
    p = {key.removeprefix("vision_encoder."): part.double() for key, part in p.items()}
    x, own = images(*size), tiny_tips.build().vision_model
    x = own(x, output_hidden_states=True).hidden_states[-2].double()

    def normed(x: torch.Tensor, part: str) -> torch.Tensor:
        return F.layer_norm(x, x.shape[-1:], p[f"{part}.weight"], p[f"{part}.bias"], 1e-6)

    def linear(x: torch.Tensor, part: str) -> torch.Tensor:
        return x @ p[f"blocks.2.{part}.weight"].T + p[f"blocks.2.{part}.bias"]

    v = linear(normed(x, "blocks.2.norm1"), "attn.qkv")[..., 2 * tiny_tips.WIDTH :]
    y = x + p["blocks.2.ls1.gamma"] * linear(v, "attn.proj")
    hidden = F.gelu(linear(normed(y, "blocks.2.norm2"), "mlp.fc1"))
    y = normed(y + p["blocks.2.ls2.gamma"] * linear(hidden, "mlp.fc2"), "norm")
    cells = F.normalize(y[:, 2:], dim=-1)  # after a class token and a register
    found = dense(tower.load(name).view, images(*size), value_residual)
    torch.testing.assert_close(found.flatten(1, 2), cells.float(), rtol=1e-4, atol=1e-5)


def test_images_are_read_as_they_are_in_0_to_1_by_windows(name: str) -> None:
    params = {"model": name, "pretrained": None, "recipe": "value_residual", "codec": "fp16"}
    how = {"image_size": None, "window": 56, "stride": 35, "batch": 3}
    embedder = tiny_clip.embedder(params | how)
    pixels = np.random.default_rng(0).integers(0, 256, (1, 56, 56, 3), np.uint8)
    found = embedder.read(pixels)
    x = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255
    expected = dense(tower.load(name).view, x, value_residual)
    np.testing.assert_allclose(found, expected, atol=1e-3)
    wide = embedder.read(np.zeros((1, 56, 112, 3), np.uint8))
    assert wide.shape == (1, 4, 8, tiny_tips.WIDTH)


@pytest.mark.parametrize("sister", SISTERS)
def test_the_towers_of_the_release_have_its_sizes(tmp_path: Path, sister: str) -> None:
    width, mlp, heads, layers, ffn, millions = SISTERS[sister]
    text = {"text_mlp_dim": mlp, "text_num_heads": heads, "text_num_layers": layers}
    sizes = {"vision_fn": sister, "embed_dim": width, "text_hidden_size": width, "ffn_layer": ffn}
    (tmp_path / weights.TIPS_CONFIG).write_text(json.dumps({**RELEASED, **text, **sizes}))
    model = f"local-dir:{tmp_path}"
    view, found = tower.skeleton(model)
    assert (found, view.patch, view.prefix, view.has_class_token) == (width, (14, 14), 2, True)
    config = tipsv2.configuration(model)
    assert config.text_config.intermediate_size == mlp
    with torch.device("meta"):
        own, ours = Tipsv2VisionModel(config.vision_config), tower.build(model)
    count = sum(part.numel() for part in ours.parameters())
    assert round(count / 1e6) == pytest.approx(millions, abs=2)
    unused = 2 * width  # the mask; position of the class token, which timm adds to the token
    assert count == sum(part.numel() for part in own.parameters()) - unused


# The text tower


def spelled(texts: list[str]) -> list[list[int]]:
    reader = sentencepiece.SentencePieceProcessor(model_proto=tiny_tips.spelled())
    return [reader.encode(text.lower())[: tiny_tips.LONGEST] for text in texts]


TEXTS = ["a photo of a chair", "Table", "many, many sofas: Ünique!", "a table " * 20]


def test_texts_are_embedded_as_by_transformers_of_what_sentencepiece_spells(name: str) -> None:
    found = text_tower.load_text_tower(name, None).embed(TEXTS)
    ids, mask = torch.zeros(2, len(TEXTS), tiny_tips.LONGEST, dtype=torch.long)
    for row, spelt in enumerate(spelled(TEXTS)):
        ids[row, : len(spelt)], mask[row, : len(spelt)] = torch.tensor(spelt), 1
    own = tiny_tips.build().text_model(ids, mask).pooler_output
    np.testing.assert_allclose(found, F.normalize(own, dim=-1), atol=1e-5)


def test_a_text_is_embedded_by_the_formula_on_the_released_weights(name: str) -> None:
    p = load_file(folder_of(name) / weights.TIPS_WEIGHTS)
    p = {key.removeprefix("text_encoder."): part.double() for key, part in p.items()}
    (ids,) = spelled(["a photo of a chair"])
    width, heads = tiny_tips.WIDTH, 4

    def normed(x: torch.Tensor, part: str) -> torch.Tensor:
        return F.layer_norm(x, x.shape[-1:], p[f"{part}.weight"], p[f"{part}.bias"], 1e-5)

    rate = 10000 ** (-torch.arange(width // 2).double() / (width // 2 - 1))
    angle = torch.arange(len(ids))[:, None] * rate
    x = width**0.5 * p["token_embedding.weight"][ids] + torch.cat([angle.sin(), angle.cos()], 1)
    for layer in range(2):
        at = f"transformer.resblocks.{layer}"
        joint = normed(x, f"{at}.ln_1") @ p[f"{at}.attn.in_proj_weight"].T
        q, k, v = (joint + p[f"{at}.attn.in_proj_bias"]).unflatten(1, (3, heads, -1)).unbind(1)
        weight = torch.einsum("ihd,jhd->hij", q, k) / (width / heads) ** 0.5
        mixed = torch.einsum("hij,jhd->ihd", weight.softmax(-1), v).flatten(1)
        x = x + mixed @ p[f"{at}.attn.out_proj.weight"].T + p[f"{at}.attn.out_proj.bias"]
        hidden = normed(x, f"{at}.ln_2") @ p[f"{at}.mlp.c_fc.weight"].T + p[f"{at}.mlp.c_fc.bias"]
        x = x + hidden.relu() @ p[f"{at}.mlp.c_proj.weight"].T + p[f"{at}.mlp.c_proj.bias"]
    expected = F.normalize(normed(x, "ln_final").mean(0), dim=0)
    (found,) = text_tower.load_text_tower(name, None).embed(["a photo of a chair"])
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_scale_of_logits_is_one_over_the_temperature(name: str) -> None:
    assert text_tower.load_text_tower(name, None).logit_scale == pytest.approx(50)


def test_its_templates_are_those_of_imagenet_and_two_of_many() -> None:
    found = list(prompts.templates_of("tipsv2_9"))
    assert found[:7] == list(prompts.templates_of("imagenet_7"))
    assert found[7:] == ["a photo of many {}.", "a photo of {}s."]


# Its files


def test_its_files_are_known_and_all_of_them_determine_it(name: str) -> None:
    assert families.module_name(name) == "pipeline.clip.towers.tipsv2"
    found = [path.name for path in weights.local_files(name, None)]
    assert found == ["model.safetensors", "config.json", "tokenizer.model"]
    sound.require_sound(name, None)


def test_a_model_that_transformers_has_written_is_read_the_same(name: str, tmp_path: Path) -> None:
    tiny_tips.build().save_pretrained(tmp_path)
    other, x = tower.load(f"local-dir:{tmp_path}"), images(56, 56)
    assert torch.equal(dense(other.view, x, plain), dense(tower.load(name).view, x, plain))


def test_with_the_configuration_of_the_release_it_is_the_same(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(tipsv2._SIZES, "vit_tiny", (3, 4, 4))
    model = tiny_tips.write(tmp_path)
    nested = tiny_tips.described(tmp_path)
    text = nested["text_config"]
    flat = RELEASED | {
        "architectures": ["TIPSv2Model"],
        "auto_map": {"AutoModel": "modeling_tips.TIPSv2Model"},
        "vision_fn": "vit_tiny",
        "ffn_layer": "mlp",
        "embed_dim": tiny_tips.WIDTH,
        "img_size": tiny_tips.SIDE,
        "text_hidden_size": tiny_tips.WIDTH,
        "text_mlp_dim": text["intermediate_size"],
        "text_num_heads": text["num_attention_heads"],
        "text_num_layers": text["num_hidden_layers"],
        "vocab_size": text["vocab_size"],
        "max_len": tiny_tips.LONGEST,
        "temperature": 0.02,
    }
    (tmp_path / weights.TIPS_CONFIG).write_text(json.dumps(flat))
    sound.require_sound(model, None)
    x = images(42, 70)
    assert torch.equal(
        dense(tower.load(model).view, x, plain), dense(tower.load(name).view, x, plain)
    )
    towers = [text_tower.load_text_tower(each, None) for each in (model, name)]
    one, other = (each.embed(TEXTS) for each in towers)
    np.testing.assert_array_equal(one, other)
    assert towers[0].logit_scale == towers[1].logit_scale


def without(part: str) -> Any:
    def damage(folder: Path) -> None:
        path = folder / weights.TIPS_WEIGHTS
        kept = {key: each for key, each in load_file(path).items() if not key.startswith(part)}
        save_file(kept, path)

    return damage


def not_finite(folder: Path) -> None:
    parts = load_file(folder / weights.TIPS_WEIGHTS)
    parts["text_encoder.ln_final.weight"][0] = torch.nan
    parts["vision_encoder.norm.weight"][0] = torch.nan
    save_file(parts, folder / weights.TIPS_WEIGHTS)


def told(**changes: Any) -> Any:
    def damage(folder: Path) -> None:
        given = tiny_tips.described(folder)
        for key, value in changes.items():
            part, _, inner = key.partition("__")
            (given[part] if inner else given).update({inner or part: value})
        (folder / weights.TIPS_CONFIG).write_text(json.dumps(given))

    return damage


def remove(file: str) -> Any:
    return lambda folder: (folder / file).unlink()


def spoil(file: str) -> Any:
    return lambda folder: (folder / file).write_bytes(b"spoilt")


ANY, TEXT, IMAGE = "any", "text", "image"
FAULTS: dict[str, tuple[Any, str, str]] = {
    "no weights": (remove("model.safetensors"), ANY, r"model\.safetensors: no such file"),
    "no tokenizer": (remove("tokenizer.model"), TEXT, r"tokenizer\.model: no such file; save"),
    "no configuration": (remove("config.json"), ANY, "no such file"),
    "spoilt weights": (spoil("model.safetensors"), ANY, "does not have the weights of"),
    "spoilt tokenizer": (spoil("tokenizer.model"), TEXT, "is no tokenizer that can be read"),
    "no text tower": (without("text_"), TEXT, "has no .* of this size for the text tower"),
    "no image tower": (without("vision_"), IMAGE, "does not have the weights of"),
    "a block too few": (without("vision_encoder.blocks.2"), IMAGE, "does not have the weights"),
    "a layer too few": (without("text_encoder.transformer.resblocks.1"), TEXT, "has no "),
    "not finite": (not_finite, ANY, "numbers that are not finite"),
    "other widths": (told(vision_config__hidden_size=64), ANY, "is no configuration of TIPSv2"),
    "too many blocks": (told(vision_config__num_hidden_layers=900), ANY, "more layers than its"),
    "a text as a number": (told(text_config="x"), ANY, "is no configuration of TIPSv2"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_missing_or_damaged_is_told_in_a_sentence(tmp_path: Path, fault: str) -> None:
    damage, part, said = FAULTS[fault]
    model = tiny_tips.write(tmp_path)
    damage(tmp_path)

    def look() -> None:
        if part == ANY:
            families.module_name(model)
            sound.require_sound(model, None)
        if part == IMAGE:
            tower.load(model)
        text_tower.load_text_tower(model, None)

    with pytest.raises(BadInput, match=said) as raised:
        look()
    assert "\n" not in str(raised.value)
