"""Training learns, resumes after a kill, and repeats bit for bit."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import model.training.loop
from model.data.entries import read_labels
from model.network import files
from model.reports.lines import scores
from model.scoring.evaluate import evaluate_network
from model.training.loop import OptimiserConfig
from model.training.weakly_supervised import train_weakly_supervised
from pipeline.errors import BadInput
from pipeline.store import arrays, groups
from tests.helpers.tiny_entries import (
    CLASSES,
    PLAIN_ADAM,
    Room,
    loss_terms,
    tiny_params,
    train_tiny,
    train_with,
    write_rooms,
    write_text,
)

# On a GPU sums have no fixed order, so bits cannot be compared there.
exact = pytest.mark.skipif(torch.cuda.is_available(), reason="exact on a CPU only")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rooms")


@pytest.fixture(scope="module")
def rooms(folder: Path) -> list[Room]:
    return write_rooms(folder, range(4))


@pytest.fixture(scope="module")
def held_out(folder: Path) -> list[Room]:
    return write_rooms(folder, range(100, 102))


@pytest.fixture(scope="module")
def text(folder: Path) -> Path:
    return write_text(folder)


def losses(path: Path) -> list[float]:
    return json.loads(files.read(path)[1]["curves"])["network"]["loss"]


@pytest.mark.parametrize("variant", ["esgs", "ess_esgs", "supervised"])
def test_a_network_learns_the_rooms_and_generalises_to_new_ones(
    variant: str, rooms: list[Room], held_out: list[Room], text: Path, tmp_path: Path
) -> None:
    if variant == "esgs":  # it keeps the bias of embeddings towards a class that no room has
        rooms = write_rooms(tmp_path, range(4), leaning=0)
    path = train_tiny(variant, rooms, text, tmp_path / variant, steps=50)
    curve = losses(path)
    assert len(curve) == 50
    assert np.mean(curve[-5:]) < 0.6 * np.mean(curve[:3])
    scored = evaluate_network(path, [room.labelled for room in held_out], "held-out")
    found = scores(scored)["points"]["scannet_official"]
    assert found["OA"] > 0.65  # always the most frequent class: 0.34
    assert found["mIoU"] > 0.3
    assert scored["row"] == variant


class KilledError(Exception):
    pass


@exact
@pytest.mark.parametrize("variant", ["ess_esgs", "supervised"])
@pytest.mark.parametrize("killed_at", [1, 5])
def test_a_killed_run_ends_in_the_same_bytes(
    variant: str,
    killed_at: int,
    rooms: list[Room],
    text: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = train_tiny(variant, rooms, text, tmp_path / "whole", steps=7)
    steps_done = count_steps(monkeypatch, killed_at)
    with pytest.raises(KilledError):
        train_tiny(variant, rooms, text, tmp_path / "killed", steps=7, checkpoint_every=2)
    assert not (tmp_path / "killed.safetensors").exists()
    monkeypatch.undo()
    steps_done = count_steps(monkeypatch, None)
    again = train_tiny(variant, rooms, text, tmp_path / "killed", steps=7, checkpoint_every=2)
    assert steps_done() == 7 - killed_at // 2 * 2  # it resumed from the checkpoint
    assert len(losses(whole)) == 7
    assert losses(again) == losses(whole)
    assert again.read_bytes() == whole.read_bytes()


def count_steps(monkeypatch: pytest.MonkeyPatch, killed_at: int | None) -> Callable[[], int]:
    """Count the steps of training, and raise `KilledError` in one of them."""
    done: list[int] = []
    rate = OptimiserConfig.rate

    def counted(self: OptimiserConfig, step: int) -> float:
        if len(done) == killed_at:
            raise KilledError
        done.append(step)
        return rate(self, step)

    monkeypatch.setattr(OptimiserConfig, "rate", counted)
    return lambda: len(done)


@exact
def test_a_network_depends_on_the_seed_and_the_scans_only(
    rooms: list[Room], text: Path, tmp_path: Path
) -> None:
    first = train_tiny("esgs", rooms, text, tmp_path / "a").read_bytes()
    torch.set_num_threads(2)
    try:
        assert train_tiny("esgs", rooms[::-1], text, tmp_path / "b").read_bytes() == first
    finally:
        torch.set_num_threads(1)
    assert train_tiny("esgs", rooms, text, tmp_path / "c", seed=1).read_bytes() != first
    assert train_tiny("esgs", rooms[:3], text, tmp_path / "d").read_bytes() != first


@exact
def test_the_scratch_folder_of_another_run_is_not_resumed(
    rooms: list[Room], text: Path, tmp_path: Path
) -> None:
    train_tiny("ess_esgs", rooms, text, tmp_path / "a", checkpoint_every=2)
    assert (tmp_path / "a.scratch" / "checkpoint.safetensors").exists()
    other = train_tiny("ess_esgs", rooms, text, tmp_path / "a", seed=1, checkpoint_every=2)
    fresh = train_tiny("ess_esgs", rooms, text, tmp_path / "b", seed=1)
    assert other.read_bytes() == fresh.read_bytes()


def test_the_metadata_of_a_network_describe_it(
    rooms: list[Room], text: Path, tmp_path: Path
) -> None:
    tensors, metadata = files.read(train_tiny("ess_esgs", rooms, text, tmp_path / "a", seed=7))
    assert json.loads(metadata["classes"]) == CLASSES
    assert json.loads(metadata["config"])["optimiser"]["steps"] == 4
    assert (metadata["variant"], metadata["seed"]) == ("ess_esgs", "7")
    assert "no label took part" in metadata["selection"]
    agreement = json.loads(metadata["curves"])["adapter"]["agreement"]
    assert len(agreement) == 20
    assert agreement[-1] > agreement[0]
    assert {name.partition(".")[0] for name in tensors} == {"network", "text_embeddings"}


def test_the_text_term_changes_specialised_networks_only(
    rooms: list[Room], text: Path, tmp_path: Path
) -> None:
    for variant in ("esgs", "ess_esgs"):
        networks = []
        for weight in (0.0, 1.0):
            settings = {**tiny_params(2), "loss": {"balance": True, "text": weight}}
            out = train_with(settings, variant, rooms, text, tmp_path / f"{variant}-{weight:g}")
            networks.append(files.read(out)[0]["network.head.weight"])
        assert torch.equal(*networks) == (variant == "esgs")


def test_a_variant_without_a_loss_term_is_refused(
    rooms: list[Room], text: Path, tmp_path: Path
) -> None:
    settings = {**tiny_params(1), "loss": {"balance": True, "cosine": 0, "text": 1.0}}
    with pytest.raises(BadInput, match="leaves `esgs` without a loss, since text is for ESS"):
        train_with(settings, "esgs", rooms, text, tmp_path / "esgs")
    train_with(settings, "ess_esgs", rooms, text, tmp_path / "ess")


@pytest.mark.parametrize("variant", ["esgs", "ess_esgs"])
def test_the_published_variants_are_the_paper_whatever_the_recipe(
    variant: str, rooms: list[Room], text: Path, tmp_path: Path
) -> None:
    budget = {"steps": 2, "batch": 2}
    adapter = {"batch": 2, "epochs": 3}
    published = tiny_params(2) | {
        "optimiser": PLAIN_ADAM | budget | {"lr": 1e-3},
        "adapter": adapter | {"preset": "paper"},
        "loss": {"cosine": 1, "text": 0, "balance": False},
        "inputs": ["color"],
    }
    recipe = tiny_params(2) | {
        "optimiser": budget | {"name": "adamw", "lr": 0.1, "warm_up": 0.5, "clip": 1.0},
        "adapter": adapter | {"preset": "normalised"},
        "loss": {"balance": True, "text": 2.0, "absent": 1.0, "cosine": 0},
        "inputs": ["height", "normal"],
        "labels": {"source": "adapter", "soft": True},
        "network": tiny_params(2)["network"] | {"head": [16]},
    }
    one, _ = files.read(train_with(published, variant, rooms, text, tmp_path / "a"))
    other, _ = files.read(train_with(recipe, f"paper_{variant}", rooms, text, tmp_path / "b"))
    assert all(torch.equal(one[name], other[name]) for name in one.keys() | other.keys())


@pytest.mark.parametrize("soft", [False, True])
def test_the_text_term_learns_refined_labels(
    soft: bool, rooms: list[Room], text: Path, tmp_path: Path
) -> None:
    learnt = {}
    for share in (1.0, 0.3):
        labels = {"source": "adapter", "keep_share": share, "soft": soft}
        settings = tiny_params(2) | {"labels": labels, "loss": {"text": 1.0}}
        out = tmp_path / f"{share}"
        learnt[share] = files.read(train_with(settings, "ess_esgs", rooms, text, out))[0]
        scan = rooms[0].weak
        made = read_labels(out.with_suffix(".labels.safetensors"), scan.scan)
        assert made.probability.shape == (len(made.label), len(CLASSES) if soft else 0)
        assert set(made.label.tolist()) <= {-1, *np.flatnonzero(scan.present()).tolist()}
        kept = (made.label >= 0).mean()
        assert share <= kept <= share + 0.05
    assert any(not torch.equal(learnt[1.0][name], learnt[0.3][name]) for name in learnt[1.0])


def test_learning_rates_fall_to_zero() -> None:
    for schedule in ("poly", "cosine"):
        config = OptimiserConfig(steps=50, lr=0.1, schedule=schedule, warm_up=0)
        rates = [config.rate(step) for step in range(51)]
        assert rates[0] == pytest.approx(0.1)
        assert rates == sorted(rates, reverse=True)
        assert rates[50] == pytest.approx(0)
    poly = OptimiserConfig(steps=50, lr=0.1, schedule="poly", warm_up=0)
    assert poly.rate(25) == pytest.approx(0.1 * 0.5**0.9)


@pytest.mark.parametrize("schedule", ["poly", "cosine"])
@pytest.mark.parametrize(("share", "rising"), [(0.0, 0), (0.1, 5), (0.99, 49)])
def test_a_warm_up_rises_to_the_full_rate_and_the_rest_falls_from_it(
    schedule: str, share: float, rising: int
) -> None:
    config = OptimiserConfig(steps=50, lr=0.1, schedule=schedule, warm_up=share)
    rates = [config.rate(step) for step in range(51)]
    expected = [0.1 * (step + 1) / (rising + 1) for step in range(rising)]
    assert rates[:rising] == pytest.approx(expected)
    rest = OptimiserConfig(steps=50 - rising, lr=0.1, schedule=schedule, warm_up=0)
    assert rates[rising:] == pytest.approx([rest.rate(step) for step in range(51 - rising)])


def test_wrong_input_is_refused(rooms: list[Room], text: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'supervised' is none of"):
        train_weakly_supervised(
            tiny_params(1),
            *("supervised", 0, [rooms[0].weak], text, tmp_path / "a", tmp_path),
            parts=loss_terms({}),
        )
    with pytest.raises(ValueError, match="no scan"):
        train_tiny("esgs", [], text, tmp_path / "a")
    narrow = tmp_path / "narrow.zarr.zip"
    with groups.create(narrow, {"classes": CLASSES}) as out:
        arrays.write(out, "embedding", np.eye(len(CLASSES), 8, dtype=np.float32))
    with pytest.raises(BadInput, match="width 8 for targets of width 24"):
        train_tiny("esgs", rooms, narrow, tmp_path / "a")


def test_a_loss_that_is_not_finite_stops_training(
    rooms: list[Room], text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        model.training.loop.OptimiserConfig, "rate", lambda self, step: float("inf")
    )
    with pytest.raises(FloatingPointError, match="lower the rate"):
        train_tiny("supervised", rooms, text, tmp_path / "a")
