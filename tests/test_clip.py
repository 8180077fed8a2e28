"""Loading a model's weights, and what is refused."""

import json
import sys
import time
from pathlib import Path
from typing import Any

import huggingface_hub
import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import save_file

from pipeline.clip import fetch, models, text_tower, weights
from pipeline.clip.dense import read_tokens
from pipeline.clip.recipes import plain
from pipeline.errors import BadInput
from tests.helpers import tiny_clip, tiny_towers


def images(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def class_token(tower: Any, x: torch.Tensor) -> torch.Tensor:
    return read_tokens(tower.view, x.to(tower.device), plain)[0][:, 0].cpu()


def test_a_local_folder_gives_its_weights_and_statistics(tmp_path: Path) -> None:
    name = tiny_clip.write(tmp_path / "clip", seed=3)
    tower, x = tiny_clip.load(name, None), images(1, 3, 32, 32)
    assert (tower.mean, tower.std) == (tiny_clip.MEAN, tiny_clip.STD)
    same = tiny_clip.build(seed=3).encode_image(x)
    torch.testing.assert_close(class_token(tower, x), same, rtol=1e-4, atol=1e-5)


def test_the_local_files_of_a_model_are_all_that_determine_it(tmp_path: Path) -> None:
    folder = tmp_path / "clip"
    name = tiny_clip.write(folder)
    (folder / "card.md").write_text("about the model")
    found = {path.name for path in weights.local_files(name, None)}
    assert found == {"open_clip_config.json", "open_clip_model.safetensors", "merges.txt.gz"}
    assert weights.local_files("ViT-B-16", "laion2b_s34b_b88k") == []


def test_relative_paths_start_at_the_checkout(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = weights.local_folder("local-dir:data_manifest/demo/clip")
    assert folder == Path(weights.__file__).parents[2] / "data_manifest" / "demo" / "clip"


REFUSED = [
    ("swin_base_patch4_window7_224", None, "no way is known .* a SwinTransformer"),
    ("ViT-B-16-SigLIP2", "openai", "its tags are: webli"),
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
    model: str, pretrained: str | None, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "is_there", lambda url: pytest.fail("asked the network"))
    with pytest.raises(BadInput, match=sentence):
        tiny_clip.load(model, pretrained)


def test_every_tag_with_quickgelu_weights_is_refused_on_the_plain_model_and_taken_on_its_own() -> (
    None
):
    tags = [tag for tag in open_clip.list_pretrained() if tag[0].endswith("-quickgelu")]
    assert len(tags) > 20
    for model, name in tags:
        cfg = open_clip.get_pretrained_cfg(model, name)
        models.refuse_other_activation(model, name, cfg)
        with pytest.raises(BadInput, match=f"write `model: {model}`"):
            models.refuse_other_activation(model.removesuffix("-quickgelu"), name, cfg)


def test_quickgelu_is_what_the_model_computes_with(tmp_path: Path) -> None:
    name = tiny_clip.write(tmp_path / "clip")
    path = tmp_path / "clip" / "open_clip_config.json"
    x = images(1, 3, 32, 32)
    plain = class_token(tiny_clip.load(name, None), x)
    config = json.loads(path.read_text())
    config["model_cfg"]["quick_gelu"] = True
    path.write_text(json.dumps(config))
    quick = class_token(tiny_clip.load(name, None), x)
    visual = tiny_clip.build().visual
    for block in visual.transformer.resblocks:
        block.mlp.gelu.forward = lambda x: x * torch.sigmoid(1.702 * x)
    torch.testing.assert_close(quick, visual(x), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(plain, quick, atol=1e-3)


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    tiny_clip.write(tmp_path / "clip")
    file = tmp_path / "clip" / "open_clip_model.safetensors"
    with pytest.raises(BadInput, match="does not have the weights of ViT-S-32-alt"):
        tiny_clip.load("ViT-S-32-alt", str(file))
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(BadInput, match="does not have the weights of local-dir"):
        tiny_clip.load(f"local-dir:{tmp_path / 'clip'}", None)


def test_missing_weights_without_a_network_end_soon_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    begin = time.monotonic()
    with pytest.raises(BadInput) as caught:
        tiny_clip.load("ViT-B-16-quickgelu", "openai")
    assert time.monotonic() - begin < 15
    (sentence,) = str(caught.value).splitlines()
    assert "cannot be fetched" in sentence
    assert (
        "timm/vit_base_patch16_clip_224.openai/resolve/main/open_clip_model.safetensors" in sentence
    )
    assert sentence.endswith("data/weights/ViT-B-16-quickgelu.openai.safetensors.")


def test_weights_saved_by_hand_serve_a_tag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "CHECKOUT", tmp_path)
    monkeypatch.setattr(fetch, "is_there", lambda url: pytest.fail("asked the network"))
    file = tmp_path / "data" / "weights" / "ViT-S-32-alt.some_tag.safetensors"
    file.parent.mkdir(parents=True)
    model = open_clip.create_model("ViT-S-32-alt")
    save_file(model.state_dict(), file)
    tag = {"hf_hub": "some/where/", "mean": (0.1, 0.2, 0.3), "std": (1.0, 1.0, 1.0)}
    monkeypatch.setattr(open_clip, "get_pretrained_cfg", lambda name, tag_name: tag)
    tower = tiny_clip.load("ViT-S-32-alt", "some_tag")
    x = images(1, 3, 224, 224)
    own = model.eval().encode_image(x)
    torch.testing.assert_close(class_token(tower, x), own, rtol=1e-3, atol=1e-4)
    assert tower.mean == [0.1, 0.2, 0.3]


def test_weights_that_are_offered_only_as_a_pickle_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(fetch, "is_there", lambda url: False)
    with pytest.raises(BadInput, match=r"apple/DFN2B-CLIP-ViT-B-16 offers its weights .* a pickle"):
        tiny_clip.load("ViT-B-16-quickgelu", "dfn2b")


def test_half_precision_is_fp16_for_what_openai_trained_in_it_and_bf16_for_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tiny_clip.load(tiny_clip.write(tmp_path / "clip"), None).half == torch.bfloat16
    file = tmp_path / "data" / "weights" / "ViT-S-32-alt.openai.safetensors"
    file.parent.mkdir(parents=True)
    save_file(open_clip.create_model("ViT-S-32-alt").state_dict(), file)
    monkeypatch.setattr(fetch, "CHECKOUT", tmp_path)
    monkeypatch.setattr(open_clip, "get_pretrained_cfg", lambda *names: {"hf_hub": "some/where/"})
    assert tiny_clip.load("ViT-S-32-alt", "openai").half == torch.float16


# Tokenizers of Hugging Face


def write_siglip(folder: Path) -> str:
    """A tiny SigLIP with a word tokenizer of its own; the name to give as `model`."""
    cfg = tiny_towers.timm_cfg("tiny_siglip", "map", "none")
    name = tiny_clip.write(folder, embed_dim=32, **cfg)
    tiny_towers.write_tokenizer(folder, ["chair", "table"])
    config = json.loads((folder / "open_clip_config.json").read_text())
    config["model_cfg"]["text_cfg"] |= {
        "hf_tokenizer_name": "timm/some-siglip",
        "tokenizer_kwargs": {"clean": "canonicalize"},
    }
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    return name


def test_a_tokenizer_of_the_hub_is_read_from_the_models_folder(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    name = write_siglip(tmp_path)
    tower = text_tower.load_text_tower(name, None)
    assert tower.tokenizer(["Chair, table!"])[0].tolist() == [3, 4, 1, *[0] * 9]
    own = tiny_clip.build(embed_dim=32, **tiny_towers.FAMILIES["SigLIP"])
    text = own.encode_text(torch.tensor([[3, 1, *[0] * 10]]), normalize=True)
    np.testing.assert_allclose(tower.embed(["chair"]), text.numpy(), atol=1e-5)
    assert {"tokenizer.json", "tokenizer_config.json"} < {
        path.name for path in weights.local_files(name, None)
    }


def test_a_missing_tokenizer_is_reported_with_where_to_put_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = write_siglip(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(BadInput, match=r"tokenizer.json: no such file; save .*timm/some-siglip"):
        text_tower.load_text_tower(name, None)

    def no_network(url: str) -> None:
        raise OSError("no network")

    monkeypatch.setattr(fetch, "is_there", no_network)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    siglip = open_clip.get_model_config("ViT-B-16-SigLIP2")["text_cfg"]
    with pytest.raises(BadInput) as caught:
        fetch.hub_tokenizer("ViT-B-16-SigLIP2", siglip)
    (sentence,) = str(caught.value).splitlines()
    assert "its tokenizer is not here and cannot be fetched (no network)" in sentence
    assert "huggingface.co/timm/ViT-B-16-SigLIP2 in the folder" in sentence
    assert sentence.endswith("data/weights/ViT-B-16-SigLIP2.tokenizer.")


def test_without_the_package_transformers_texts_are_refused_and_images_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = write_siglip(tmp_path)
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(BadInput, match="needs the package transformers, which is not installed"):
        text_tower.load_text_tower(name, None)
    assert tiny_clip.load(name, None).view.patch == (8, 8)
