"""The demo's small CLIP, as it is shipped: what it finds in freshly rendered rooms.

The rooms are of the split that it was trained on (the same furniture models), with seeds that its
training never saw. Rooms of the demo itself are never used to judge it.
"""

from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from safetensors import safe_open

from pipeline.demo_clip.captions import HELD_OUT, WORDS
from pipeline.demo_clip.clip_scores import (
    IMAGE_SIZE,
    READING,
    VALIDATION,
    average_precision,
    class_iou,
    phrase_precision,
)
from pipeline.demo_clip.pairs import FURNITURE, render_views
from pipeline.plan import config
from pipeline.simulate.catalogue import SPLITS, Catalogue
from pipeline.simulate.room import build_room

MODEL = Path(__file__).parents[1] / "data_manifest" / "demo" / "clip"

needs_furniture = pytest.mark.skipif(
    not FURNITURE.is_dir(), reason="Debian's package sweethome3d-furniture is not installed"
)


@pytest.fixture(scope="module")
def catalogue():
    return Catalogue(FURNITURE)


@pytest.fixture(scope="module")
def views(catalogue, tmp_path_factory):
    return render_views(tmp_path_factory.mktemp("views"), catalogue, VALIDATION[:4], 4)


def test_open_clip_loads_it_from_its_folder_and_tells_a_couch_from_a_window():
    model = open_clip.create_model(f"local-dir:{MODEL}").eval()
    merges = MODEL / "merges.txt.gz"
    tokenizer = open_clip.get_tokenizer(f"local-dir:{MODEL}", bpe_path=str(merges))
    assert tokenizer.vocab_size == model.vocab_size
    with torch.no_grad():
        text = model.encode_text(tokenizer(["a couch", "a sofa", "a window"]), normalize=True)
    assert text[0] @ text[1] > text[0] @ text[2] + 0.2


def test_it_is_small_and_holds_no_number_that_is_not_finite():
    assert sum(file.stat().st_size for file in MODEL.iterdir()) < 8e6
    with safe_open(MODEL / "open_clip_model.safetensors", "np") as weights:
        for name in weights.keys():  # noqa: SIM118 (it is no dict)
            assert np.isfinite(weights.get_tensor(name)).all(), name


def test_the_demo_reads_it_in_the_way_that_its_figures_are_of():
    read = config.load(config.CONFIG)["demo"]["embeddings"]
    assert tuple(read["image_size"]) == IMAGE_SIZE
    assert {key: read[key] for key in READING} == READING


@needs_furniture
def test_rooms_of_its_split_hold_no_furniture_of_the_other_splits(catalogue):
    roles = {role for role, _ in catalogue._models}
    of = {s: {m.id for role in roles for m in catalogue.models(role, s)} for s in SPLITS}
    assert min(len(models) for models in of.values()) > 20
    assert not of["clip"] & (of["train"] | of["heldout"])
    for seed in VALIDATION[:2]:
        seen = {thing.model for thing in build_room(seed, catalogue, "clip").things}
        seen = {model for model in seen if not model.startswith("procedural:")}
        assert seen
        assert seen <= of["clip"]


@needs_furniture
def test_dense_embeddings_find_the_classes_far_better_than_chance(views):
    iou = class_iou(MODEL, views)
    assert np.isfinite(iou).sum() >= 10
    assert np.nanmean(iou) > 0.2  # one class everywhere gives less than 0.05


@needs_furniture
def test_things_asked_for_in_other_words_are_found_better_than_chance(views):
    asked = [(6, "a couch"), *((k, text) for k, texts in HELD_OUT.items() for text in texts)]
    found = phrase_precision(MODEL, views, asked)
    present = [(precision, chance) for precision, chance in found if chance > 0.001]
    assert len(present) >= 6
    assert np.mean([precision > 2 * chance for precision, chance in present]) > 0.7
    assert np.mean([p for p, _ in present]) > 3 * np.mean([c for _, c in present])


@needs_furniture
def test_views_are_rendered_once_and_alike(catalogue, tmp_path):
    once = render_views(tmp_path / "a", catalogue, [VALIDATION[0]], 2)
    before = (tmp_path / "a" / "color.npy").stat().st_mtime_ns
    again = render_views(tmp_path / "a", catalogue, [VALIDATION[0]], 2)
    other = render_views(tmp_path / "b", catalogue, [VALIDATION[0]], 2)
    assert (tmp_path / "a" / "color.npy").stat().st_mtime_ns == before
    assert once.names == again.names == other.names
    np.testing.assert_array_equal(once.color, other.color)
    np.testing.assert_array_equal(again.name, other.name)
    assert {nyu40 for _, nyu40 in once.names} & set(WORDS)


def test_average_precision_is_one_for_a_perfect_ranking_and_the_share_for_none():
    wanted = np.arange(1000) < 100
    assert average_precision(-np.arange(1000.0), wanted) == 1.0
    rng = np.random.default_rng(0)
    chance = [average_precision(rng.random(1000), wanted) for _ in range(50)]
    assert np.mean(chance) == pytest.approx(0.1, abs=0.02)
