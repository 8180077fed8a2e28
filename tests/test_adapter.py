"""The adapter brings embeddings to the text of their pseudo-labels, and no dense label to them."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from model.data.entries import ScanEntries
from model.network.adapter import PRESETS, Adapter, adapter_config
from model.training.fit_adapter import fit_adapter, split_scans
from model.training.loss import GuidanceLoss, LossConfig, class_weights, cosine_loss, label_loss
from tests.helpers.tiny_entries import CLASSES, WIDTH, Room, text_embeddings, write_rooms


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> list[Room]:
    return write_rooms(tmp_path_factory.mktemp("rooms"), range(5))


def open_agreement(adapter: Adapter | None, rooms: list[Room]) -> float:
    """Share of voxels whose best class among all is the pseudo-label of their scene's classes."""
    text, hits = torch.from_numpy(text_embeddings()), []
    for room in rooms:
        scene = room.weak.read()
        x = torch.from_numpy(scene.feature.astype(np.float32))
        logits = x @ text.T if adapter is None else adapter.logits(x, text)
        hits.append(logits.argmax(1).numpy() == scene.label)
    return float(np.concatenate(hits).mean())


@pytest.mark.parametrize("preset", ["paper", "normalised"])
def test_fitting_brings_embeddings_nearer_to_their_pseudo_labels(
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


def test_a_fit_is_the_same_again_and_another_with_another_seed(rooms: list[Room]) -> None:
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
    torch.testing.assert_close(adapter(3 * x), adapter(x))  # length tells nothing


def test_a_preset_can_be_changed_and_an_unknown_field_is_refused() -> None:
    assert adapter_config({"preset": "paper", "lr": 0.1}) == replace(PRESETS["paper"], lr=0.1)
    with pytest.raises(TypeError):
        adapter_config({"preset": "paper", "momentum": 1})


def test_the_entries_of_a_weak_scan_have_no_place_for_dense_labels() -> None:
    assert {f.name for f in fields(ScanEntries)} == {"scan", "voxels", "targets", "pseudo_labels"}


@given(st.integers(1, 60), st.floats(0, 1), st.integers(0, 9))
def test_scans_are_fitted_on_or_held_out(scans: int, share: float, seed: int) -> None:
    fit_on, held_out = split_scans(scans, share, seed)
    assert sorted(fit_on + held_out) == list(range(scans))
    assert fit_on
    assert bool(held_out) == (share > 0 and scans > 1)


@given(st.lists(st.integers(0, 10_000), min_size=2, max_size=20))
def test_class_weights_are_inverse_roots_with_mean_one(counts: list[int]) -> None:
    n, weight = np.array(counts), class_weights(np.array(counts)).double().numpy()
    assert ((weight == 0) == (n == 0)).all()
    if n.sum():
        assert (weight * n).sum() / n.sum() == pytest.approx(1, rel=1e-5)
        product = (weight * np.sqrt(n))[n > 0]
        np.testing.assert_allclose(product, product[0], rtol=1e-5)


def test_the_cosine_loss_knows_directions_only() -> None:
    a, b = torch.randn(50, 8), torch.randn(50, 8)
    assert cosine_loss(a, 5 * a).item() == pytest.approx(0, abs=1e-6)
    assert cosine_loss(a, -a).item() == pytest.approx(2, abs=1e-6)
    weight = torch.rand(50)
    each = torch.stack([cosine_loss(a[i : i + 1], b[i : i + 1]) for i in range(50)])
    torch.testing.assert_close(cosine_loss(a, b), each.mean())
    torch.testing.assert_close(cosine_loss(a, b, weight), (weight * each).sum() / weight.sum())


def test_ignored_labels_teach_nothing() -> None:
    logits, label = torch.randn(6, 3, requires_grad=True), torch.tensor([0, -1, 2, -1, 1, 1])
    kept = label >= 0
    torch.testing.assert_close(label_loss(logits, label), label_loss(logits[kept], label[kept]))
    nothing = label_loss(logits, torch.full((6,), -1))
    nothing.backward()
    assert nothing.item() == 0
    assert float(logits.grad.abs().sum()) == 0


def test_each_switch_of_the_guidance_changes_the_loss_as_it_says() -> None:
    text, counts = torch.from_numpy(text_embeddings()), np.array([900, 400, 100, 25, 0, 9])
    out, target = torch.randn(20, WIDTH), torch.randn(20, WIDTH)
    label = torch.tensor([0, 1, 2, 3, -1] * 4)
    plain = GuidanceLoss(LossConfig(), text, counts)(out, target, label)
    torch.testing.assert_close(plain, cosine_loss(out, target))

    balanced = GuidanceLoss(LossConfig(balance=True), text, counts)(out, target, label)
    weight = torch.cat([class_weights(counts), torch.ones(1)])[label]
    torch.testing.assert_close(balanced, cosine_loss(out, target, weight))

    texted = GuidanceLoss(LossConfig(text=0.3, temperature=0.1), text, counts)(out, target, label)
    logits = F.normalize(out, dim=1) @ text.T / 0.1
    torch.testing.assert_close(texted, plain + 0.3 * label_loss(logits, label))
    assert len(CLASSES) == text.shape[0]
