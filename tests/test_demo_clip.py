"""The demo's small CLIP, as shipped: what it finds in newly rendered rooms.

The rooms are of the split that it was trained on (the same furniture models), with seeds that its
training never saw. Rooms of the demo itself are never used to judge it.
"""

import re
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from click.testing import CliRunner
from safetensors import safe_open

from pipeline.cli.main import main
from pipeline.demo_clip.captions import HELD_OUT, WORDS
from pipeline.demo_clip.clip_scores import (
    IMAGE_SIZE,
    READING,
    VALIDATION,
    average_precision,
    class_iou,
    phrase_precision,
)
from pipeline.demo_clip.pairs import FURNITURE, Views, render_views
from pipeline.plan import config
from pipeline.simulate.catalogue import SPLITS, Catalogue
from pipeline.simulate.room import build_room

MODEL = Path(__file__).parents[1] / "data_manifest" / "demo" / "clip"

needs_furniture = pytest.mark.skipif(
    not FURNITURE.is_dir(), reason="Debian's package sweethome3d-furniture is not installed"
)


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return Catalogue(FURNITURE)


@pytest.fixture(scope="module")
def views(catalogue: Catalogue, tmp_path_factory: pytest.TempPathFactory) -> Views:
    return render_views(tmp_path_factory.mktemp("views"), catalogue, VALIDATION[:4], 4)


def test_open_clip_loads_it_from_its_folder_and_it_separates_a_couch_from_a_window() -> None:
    model = open_clip.create_model(f"local-dir:{MODEL}").eval()
    merges = MODEL / "merges.txt.gz"
    tokenizer = open_clip.get_tokenizer(f"local-dir:{MODEL}", bpe_path=str(merges))
    assert tokenizer.vocab_size == model.vocab_size
    with torch.no_grad():
        text = model.encode_text(tokenizer(["a couch", "a sofa", "a window"]), normalize=True)
    assert text[0] @ text[1] > text[0] @ text[2] + 0.2


def test_it_is_small_and_all_its_weights_are_finite() -> None:
    assert sum(file.stat().st_size for file in MODEL.iterdir()) < 8e6
    with safe_open(MODEL / "open_clip_model.safetensors", "np") as weights:
        for name in weights.keys():  # noqa: SIM118 (it is not a dict)
            assert np.isfinite(weights.get_tensor(name)).all(), name


def test_the_demo_applies_it_with_the_settings_that_were_scored() -> None:
    read = config.load(config.CONFIG)["demo"]["embeddings"]
    assert tuple(read["image_size"]) == IMAGE_SIZE
    assert {key: read[key] for key in READING} == READING


@needs_furniture
def test_rooms_of_its_split_have_no_furniture_of_the_other_splits(catalogue: Catalogue) -> None:
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
def test_dense_embeddings_find_the_classes_far_better_than_chance(views: Views) -> None:
    iou = class_iou(MODEL, views)
    assert np.isfinite(iou).sum() >= 10
    assert np.nanmean(iou) > 0.2  # one class everywhere gives less than 0.05


@needs_furniture
def test_things_queried_by_held_out_phrases_are_found_better_than_chance(views: Views) -> None:
    asked = [(6, "a couch"), *((k, text) for k, texts in HELD_OUT.items() for text in texts)]
    found = phrase_precision(MODEL, views, asked)
    present = [(precision, chance) for precision, chance in found if chance > 0.001]
    assert len(present) >= 6
    assert np.mean([precision > 2 * chance for precision, chance in present]) > 0.7
    assert np.mean([p for p, _ in present]) > 3 * np.mean([c for _, c in present])


@needs_furniture
def test_views_are_rendered_once_and_reproducibly(catalogue: Catalogue, tmp_path: Path) -> None:
    once = render_views(tmp_path / "a", catalogue, [VALIDATION[0]], 2)
    before = (tmp_path / "a" / "color.npy").stat().st_mtime_ns
    again = render_views(tmp_path / "a", catalogue, [VALIDATION[0]], 2)
    other = render_views(tmp_path / "b", catalogue, [VALIDATION[0]], 2)
    assert (tmp_path / "a" / "color.npy").stat().st_mtime_ns == before
    assert once.names == again.names == other.names
    np.testing.assert_array_equal(once.color, other.color)
    np.testing.assert_array_equal(again.name, other.name)
    assert {nyu40 for _, nyu40 in once.names} & set(WORDS)


def test_average_precision_is_one_for_a_perfect_ranking_and_the_share_for_a_random_one() -> None:
    wanted = np.arange(1000) < 100
    assert average_precision(-np.arange(1000.0), wanted) == 1.0
    rng = np.random.default_rng(0)
    chance = [average_precision(rng.random(1000), wanted) for _ in range(50)]
    assert np.mean(chance) == pytest.approx(0.1, abs=0.02)


@pytest.mark.parametrize("command", ["train", "scores", "readings"])
def test_its_commands_are_listed_and_explained(command: str) -> None:
    listed = CliRunner().invoke(main, ["demo-clip", "--help"])
    assert re.search(rf"^  {command} +\S", listed.stdout, re.M)
    helped = CliRunner().invoke(main, ["demo-clip", command, "--help"])
    assert helped.exit_code == 0
    assert "--cache" in helped.stdout


def test_without_furniture_one_sentence_says_how_to_get_it(tmp_path: Path) -> None:
    options = ["--cache", str(tmp_path / "cache"), "--furniture", str(tmp_path / "none")]
    done = CliRunner().invoke(main, ["demo-clip", "scores", *options])
    assert done.exit_code == 1
    assert done.stderr.count("\n") == 1
    assert "sweethome3d-furniture" in done.stderr
