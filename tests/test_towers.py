"""Towers of every family, against their own forward pass, and the verdict on every listed one."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from timm.layers import AttentionPoolLatent
from torch.nn import functional as F

from pipeline.clip import text_tower
from pipeline.clip.dense import dense, obstacle, read_tokens
from pipeline.clip.inputs import Inputs
from pipeline.clip.recipes import plain
from pipeline.clip.towers.open_clip_vit import position_embedding
from pipeline.errors import BadInput
from tests.helpers import tiny_clip, tiny_towers

VITS, MAPS = list(tiny_towers.VITS), list(tiny_towers.MAPS)


def images(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def view_of(family: str) -> tuple[Any, Any]:
    """The view of a tower, and another one like it, unchanged."""
    return tiny_towers.view(family), tiny_towers.build(family)


def native_size(family: str) -> int:
    return tiny_towers.FAMILIES[family].get("image_size", 32)


# The unchanged forward


def pooled(visual: Any, x: torch.Tensor) -> torch.Tensor:
    """The tower's own pooling, of the output of our last block."""
    if hasattr(visual, "trunk"):
        return visual.head(visual.trunk.forward_head(visual.trunk.norm(x)))
    return visual._pool(x)[0] @ visual.proj


@pytest.mark.parametrize("family", VITS)
def test_pooled_as_the_tower_does_our_tokens_are_its_embedding_of_the_image(family: str) -> None:
    view, same = view_of(family)
    x = images(3, 3, native_size(family), native_size(family))
    tokens, grid, blocks = view.tokens(x)
    read = plain.read(Inputs(tokens, grid, blocks, view.prefix))
    own = same.encode_image(x)
    torch.testing.assert_close(pooled(same.visual, read), own, rtol=1e-4, atol=1e-6)
    assert own.std(0).min() > 1e-4  # the images differ


@pytest.mark.parametrize("family", ["OpenAI", "MobileCLIP-B", "EVA01", "EVA02", "EVA02-E"])
def test_the_class_token_is_what_the_tower_calls_the_image(family: str) -> None:
    view, same = view_of(family)
    x = images(3, 3, 32, 32)
    tokens, _ = read_tokens(view, x, plain)
    torch.testing.assert_close(tokens[:, 0], same.encode_image(x), rtol=1e-4, atol=1e-6)


def test_patches_average_to_the_image_of_a_tower_that_pools_by_average() -> None:
    view, same = view_of("the demo")
    x = images(3, 3, 32, 32)
    tokens, _ = read_tokens(view, x, plain)
    assert not torch.allclose(tokens[:, 0], same.encode_image(x), rtol=1e-2)
    torch.testing.assert_close(tokens[:, 1:].mean(1), same.encode_image(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("family", VITS)
def test_a_patch_is_embedded_as_if_it_were_all_that_the_pooling_sees(family: str) -> None:
    view, same = view_of(family)
    last = images(1, 5, 32)
    alone = torch.cat([last[:, :1], last[:, 3:4]], dim=1)  # a class token and one patch
    found = view.head(last)[:, 3]
    visual = same.visual
    if getattr(visual, "pool_type", None) == "tok" or view.prefix == 0 or family == "PE-Core":
        alone = alone[:, 1:]
    if getattr(visual, "trunk", None) is not None and visual.trunk.global_pool == "token":
        alone = alone[:, 1:]
    torch.testing.assert_close(found, pooled(visual, alone), rtol=1e-4, atol=1e-5)


def test_attention_pooling_leaves_a_lone_patch_its_value() -> None:
    view, same = view_of("SigLIP")
    pool, x = same.visual.trunk.attn_pool, images(1, 2, 32)
    assert isinstance(pool, AttentionPoolLatent)
    normed = same.visual.trunk.norm(x)
    weight, bias = pool.kv.weight[32:], pool.kv.bias[32:]
    for token, found in zip(normed[0], view.head(x)[0], strict=True):
        value = torch.stack([weight[i] @ token + bias[i] for i in range(32)])
        y = pool.proj(value)
        torch.testing.assert_close(found, y + pool.mlp(pool.norm(y)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("family", ["ConvNeXt", "ConvNeXt-L-d", "MobileCLIP-S"])
def test_one_cell_of_a_convolutional_tower_is_the_image(family: str) -> None:
    view, same = view_of(family)
    x = images(3, 3, 32, 32)
    own = F.normalize(same.encode_image(x), dim=-1)
    cell = dense(view, x, plain)[:, 0, 0]
    torch.testing.assert_close(cell, own, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("family", ["ConvNeXt", "ConvNeXt-L-d", "MobileCLIP-S"])
def test_every_cell_of_a_convolutional_tower_is_the_head_at_its_place(family: str) -> None:
    view, same = view_of(family)
    x = images(2, 3, 64, 96)
    maps = same.visual.trunk.forward_features(x)
    cells = view.cells(x)
    assert cells.shape == (2, 2, 3, 24)
    for image in range(2):
        for row in range(2):
            for column in range(3):
                place = maps[image : image + 1, :, row : row + 1, column : column + 1]
                own = same.visual.head(same.visual.trunk.forward_head(place))
                torch.testing.assert_close(cells[image, row, column], own[0], rtol=1e-4, atol=1e-5)


def test_a_resnet_is_read_by_the_values_of_its_attention_pooling() -> None:
    view, same = view_of("RN50")
    x, visual = images(1, 3, 64, 96), same.visual
    taken = []
    visual.attnpool.register_forward_pre_hook(lambda module, args: taken.append(args[0]))
    visual(images(1, 3, 64, 64))  # the pooling itself knows one size only
    assert taken[0].shape[2:] == (2, 2)
    maps = visual.layer4(visual.layer3(visual.layer2(visual.layer1(visual.stem(x)))))
    v, c = visual.attnpool.v_proj, visual.attnpool.c_proj
    for row in range(2):
        for column in range(3):
            value = v.weight @ maps[0, :, row, column] + v.bias
            torch.testing.assert_close(
                view.cells(x)[0, row, column], c.weight @ value + c.bias, rtol=1e-4, atol=1e-5
            )


# Sizes


@pytest.mark.parametrize("family", [f for f in VITS if f.startswith(("Sig", "Mob", "PE", "EVA"))])
def test_other_grids_are_read_as_by_timm_with_its_dynamic_image_size(family: str) -> None:
    view, same = view_of(family)
    cfg = tiny_towers.FAMILIES[family]
    trunk = tiny_towers.MAKERS[cfg["timm_model_name"]](
        cfg["timm_model_name"],
        num_classes=0 if family == "SigLIP" else 24,
        global_pool=cfg["timm_pool"],
        dynamic_img_size=True,
    ).eval()
    trunk.load_state_dict(same.visual.trunk.state_dict())
    x = images(2, 3, 24, 56)
    tokens, grid, blocks = view.tokens(x)
    assert grid == (3, 7)
    read = trunk.norm(plain.read(Inputs(tokens, grid, blocks, view.prefix)))
    torch.testing.assert_close(read, trunk.forward_features(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("family", VITS + MAPS)
def test_the_grid_of_an_image_has_its_shape_and_a_batch_changes_nothing(family: str) -> None:
    view, _ = view_of(family)
    high, wide = 2 * view.patch[0], 3 * view.patch[1]
    x = images(3, 3, high, wide)
    together = dense(view, x, plain)
    assert together.shape == (3, 2, 3, tiny_towers.width(family))
    torch.testing.assert_close(together.norm(dim=-1), torch.ones(3, 2, 3))
    alone = torch.cat([dense(view, one[None], plain) for one in x])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_position_embeddings_are_untouched_at_the_native_grid() -> None:
    visual = tiny_clip.build().visual
    assert position_embedding(visual, (4, 4)) is visual.positional_embedding


def test_position_embeddings_resize_patches_only_and_keep_a_constant() -> None:
    visual = tiny_clip.build().visual
    visual.positional_embedding[1:] = torch.arange(32.0)
    resized = position_embedding(visual, (3, 7))
    assert resized.shape == (1 + 3 * 7, 32)
    assert torch.equal(resized[0], visual.positional_embedding[0])
    torch.testing.assert_close(resized[1:], torch.arange(32.0).expand(21, 32))


def test_position_embeddings_keep_rows_and_columns_apart() -> None:
    visual = tiny_clip.build().visual
    rows = torch.arange(4.0)[:, None].expand(4, 4).reshape(16, 1)
    visual.positional_embedding[1:] = rows
    resized = position_embedding(visual, (4, 9))[1:].unflatten(0, (4, 9))
    torch.testing.assert_close(resized, torch.arange(4.0)[:, None, None].expand(4, 9, 32))


# Taken apart


@pytest.mark.parametrize("family", VITS)
def test_a_block_put_together_again_is_the_block(family: str) -> None:
    view, _ = view_of(family)
    x, _, blocks = view.tokens(images(2, 3, 2 * view.patch[0], 3 * view.patch[1]))
    assert view.comes_apart == (family != "EVA02-E")
    if view.comes_apart:
        q, k, v = blocks[0].qkv(x)
        mixed = F.scaled_dot_product_attention(q, k, v)
        between = x + blocks[0].out(mixed)
        again = between + blocks[0].mlp(between)
        torch.testing.assert_close(again, blocks[0](x), rtol=1e-4, atol=1e-5)


# From a folder to embeddings


@pytest.mark.parametrize("family", VITS + MAPS)
def test_a_model_in_a_folder_is_read_as_its_tower(family: str, tmp_path: Path) -> None:
    cfg = {"embed_dim": tiny_towers.width(family), **tiny_towers.FAMILIES[family]}
    name = tiny_clip.write(tmp_path, seed=3, **cfg)
    tower, x = tiny_clip.load(name, None), images(1, 3, 64, 64)
    assert (tower.mean, tower.std) == (tiny_clip.MEAN, tiny_clip.STD)
    view = tiny_towers.view(family, seed=3)
    found = dense(tower.view, x.to(tower.device), plain).cpu()
    torch.testing.assert_close(found, dense(view, x, plain), rtol=1e-3, atol=1e-4)


def test_a_model_in_a_folder_needs_no_text_tower(tmp_path: Path) -> None:
    name = tiny_clip.write(tmp_path)
    config = json.loads((tmp_path / "open_clip_config.json").read_text())
    config["model_cfg"]["text_cfg"] = {"hf_model_name": "xlm-roberta-base"}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    assert tiny_clip.load(name, None).view.patch == (8, 8)
    with pytest.raises(BadInput, match="text tower is one of the package transformers"):
        text_tower.load_text_tower(name, None)


# Precision


@pytest.mark.parametrize("family", VITS + MAPS)
def test_mixed_precision_reads_nearly_the_same_and_returns_single_precision(family: str) -> None:
    view, _ = view_of(family)
    x = images(2, 3, 64, 96)
    exact = dense(view, x, plain)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = dense(view, x, plain)
    assert mixed.dtype == torch.float32
    assert (mixed * exact).sum(-1).min() > 0.998
    assert not torch.equal(mixed, exact)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")
@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("family", VITS + MAPS)
def test_an_accelerator_reads_what_a_cpu_reads(family: str, half: torch.dtype) -> None:
    view = tiny_towers.view(family, device="cuda")
    same, x = tiny_towers.view(family), images(2, 3, 64, 96)
    for recipe in tiny_clip.RECIPES.values():
        if not obstacle(view, recipe):
            with torch.autocast("cuda", half):
                found = dense(view, x.cuda(), recipe).cpu()
            agreement = (found * dense(same, x, recipe)).sum(-1)
            assert np.quantile(agreement, 0.1) > 0.99
