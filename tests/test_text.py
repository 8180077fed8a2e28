"""The text stage: prompt ensembles, and texts asked for one by one."""

from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
import zarr
from safetensors.torch import save_file

from pipeline.clip import text_tower
from pipeline.errors import BadInput
from pipeline.stages import text
from tests.helpers import tiny_clip

CLASSES = [
    {"name": "chair", "prompts": ["chair", "seat"]},
    {"name": "table", "prompts": ["table"]},
    {"name": "other", "prompts": ["thing", "object", "stuff"]},
]
TEMPLATES = ["a photo of a {}", "a {} in a room"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_clip.write(tmp_path_factory.mktemp("clip"))


def params(model: str, **changes: Any) -> dict[str, Any]:
    plain = {"model": model, "pretrained": None, "classes": CLASSES, "templates": TEMPLATES}
    return plain | changes


def run(params: dict[str, Any]) -> Any:
    out = zarr.create_group(zarr.storage.MemoryStore())
    text.Worker(params)(out)
    return out


def test_a_class_is_the_normalised_mean_of_its_words_in_all_templates(model: str) -> None:
    out = run(params(model))
    embedding = out["embedding"][:]
    assert (embedding.shape, embedding.dtype) == ((3, 24), np.float32)
    tower = text_tower.load_text_tower(model, None)
    for row, entry in zip(embedding, CLASSES, strict=True):
        prompts = [t.format(word) for word in entry["prompts"] for t in TEMPLATES]
        singles = np.concatenate([tower.embed([prompt]) for prompt in prompts])
        np.testing.assert_allclose(np.linalg.norm(singles, axis=1), 1, rtol=1e-5)
        mean = singles.mean(axis=0)
        np.testing.assert_allclose(row, mean / np.linalg.norm(mean), rtol=1e-4, atol=1e-5)


def test_the_entry_says_what_it_was_made_of(model: str) -> None:
    attrs = dict(run(params(model)).attrs)
    assert attrs["classes"] == ["chair", "table", "other"]
    assert attrs["prompts"] == [["chair", "seat"], ["table"], ["thing", "object", "stuff"]]
    assert attrs["templates"] == TEMPLATES
    assert attrs["logit_scale"] == pytest.approx(float(tiny_clip.build().logit_scale.exp()))


@pytest.mark.parametrize(("name", "count"), [("imagenet_80", 80), ("imagenet_7", 7)])
def test_an_ensemble_that_goes_by_a_name_is_that_many_different_sentences(
    model: str, name: str, count: int
) -> None:
    one = params(model, classes=CLASSES[:1], templates=name)
    out = run(one)
    assert len(set(out.attrs["templates"])) == count
    assert all("{}" in template for template in out.attrs["templates"])
    spelled = run(params(model, classes=CLASSES[:1], templates=out.attrs["templates"]))
    np.testing.assert_array_equal(out["embedding"][:], spelled["embedding"][:])


def test_a_single_word_without_a_sentence_is_that_word_embedded(model: str) -> None:
    one = params(model, classes=CLASSES[1:2], templates=["{}"])
    np.testing.assert_allclose(
        run(one)["embedding"][:],
        text_tower.load_text_tower(model, None).embed(["table"]),
        atol=1e-6,
    )


def test_the_tokenizer_is_the_model_s_own_in_any_working_directory(
    model: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)  # bpe_path of the configuration is relative to its own folder
    tower = text_tower.load_text_tower(model, None)
    chair = 512 + tiny_clip.MERGES.index("chai r</w>")
    end = tiny_clip.VOCABULARY - 1
    tokens = torch.zeros(1, 12, dtype=torch.long)
    tokens[0, :3] = torch.tensor([end - 1, chair, end])
    expected = tiny_clip.build().encode_text(tokens, normalize=True)
    np.testing.assert_allclose(tower.embed(["chair"]), expected.numpy(), atol=1e-5)


def test_many_texts_are_embedded_as_each_alone(model: str) -> None:
    tower = text_tower.load_text_tower(model, None)
    texts = [f"table {i}" for i in range(300)]
    together = tower.embed(texts)
    assert together.shape == (300, 24)
    for i in (0, 255, 256, 299):
        np.testing.assert_allclose(together[i], tower.embed([texts[i]])[0], atol=1e-5)


def test_a_text_beyond_the_context_is_cut_off(model: str) -> None:
    tower = text_tower.load_text_tower(model, None)
    long = "table " * 50
    assert np.isfinite(tower.embed([long])).all()
    np.testing.assert_allclose(tower.embed([long]), tower.embed([long + "chair"]), atol=1e-6)


def test_open_clip_s_own_tokenizer_serves_a_model_of_its_own(tmp_path: Path) -> None:
    whole = open_clip.create_model("ViT-S-32-alt")
    file = tmp_path / "weights.safetensors"
    save_file(whole.eval().state_dict(), file)
    tower = text_tower.load_text_tower("ViT-S-32-alt", str(file))
    tokens = open_clip.get_tokenizer("ViT-S-32-alt")(["a photo of a sofa"])
    expected = whole.encode_text(tokens, normalize=True).detach().numpy()
    np.testing.assert_allclose(tower.embed(["a photo of a sofa"]), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"templates": ["a photo of a {}", "a room"]}, "`a room` has no place for a word"),
        ({"templates": []}, "no templates"),
        ({"classes": [{"name": "sofa", "prompts": []}]}, "the class sofa has no prompts"),
    ],
)
def test_words_that_would_make_classes_alike_are_refused(
    model: str, changes: Any, sentence: str
) -> None:
    with pytest.raises(BadInput, match=sentence):
        text.Worker(params(model, **changes))
