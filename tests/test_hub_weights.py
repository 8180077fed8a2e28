"""Weights from a hub: one key is one set of weights, whatever the hub gives later."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from model.inference.unseen import embedder
from model.network.trained import load
from pipeline.clip import hub, weights
from pipeline.errors import BadInput
from pipeline.facts import Facts
from pipeline.jobs import entries
from pipeline.plan.plan import Plan
from pipeline.plan.weights import fetch_unknown, require_planned, weights_digest
from tests.helpers import tiny_clip, tiny_hub, tiny_network, tiny_store, tiny_tips, tiny_towers

COMMIT, LATER = "a" * 40, "b" * 40
NAME = f"hf-hub:some/tiny-clip@{COMMIT}"
TAGGED = {"model": "ViT-B-16-quickgelu", "pretrained": "openai"}
REPO = "timm/vit_base_patch16_clip_224.openai"  # where open_clip has that tag
SIGLIP = {"model": "ViT-B-16-SigLIP2", "pretrained": "webli"}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return tiny_hub.empty(tmp_path, monkeypatch)


def clip(seed: int) -> Callable[[Path], str]:
    return lambda folder: tiny_clip.write(folder, seed=seed)


def some_weights(value: float) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        folder.mkdir(parents=True)
        tensor = tiny_clip.build().state_dict()["visual.proj"].contiguous() * value
        save_file({"visual.proj": tensor}, folder / weights.WEIGHTS)

    return write


def planned(root: Path, tower: dict[str, Any], digest: str | None) -> Plan:
    facts = tiny_store.facts(root)
    facts["section"]["embeddings"] = tower
    return Plan(Facts.from_json(facts | {"weights": digest}))


def key(root: Path, tower: dict[str, Any]) -> str:
    return planned(root, tower, weights_digest(tower, root)).keys["embeddings"]


def test_a_revision_of_a_hub_is_read_like_a_folder_with_the_same_files(
    cache: Path, tmp_path: Path
) -> None:
    tiny_hub.keep(cache, "some/tiny-clip", COMMIT, clip(seed=1))
    own = {"model": tiny_clip.write(tmp_path / "own", seed=1), "pretrained": None}
    there = {"model": NAME, "pretrained": None}
    assert weights_digest(there, tmp_path) == weights_digest(own, tmp_path)
    assert key(tmp_path, there) == key(tmp_path, own)
    digest = weights_digest(there, tmp_path)
    worker = entries.load_worker("text", planned(tmp_path, there, digest).facts)
    assert worker._tower.embed(["chair"]).shape == (1, 24)


def test_other_bytes_under_the_same_name_have_another_key(cache: Path, tmp_path: Path) -> None:
    tower = {"model": "hf-hub:some/tiny-clip@main", "pretrained": None}
    keys, digests = set(), []
    for seed, commit in ((1, COMMIT), (2, LATER)):
        tiny_hub.keep(cache, "some/tiny-clip", commit, clip(seed), ref="main")
        digests.append(weights_digest(tower, tmp_path))
        keys.add(key(tmp_path, tower))
    assert len(keys) == 2
    with pytest.raises(BadInput, match="not those that the run was planned with; run snakemake"):
        require_planned(planned(tmp_path, tower, digests[0]), "embeddings")
    require_planned(planned(tmp_path, tower, digests[1]), "embeddings")


@pytest.mark.parametrize("name", ["tokenizer.json", weights.CONFIG, weights.WEIGHTS])
def test_every_file_that_is_read_is_in_the_digest(cache: Path, tmp_path: Path, name: str) -> None:
    def write(folder: Path) -> None:
        tiny_clip.write(folder, seed=1)
        (folder / "tokenizer.json").write_text("{}")

    tower = {"model": NAME, "pretrained": None}
    snapshot = tiny_hub.keep(cache, "some/tiny-clip", COMMIT, write)
    before = weights_digest(tower, tmp_path)
    (snapshot / name).write_bytes((snapshot / name).read_bytes() + b" ")
    assert weights_digest(tower, tmp_path) != before


def test_a_tag_keeps_the_bytes_that_were_fetched_first(cache: Path, tmp_path: Path) -> None:
    tiny_hub.keep(cache, REPO, COMMIT, some_weights(1.0), ref="main")
    assert weights_digest(TAGGED, tmp_path) is None
    fetch_unknown(TAGGED, tmp_path)
    link = weights.CHECKOUT / "data/weights/ViT-B-16-quickgelu.openai.safetensors"
    first, content = weights_digest(TAGGED, tmp_path), link.read_bytes()
    assert first is not None
    tiny_hub.keep(cache, REPO, LATER, some_weights(2.0), ref="main")
    fetch_unknown(TAGGED, tmp_path)
    require_planned(planned(tmp_path, TAGGED, first), "embeddings")
    assert (weights_digest(TAGGED, tmp_path), link.read_bytes()) == (first, content)


def test_a_machine_to_which_the_hub_gives_other_bytes_plans_other_entries_or_stops(
    cache: Path, tmp_path: Path
) -> None:
    tiny_hub.keep(cache, REPO, COMMIT, some_weights(1.0), ref="main")
    fetch_unknown(TAGGED, tmp_path)
    first, key_of_first = weights_digest(TAGGED, tmp_path), key(tmp_path, TAGGED)
    shutil.rmtree(cache)  # another machine with the same store
    shutil.rmtree(weights.CHECKOUT)
    assert key(tmp_path, TAGGED) == key_of_first, "the store knows what was read"
    tiny_hub.keep(cache, REPO, LATER, some_weights(2.0), ref="main")
    with pytest.raises(BadInput, match="weights or tokenizer are not those that the run was plan"):
        require_planned(planned(tmp_path, TAGGED, first), "text")
    assert key(tmp_path, TAGGED) != key_of_first


def test_the_tokenizer_of_a_tag_is_part_of_the_digest(cache: Path, tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    digests = []
    for words, commit in ((["chair"], COMMIT), (["table"], LATER)):

        def write(folder: Path, words: Sequence[str] = words) -> None:
            some_weights(1.0)(folder)
            tiny_towers.write_tokenizer(folder, words)

        tiny_hub.keep(cache, "timm/ViT-B-16-SigLIP2", commit, write, ref="main")
        fetch_unknown(SIGLIP, tmp_path)
        found = {path.name for path in hub.files(**SIGLIP)}
        assert {"ViT-B-16-SigLIP2.webli.safetensors", "tokenizer.json"} < found
        digests.append(weights_digest(SIGLIP, tmp_path))
        shutil.rmtree(weights.CHECKOUT)
        shutil.rmtree(tmp_path / "weights")
    assert len(set(digests)) == 2


def test_a_tag_that_nobody_knows_stops_before_any_job_with_its_address(
    cache: Path, tmp_path: Path
) -> None:
    with pytest.raises(BadInput) as caught:
        fetch_unknown(TAGGED, tmp_path)
    (sentence,) = str(caught.value).splitlines()
    assert f"{REPO}/resolve/main/open_clip_model.safetensors" in sentence
    assert sentence.endswith("data/weights/ViT-B-16-quickgelu.openai.safetensors.")
    with pytest.raises(BadInput, match=r"is not here and cannot be fetched .* local-dir:<folder>"):
        fetch_unknown({"model": NAME, "pretrained": None}, tmp_path)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("hf-hub:some/tiny-clip", "has no revision, and what a hub has under a name may change"),
        ("hf-hub:a/b/c@main", "is no name of a hub"),
        ("hf-hub:some/tiny-clip@../../../etc", "is no name of a hub"),
    ],
)
def test_a_name_without_a_revision_is_refused(model: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=said):
        weights_digest({"model": model, "pretrained": None}, tmp_path)


def test_the_name_of_a_model_stays_in_the_key_beside_a_file_of_weights(tmp_path: Path) -> None:
    """The same weights in a model with another activation give other embeddings."""
    path = tmp_path / "w.safetensors"
    path.write_bytes(b"weights")
    towers = [{"model": model, "pretrained": str(path)} for model in ("ViT-B-16", TAGGED["model"])]
    assert len({weights_digest(tower, tmp_path) for tower in towers}) == 1
    assert len({key(tmp_path, tower) for tower in towers}) == 2


def test_queries_of_a_network_need_the_weights_that_it_was_trained_with(
    cache: Path, tmp_path: Path
) -> None:
    snapshot = tiny_hub.keep(cache, "some/tiny-clip", COMMIT, clip(seed=1))
    path = tiny_network.network(tmp_path, f"local-dir:{snapshot}", model=NAME)
    assert embedder(load(path, torch.device("cpu")), path)([["chair"]]).shape == (1, 24)
    config = json.loads((snapshot / weights.CONFIG).read_text())
    (snapshot / weights.CONFIG).write_text(json.dumps(config, indent=1))
    with pytest.raises(BadInput, match="has other weights than those that the network was train"):
        embedder(load(path, torch.device("cpu")), path)


# TIPSv2, which a hub has in other files


def test_tipsv2_of_a_hub_is_read_like_a_folder_with_the_same_files(
    cache: Path, tmp_path: Path
) -> None:
    tiny_hub.keep(cache, "some/tiny-clip", COMMIT, tiny_tips.write)
    how = {"pretrained": None, "image_size": None, "window": None, "stride": None, "batch": 1}
    own = {"model": tiny_tips.write(tmp_path / "own"), **how}
    there = {"model": NAME, **how}
    assert key(tmp_path, there) == key(tmp_path, own)
    digest = weights_digest(there, tmp_path)
    facts = planned(tmp_path, there, digest).facts
    assert entries.load_worker("text", facts)._tower.embed(["chair"]).shape == (1, 32)
    assert entries.load_worker("embeddings", facts).embedder.reader.tower.mean == [0, 0, 0]


def test_of_tipsv2_both_towers_and_the_tokenizer_are_fetched(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_tips.write(tmp_path / "made")
    (tmp_path / "made" / "modeling_tips.py").write_text("code")
    there = tiny_hub.Hub(cache, tmp_path / "made", monkeypatch)
    fetch_unknown({"model": NAME, "pretrained": None}, tmp_path)
    assert there.given == {"config.json", "model.safetensors", "tokenizer.model"}
    assert hub.located(NAME).startswith("local-dir:")


def test_of_another_model_of_transformers_no_weights_are_fetched(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_tips.write(tmp_path / "made")
    (tmp_path / "made" / "config.json").write_text('{"model_type": "clip"}')
    there = tiny_hub.Hub(cache, tmp_path / "made", monkeypatch)
    with pytest.raises(BadInput, match=r"offers no .*; take a model of open_clip .*, or TIPSv2"):
        fetch_unknown({"model": NAME, "pretrained": None}, tmp_path)
    assert there.given == {"config.json"}
