"""The dense reading of a tower, against the tower's own forward pass and against formulas."""

import json
import time
from pathlib import Path

import huggingface_hub
import numpy as np
import open_clip
import pytest
import tiny_clip
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch.nn import functional as F

from pipeline import clip, recipes, weights, windows
from pipeline.errors import BadInput

PATCH = (8, 8)
NATIVE = (4, 4)  # grid of the tiny tower


def images(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# The unchanged forward


def test_plain_cls_token_is_what_the_tower_calls_the_image():
    model, x = tiny_clip.build(), images(3, 3, 32, 32)
    tokens, _ = recipes.read_tokens(model.visual, x, recipes.plain)
    torch.testing.assert_close(tokens[:, 0], model.encode_image(x), rtol=1e-5, atol=1e-6)


def test_plain_patches_average_to_the_image_of_a_tower_that_pools_by_average():
    model, x = tiny_clip.build(pool_type="avg", ls_init_value=0.1), images(3, 3, 32, 32)
    tokens, _ = recipes.read_tokens(model.visual, x, recipes.plain)
    assert not torch.allclose(tokens[:, 0], model.encode_image(x), rtol=1e-2)
    torch.testing.assert_close(tokens[:, 1:].mean(1), model.encode_image(x), rtol=1e-5, atol=1e-6)


def test_a_patch_of_a_tower_with_its_norm_after_pooling_is_read_as_a_pool_of_one():
    model = tiny_clip.build(image_size=8, pool_type="avg", final_ln_after_pool=True, no_ln_pre=True)
    x = images(3, 3, 8, 8)  # one patch
    tokens, _ = recipes.read_tokens(model.visual, x, recipes.plain)
    torch.testing.assert_close(tokens[:, 1], model.encode_image(x), rtol=1e-5, atol=1e-6)


def test_embeddings_have_unit_length_and_lie_as_the_patches_do():
    model, x = tiny_clip.build(layers=1), images(2, 3, 24, 40)
    cells = recipes.dense(model.visual, x, recipes.value)
    assert cells.shape == (2, 3, 5, 24)
    torch.testing.assert_close(cells.norm(dim=-1), torch.ones(2, 3, 5))
    x[1, :, 8:16, 24:32] += 1  # with `value` after no other block, a patch sees only itself
    changed = (recipes.dense(model.visual, x, recipes.value) - cells).abs().amax(-1) > 1e-6
    assert changed.nonzero().tolist() == [[1, 1, 3]]


# Recipes, written out by hand for one head at a time


def last_block_by_hand(model, x, attention):
    """out_proj(A v) of the last block and what follows, A = attention(q, k, s) for each head."""
    visual = model.visual
    tokens = visual._embeds(x)
    for block in visual.transformer.resblocks[:-1]:
        tokens = block(tokens)
    block = visual.transformer.resblocks[-1]
    normed = block.ln_1(tokens)
    heads, width = block.attn.num_heads, normed.shape[-1]
    size = width // heads
    mixed = torch.empty_like(normed)
    for head in range(heads):
        rows = [
            slice(part * width + head * size, part * width + (head + 1) * size) for part in range(3)
        ]
        q, k, v = (
            normed @ block.attn.in_proj_weight[r].T + block.attn.in_proj_bias[r] for r in rows
        )
        mixed[..., head * size : (head + 1) * size] = attention(q, k, size**-0.5) @ v
    out = mixed @ block.attn.out_proj.weight.T + block.attn.out_proj.bias
    scale = getattr(block.ls_1, "gamma", 1.0)
    patches = (visual.ln_post(scale * out) @ visual.proj)[:, 1:]
    return F.normalize(patches, dim=-1)


@pytest.mark.parametrize("layer_scale", [None, 0.3])
def test_value_is_identity_attention(layer_scale):
    model = tiny_clip.build(image_size=(24, 40), ls_init_value=layer_scale)
    x = images(2, 3, 24, 40)
    by_hand = last_block_by_hand(model, x, lambda q, k, s: torch.eye(k.shape[1]))
    cells = recipes.dense(model.visual, x, recipes.value).flatten(1, 2)
    torch.testing.assert_close(cells, by_hand, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("layer_scale", [None, 0.3])
def test_naclip_is_key_to_key_attention_with_a_gaussian_on_nearness(layer_scale):
    model = tiny_clip.build(image_size=(24, 40), ls_init_value=layer_scale)
    x = images(2, 3, 24, 40)
    near = torch.zeros(16, 16)
    for i in range(15):
        for j in range(15):
            squared = (i // 5 - j // 5) ** 2 + (i % 5 - j % 5) ** 2
            near[i + 1, j + 1] = np.exp(-squared / (2 * 5.0**2))
    by_hand = last_block_by_hand(
        model, x, lambda q, k, s: torch.softmax(s * k @ k.transpose(1, 2) + near, dim=-1)
    )
    cells = recipes.dense(model.visual, x, recipes.naclip).flatten(1, 2)
    torch.testing.assert_close(cells, by_hand, rtol=1e-4, atol=1e-5)


def test_the_recipes_differ():
    model, x = tiny_clip.build(), images(1, 3, 32, 32)
    read = [recipes.dense(model.visual, x, recipe) for recipe in recipes.RECIPES.values()]
    assert len(read) == 3
    for i, one in enumerate(read):
        for other in read[:i]:
            assert (one - other).abs().max() > 0.01


# Sizes


def test_position_embeddings_are_untouched_at_the_native_grid():
    visual = tiny_clip.build().visual
    assert recipes.position_embedding(visual, NATIVE) is visual.positional_embedding


def test_position_embeddings_resize_patches_only_and_keep_a_constant():
    visual = tiny_clip.build().visual
    visual.positional_embedding[1:] = torch.arange(32.0)
    resized = recipes.position_embedding(visual, (3, 7))
    assert resized.shape == (1 + 3 * 7, 32)
    assert torch.equal(resized[0], visual.positional_embedding[0])
    torch.testing.assert_close(resized[1:], torch.arange(32.0).expand(21, 32))


def test_position_embeddings_keep_rows_and_columns_apart():
    visual = tiny_clip.build().visual
    rows = torch.arange(4.0)[:, None].expand(4, 4).reshape(16, 1)
    visual.positional_embedding[1:] = rows
    resized = recipes.position_embedding(visual, (4, 9))[1:].unflatten(0, (4, 9))
    torch.testing.assert_close(resized, torch.arange(4.0)[:, None, None].expand(4, 9, 32))


def test_an_image_is_read_alike_alone_and_in_a_batch():
    model, x = tiny_clip.build(), images(5, 3, 24, 48)
    together = recipes.dense(model.visual, x, recipes.plain)
    alone = torch.cat([recipes.dense(model.visual, one[None], recipes.plain) for one in x])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", recipes.RECIPES)
def test_mixed_precision_reads_nearly_the_same_and_returns_single_precision(name):
    model, x = tiny_clip.build(), images(2, 3, 24, 40)
    exact = recipes.dense(model.visual, x, recipes.RECIPES[name])
    with torch.autocast("cpu", torch.bfloat16):
        mixed = recipes.dense(model.visual, x, recipes.RECIPES[name])
    assert mixed.dtype == torch.float32
    assert (mixed * exact).sum(-1).min() > 0.999
    assert not torch.equal(mixed, exact)


# Windows


def read_windows(model, x, window, stride, batch=4):
    def tower(crops):
        assert len(crops) <= batch
        return recipes.dense(model.visual, crops, recipes.plain)

    return windows.read(x, PATCH, window, stride, batch, tower)


@pytest.mark.parametrize("window", [32, 320])
def test_one_window_over_the_image_is_the_image_read_whole(window):
    model, x = tiny_clip.build(), images(3, 3, 32, 24)
    whole = recipes.dense(model.visual, x, recipes.plain)
    torch.testing.assert_close(read_windows(model, x, window, 16), whole, rtol=1e-4, atol=1e-5)


def test_windows_without_overlap_are_crops_side_by_side():
    model, x = tiny_clip.build(), images(2, 3, 32, 64)
    halves = [recipes.dense(model.visual, x[..., s : s + 32], recipes.plain) for s in (0, 32)]
    torch.testing.assert_close(
        read_windows(model, x, 32, 32), torch.cat(halves, dim=2), rtol=1e-4, atol=1e-5
    )


def test_overlaps_are_blended_by_how_central_a_cell_is():
    model, x = tiny_clip.build(), images(1, 3, 32, 48)
    left, right = (recipes.dense(model.visual, x[..., s : s + 32], recipes.plain) for s in (0, 16))
    rise = np.sin(np.pi * (np.arange(4) + 0.5) / 4) ** 2
    for column in (2, 3):  # seen by both: columns 2 and 3 of the left, 0 and 1 of the right
        mean = rise[column] * left[:, :, column] + rise[column - 2] * right[:, :, column - 2]
        torch.testing.assert_close(
            read_windows(model, x, 32, 16)[:, :, column],
            F.normalize(mean, dim=-1),
            rtol=1e-4,
            atol=1e-5,
        )


@given(st.integers(1, 40), st.integers(1, 12), st.integers(1, 12))
def test_windows_cover_every_cell_and_stay_inside(length, window, stride):
    stride = min(stride, window)
    begins = windows.starts(length, window, stride)
    size = min(window, length)
    covered = {cell for begin in begins for cell in range(begin, begin + size)}
    assert covered == set(range(length))
    assert begins == sorted(set(begins))


@settings(max_examples=25)
@given(
    st.integers(1, 6), st.integers(1, 7), st.integers(1, 4), st.integers(1, 4), st.integers(1, 9)
)
def test_windows_of_a_tower_that_sees_only_the_patch_give_back_the_whole(
    h, w, window, stride, batch
):
    x = images(2, 3, 8 * h, 8 * w, seed=h * w)

    def tower(crops):
        cells = F.unfold(crops, 8, stride=8).transpose(1, 2)
        return F.normalize(cells, dim=-1).unflatten(1, (crops.shape[2] // 8, crops.shape[3] // 8))

    read = windows.read(x, PATCH, 8 * window, 8 * min(stride, window), batch, tower)
    torch.testing.assert_close(read, tower(x), rtol=1e-5, atol=1e-6)


# Loading


def test_a_local_folder_gives_its_weights_and_statistics(tmp_path):
    name = tiny_clip.write(tmp_path / "clip", seed=3)
    tower, x = clip.load_image_tower(name, None), images(1, 3, 32, 32)
    assert (list(tower.mean), list(tower.std)) == (tiny_clip.MEAN, tiny_clip.STD)
    assert not tower.visual.training
    same = tiny_clip.build(seed=3).encode_image(x)
    torch.testing.assert_close(tower.visual(x.to(tower.device)).cpu(), same, rtol=1e-4, atol=1e-5)


def test_the_local_files_of_a_model_are_all_that_determine_it(tmp_path):
    folder = tmp_path / "clip"
    name = tiny_clip.write(folder)
    (folder / "card.md").write_text("about the model")
    found = {path.name for path in weights.local_files(name, None)}
    assert found == {"open_clip_config.json", "open_clip_model.safetensors", "merges.txt.gz"}
    assert weights.local_files("ViT-B-16", "laion2b_s34b_b88k") == []


def test_relative_paths_start_at_the_checkout(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    folder = weights.local_folder("local-dir:data_manifest/demo/clip")
    assert folder == Path(weights.__file__).parents[1] / "data_manifest" / "demo" / "clip"


REFUSED = [
    ("ViT-B-16-SigLIP", "webli", "image tower is from timm"),
    ("RN50-quickgelu", "openai", "image tower is a ResNet"),
    ("coca_ViT-B-32", "laion2b_s13b_b90k", "pools by attention"),
    ("xlm-roberta-base-ViT-B-32", "laion5b_s13b_b90k", "transformers"),
    ("ViT-B-17", "openai", "is no model of open_clip"),
    ("hf-hub:some/model", None, "is no model of open_clip"),
    ("ViT-B-16", "openai", "write `model: ViT-B-16-quickgelu`"),
    ("ViT-L-14", "metaclip_400m", "write `model: ViT-L-14-quickgelu`"),
    ("ViT-B-16-quickgelu", "laion2b_s34b_b88k", "its tags are: .*openai"),
    ("ViT-B-16", None, "no weights are named"),
    ("ViT-B-16", "weights/ViT-B-16.pt", "only safetensors are read"),
    ("ViT-B-16", "nowhere/ViT-B-16.safetensors", "no such file"),
    ("local-dir:nowhere", None, "open_clip_config.json: no such file"),
]


@pytest.mark.parametrize(("model", "pretrained", "sentence"), REFUSED)
def test_what_cannot_be_read_is_refused_before_anything_is_fetched(
    model, pretrained, sentence, monkeypatch
):
    monkeypatch.setattr(clip, "_is_there", lambda url: pytest.fail("asked the network"))
    with pytest.raises(BadInput, match=sentence):
        clip.load_image_tower(model, pretrained)


def test_every_tag_with_quickgelu_weights_is_refused_on_the_plain_model_and_taken_on_its_own():
    tags = [tag for tag in open_clip.list_pretrained() if tag[0].endswith("-quickgelu")]
    assert len(tags) > 20
    for model, name in tags:
        cfg = open_clip.get_pretrained_cfg(model, name)
        clip._refuse_other_activation(model, name, cfg)
        with pytest.raises(BadInput, match=f"write `model: {model}`"):
            clip._refuse_other_activation(model.removesuffix("-quickgelu"), name, cfg)


def test_quickgelu_is_what_the_model_computes_with(tmp_path):
    name = tiny_clip.write(tmp_path / "clip")
    path = tmp_path / "clip" / "open_clip_config.json"
    plain = clip.load_image_tower(name, None).visual
    config = json.loads(path.read_text())
    config["model_cfg"]["quick_gelu"] = True
    path.write_text(json.dumps(config))
    quick = clip.load_image_tower(name, None).visual
    x = torch.linspace(-3, 3, 7)
    gelu = quick.transformer.resblocks[0].mlp.gelu
    torch.testing.assert_close(gelu(x), x * torch.sigmoid(1.702 * x))
    assert not torch.allclose(plain.transformer.resblocks[0].mlp.gelu(x), gelu(x), atol=1e-3)


def test_weights_of_another_model_are_refused(tmp_path):
    tiny_clip.write(tmp_path / "clip")
    file = tmp_path / "clip" / "open_clip_model.safetensors"
    with pytest.raises(BadInput, match="does not hold the weights of ViT-S-32-alt"):
        clip.load_image_tower("ViT-S-32-alt", str(file))
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(BadInput, match="does not hold the weights of local-dir"):
        clip.load_image_tower(f"local-dir:{tmp_path / 'clip'}", None)


def test_missing_weights_without_a_network_end_soon_in_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    begin = time.monotonic()
    with pytest.raises(BadInput) as told:
        clip.load_image_tower("ViT-B-16-quickgelu", "openai")
    assert time.monotonic() - begin < 15
    (sentence,) = str(told.value).splitlines()
    assert "cannot be fetched" in sentence
    assert (
        "timm/vit_base_patch16_clip_224.openai/resolve/main/open_clip_model.safetensors" in sentence
    )
    assert sentence.endswith("data/weights/ViT-B-16-quickgelu.openai.safetensors.")


def test_weights_laid_by_hand_serve_a_tag(tmp_path, monkeypatch):
    monkeypatch.setattr(clip, "CHECKOUT", tmp_path)
    monkeypatch.setattr(clip, "_is_there", lambda url: pytest.fail("asked the network"))
    file = tmp_path / "data" / "weights" / "ViT-S-32-alt.some_tag.safetensors"
    file.parent.mkdir(parents=True)
    model = open_clip.create_model("ViT-S-32-alt")
    save_file(model.state_dict(), file)
    tag = {"hf_hub": "some/where/", "mean": (0.1, 0.2, 0.3), "std": (1.0, 1.0, 1.0)}
    monkeypatch.setattr(open_clip, "get_pretrained_cfg", lambda name, tag_name: tag)
    tower = clip.load_image_tower("ViT-S-32-alt", "some_tag")
    assert torch.equal(tower.visual.proj.cpu(), model.visual.proj)
    assert tower.mean == (0.1, 0.2, 0.3)


def test_weights_that_are_offered_only_as_a_pickle_are_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(clip, "_is_there", lambda url: False)
    with pytest.raises(BadInput, match=r"apple/DFN2B-CLIP-ViT-B-16 offers its weights .* a pickle"):
        clip.load_image_tower("ViT-B-16-quickgelu", "dfn2b")
