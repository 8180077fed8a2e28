"""No dense label of a training scan can reach a weakly supervised network."""

import ast
import inspect
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from model.training import losses
from model.training.fit_adapter import write_adapter
from model.training.refine import write_refined_labels
from model.training.self_training import write_round_labels
from model.training.variants import VARIANTS
from model.training.weakly_supervised import train_weakly_supervised
from pipeline.facts import in_rounds
from pipeline.plan import graph
from tests.helpers.tiny_entries import (
    tiny_params,
    train_tiny,
    train_with,
    write_labels,
    write_room,
    write_text,
)
from tests.helpers.tiny_rounds import train_round

ROOT = Path(__file__).parent.parent


@pytest.mark.skipif(torch.cuda.is_available(), reason="exact on a CPU only")
@pytest.mark.parametrize("variant", list(VARIANTS))
def test_scrambled_dense_labels_change_no_bit_of_a_weak_network(
    variant: str, tmp_path: Path
) -> None:
    text = write_text(tmp_path)
    rooms = [write_room(tmp_path, f"room{n}", n) for n in range(2)]
    recipe = tiny_params(4) | {
        "labels": {"source": "adapter"},
        "loss": dict.fromkeys(losses.known_terms(), 1.0) | {"balance": True},
    }
    before = train_with(recipe, variant, rooms, text, tmp_path / "before").read_bytes()
    before_supervised = train_tiny(
        "supervised", rooms, text, tmp_path / "before_supervised"
    ).read_bytes()
    rng = np.random.default_rng(0)
    for room in rooms:
        write_labels(room, rng.permutation(room.labelled.ground_truth()[0]))
    assert train_with(recipe, variant, rooms, text, tmp_path / "after").read_bytes() == before
    assert (
        train_tiny("supervised", rooms, text, tmp_path / "after_supervised").read_bytes()
        != before_supervised
    )


@pytest.mark.skipif(torch.cuda.is_available(), reason="exact on a CPU only")
def test_scrambled_dense_labels_change_no_bit_of_the_weights_that_scene_tags_choose(
    tmp_path: Path,
) -> None:
    chosen = {"held_out": 0.5, "every": 2, "rule": "tags"}
    given, text = tiny_params(5) | {"selection": chosen}, write_text(tmp_path)
    rooms = [write_room(tmp_path, f"room{n}", n) for n in range(3)]
    before = train_with(given, "esgs", rooms, text, tmp_path / "before").read_bytes()
    for room in rooms:
        write_labels(room, np.zeros_like(room.labelled.ground_truth()[0]))
    assert train_with(given, "esgs", rooms, text, tmp_path / "after").read_bytes() == before


def test_scrambled_dense_labels_change_no_bit_of_a_round_of_self_training(tmp_path: Path) -> None:
    text = write_text(tmp_path)
    rooms = [write_room(tmp_path, f"room{n}", n) for n in range(2)]
    recipe = tiny_params(3) | {"labels": {"source": "adapter"}, "loss": {"text": 1.0}}
    made = []
    for name in ("before", "after"):
        first = train_with(recipe, "ess_esgs", rooms, text, tmp_path / name)
        made.append(train_round(recipe, rooms, text, first, tmp_path / f"{name}1").read_bytes())
        for room in rooms:
            write_labels(room, np.zeros_like(room.labelled.ground_truth()[0]))
    assert made[0] == made[1]


def source(name: str) -> Path | None:
    """The file of a module or package of this project, None if there is none."""
    base = ROOT / name.replace(".", os.sep)
    files = (base.with_suffix(".py"), base / "__init__.py")
    return next((file for file in files if file.exists()), None)


def imported(name: str, seen: set[str]) -> set[str]:
    """The modules of this project that a module imports, directly or not, and itself."""
    seen.add(name)
    file = source(name)
    assert file, name
    for node in ast.walk(ast.parse(file.read_text())):
        found = []
        if isinstance(node, ast.ImportFrom) and node.module:
            found = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        for other in found:
            if other not in seen and source(other):
                imported(other, seen)
    return seen


def test_weak_training_has_no_way_to_a_dense_label() -> None:
    of_rounds = [*in_rounds("relabel"), *in_rounds("retrain")]
    for stage in ("train", "adapter", "refined_labels", *of_rounds):
        assert "labels" not in graph.stage(stage).reads
    writers = (write_adapter, write_refined_labels, write_round_labels)
    for function in (train_weakly_supervised, *writers):
        assert "labels" not in inspect.signature(function).parameters
    reached: set[str] = set()
    for module in ("weakly_supervised", "fit_adapter", "refine", "self_training"):
        imported(f"model.training.{module}", reached)
    imported("model.inference.predict", reached)  # by it a network labels scans for the next round
    for term in losses.known_terms():  # loss terms are passed in, and not imported
        imported(f"{losses.__name__}.{term}", reached)
    assert {"model.data.entries", "model.training.loop", "model.training.selection"} <= reached
    assert not reached & {
        "model.data.labels",
        "model.training.fully_supervised",
        "model.scoring.counting",
        "model.scoring.evaluate",
    }
    assert "model.data.labels" in imported("model.training.fully_supervised", set())
