"""A loss computed in parts, from the network's last layer on, is the loss computed at once."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from model.data.dataset import Batch
from model.network.adapter import Adapter, adapter_config
from model.training import losses, rows
from model.training.losses import absent, cosine, pooled, presence, superpoint
from model.training.losses import text as text_term
from model.training.objective import Objective, loss_config
from model.training.rows import Lazy
from model.training.supervision import Supervision
from model.training.weakly_supervised import specialised
from tests.helpers.supervision import VOXELS, known, loss_of
from tests.helpers.tiny_entries import WIDTH, loss_terms

NARROW = 8  # numbers of a voxel before the last layer
ALL_TERMS = (absent, cosine, pooled, presence, superpoint, text_term)
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "balanced": {"class_weight": torch.tensor([0.5, 2.0, 1.0, 1.0, 1.0, 3.0])},
    "masked": {"mask_absent": True},
    "soft": {"probability": torch.full((VOXELS, 6), 1 / 6).half()},
    "alone": {"superpoint": None},
}
Found = tuple[torch.Tensor, torch.Tensor, torch.Tensor]  # value, gradients of rows and last layer

each_term = pytest.mark.parametrize("term", ALL_TERMS, ids=lambda t: t.__name__.split(".")[-1])


@contextmanager
def parts_of(voxels: int) -> Iterator[None]:
    """Parts of so many voxels."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "NUMBERS", voxels * WIDTH)
        yield


def last_layer(half: bool = False) -> tuple[torch.Tensor, nn.Linear, Lazy]:
    """Rows before the last layer, the layer, and what it makes of them, in fp16 if so asked."""
    torch.manual_seed(2)
    narrow, layer = torch.randn(VOXELS, NARROW), nn.Linear(NARROW, WIDTH)
    narrow = (narrow.half() if half else narrow).requires_grad_()

    def made(part: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", torch.float16, enabled=half):
            out = layer(part)
        assert out.dtype == part.dtype
        return out

    return narrow, layer, Lazy(narrow, made, WIDTH)


def found(term: ModuleType, facts: Supervision, half: bool = False, scale: float = 1.0) -> Found:
    """A term with its gradients, computed anew; those of a loss that is scaled are scaled back."""
    narrow, layer, embedding = last_layer(half)
    value = loss_of(term, embedding, replace(facts))
    (value * scale).backward()
    assert narrow.grad is not None
    assert layer.weight.grad is not None
    return value.detach(), narrow.grad.float() / scale, layer.weight.grad / scale


@each_term
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_value_and_gradients_are_those_of_one_part(
    term: ModuleType, options: dict[str, Any]
) -> None:
    facts = replace(known(8)[1], **options)
    facts = replace(facts, target=facts.target[:].half())
    with parts_of(VOXELS):
        whole = found(term, facts)
    with parts_of(7):
        first, again = found(term, facts), found(term, facts)
    torch.testing.assert_close(first, whole)
    assert all(map(torch.equal, first, again)), "two computations differ"
    assert whole[1].abs().max() > 0


@each_term
def test_in_fp16_with_a_scaled_loss_gradients_are_those_of_float32(term: ModuleType) -> None:
    """As on a GPU, with the precision that fp16 has."""
    facts = known(8)[1]
    with parts_of(VOXELS):
        wanted = found(term, facts)
    with parts_of(7):
        got = found(term, facts, half=True, scale=2.0**10)
    for a, b in zip(got, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=5e-3 * float(b.abs().max()))


def test_gradients_through_the_means_of_superpoints_are_those_of_autograd() -> None:
    _, facts = known(8, **OPTIONS["balanced"])
    narrow, layer, embedding = last_layer()
    group, size = facts.groups
    unit = F.normalize(embedding[:], dim=1)
    mean = torch.zeros(len(size), WIDTH).index_add(0, group, unit) / size[:, None]
    assert facts.voxel_weight is not None
    weight = facts.pooled(facts.voxel_weight[:, None])[:, 0]
    distance = 1 - F.cosine_similarity(mean, facts.pooled_target, dim=1)
    value = (weight * distance).sum() / weight.sum()
    wanted = (value.detach(), *torch.autograd.grad(value, [narrow, layer.weight]))
    for voxels in (VOXELS, 7):
        with parts_of(voxels):
            torch.testing.assert_close(found(superpoint, facts), wanted)


@each_term
def test_nothing_as_large_as_the_embeddings_is_kept(term: ModuleType) -> None:
    _, facts = known(8)
    narrow, layer, embedding = last_layer()
    facts.pooled_target  # noqa: B018  made once for all terms
    kept: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with parts_of(7), torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss_of(term, embedding, facts).backward()
    given = (narrow, *layer.parameters(), facts.target[:], facts.pooled_target, facts.text)
    for tensor in given:
        kept.pop(tensor.untyped_storage().data_ptr(), None)
    assert kept
    assert max(kept.values()) < VOXELS * WIDTH * 4


@each_term
def test_targets_specialised_part_by_part_are_those_specialised_at_once(term: ModuleType) -> None:
    """The first is done on a GPU, the second on a CPU."""
    torch.manual_seed(3)
    adapter = Adapter(WIDTH, adapter_config({"preset": "paper"})).eval().requires_grad_(False)
    _, facts = known(8)
    feature = facts.target[:].half()
    at_once = specialised(feature, adapter)
    assert isinstance(at_once, torch.Tensor)
    torch.testing.assert_close(at_once, adapter(feature))
    with parts_of(7):
        lazily = found(term, replace(facts, target=Lazy(feature, adapter, WIDTH)))
        torch.testing.assert_close(lazily, found(term, replace(facts, target=at_once)))


def test_all_terms_share_one_pass_over_the_embeddings() -> None:
    narrow, layer, _ = last_layer()
    _, facts = known(8)
    section = dict.fromkeys(losses.known_terms(), 1.0) | {"balance": False}
    objective = Objective(loss_config(section), loss_terms(section), facts.text, np.ones(6, int))
    assert facts.scan is not None
    assert facts.superpoint is not None
    assert facts.present is not None
    empty = torch.zeros(VOXELS, 0)
    batch = Batch(
        *(empty, empty, torch.arange(VOXELS), empty, facts.label, facts.scan, facts.superpoint),
        probability=empty,
        present=facts.present,
    )
    made: list[int] = []

    def make(part: torch.Tensor) -> torch.Tensor:
        made.append(len(part))
        return layer(part)

    with parts_of(7):
        terms = objective(Lazy(narrow, make, WIDTH), facts.target, batch)
        # The means of superpoints need all embeddings before their gradient is known.
        assert sum(made) == 3 * VOXELS
        made.clear()
        torch.stack([term.value for term in terms.values()]).sum().backward()
    assert sum(made) == 2 * VOXELS
    assert max(made) == 7
