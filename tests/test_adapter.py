"""The adapter moves embeddings towards the text of their pseudo-labels, without dense labels."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from model.data.entries import ScanEntries
from model.data.features import read_features
from model.data.scans import split_scans
from model.network.adapter import PRESETS, Adapter, adapter_config
from model.training.fit_adapter import fit_adapter
from tests.helpers.tiny_entries import WIDTH, Room, text_embeddings, write_rooms


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> list[Room]:
    return write_rooms(tmp_path_factory.mktemp("rooms"), range(5))


def open_agreement(adapter: Adapter | None, rooms: list[Room]) -> float:
    """Share of voxels whose best class of all is their pseudo-label, one of the scene's classes."""
    text, hits = torch.from_numpy(text_embeddings()), []
    for room in rooms:
        scene = room.weak.read()
        x = read_features([scene.feature]).float()
        logits = x @ text.T if adapter is None else adapter.logits(x, text)
        hits.append(logits.argmax(1).numpy() == scene.label)
    return float(np.concatenate(hits).mean())


@pytest.mark.parametrize("preset", ["paper", "normalised"])
def test_fitting_moves_embeddings_towards_their_pseudo_labels(
    preset: str, rooms: list[Room]
) -> None:
    config = adapter_config({"preset": preset, "epochs": 40, "batch": 2})
    text = torch.from_numpy(text_embeddings())
    adapter, curves = fit_adapter(config, [r.weak for r in rooms], text, seed=0)
    assert len(curves["loss"]) == len(curves["agreement"]) == 40
    assert curves["loss"][-1] < 0.8 * curves["loss"][0]
    before = open_agreement(None, rooms)
    assert before < 0.8
    assert min(curves["agreement"][-1], open_agreement(adapter, rooms)) > before + 0.1


def test_a_fit_repeats_and_depends_on_the_seed(rooms: list[Room]) -> None:
    config = adapter_config({"preset": "normalised", "epochs": 2, "points": 200})
    text, scans = torch.from_numpy(text_embeddings()), [r.weak for r in rooms]
    first, again, other = (
        fit_adapter(config, scans, text, seed=seed)[0].state_dict() for seed in (0, 0, 1)
    )
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_the_paper_preset_is_the_released_form() -> None:
    adapter = Adapter(WIDTH, PRESETS["paper"])
    squeeze, widen = adapter.fc
    assert squeeze.weight.shape == (WIDTH // 4, WIDTH)
    assert squeeze.bias is None
    x, text = torch.randn(7, WIDTH), torch.from_numpy(text_embeddings())
    expected = 0.95 * (x @ squeeze.weight.T @ widen.weight.T + widen.bias) + 0.05 * x
    torch.testing.assert_close(adapter(x), expected)
    torch.testing.assert_close(adapter.logits(x, text), expected @ text.T)


def test_the_normalised_preset_starts_from_the_embeddings_themselves() -> None:
    adapter = Adapter(WIDTH, PRESETS["normalised"])
    x, text = torch.randn(7, WIDTH), torch.from_numpy(text_embeddings())
    cosine = F.normalize(x, dim=1) @ text.T
    torch.testing.assert_close(adapter.logits(x, text), cosine / 0.05)
    torch.testing.assert_close(adapter(3 * x), adapter(x))  # lengths do not count


def test_a_preset_can_be_changed_and_an_unknown_field_is_refused() -> None:
    assert adapter_config({"preset": "paper", "lr": 0.1}) == replace(PRESETS["paper"], lr=0.1)
    with pytest.raises(TypeError):
        adapter_config({"preset": "paper", "momentum": 1})


def test_the_entries_of_a_weak_scan_have_no_field_for_dense_labels() -> None:
    assert {f.name for f in fields(ScanEntries)} == {
        *("scan", "voxels", "targets", "pseudo_labels", "tags", "refined")
    }


@given(st.integers(1, 60), st.floats(0, 1), st.integers(0, 9))
def test_scans_are_fitted_on_or_held_out(scans: int, share: float, seed: int) -> None:
    fit_on, held_out = split_scans(scans, share, seed)
    assert sorted(fit_on + held_out) == list(range(scans))
    assert fit_on
    assert bool(held_out) == (share > 0 and scans > 1)
