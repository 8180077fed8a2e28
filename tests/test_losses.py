"""The loss of weakly supervised training: each term by its formula, and their weighted sum."""

import subprocess
import sys
from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from model.data.dataset import Batch
from model.training import losses
from model.training.cross_entropy import class_weights, cross_entropy
from model.training.losses import absent, cosine, pooled, presence, superpoint
from model.training.losses import text as text_term
from model.training.objective import LossConfig, Objective, loss_config
from model.training.supervision import Supervision
from pipeline.errors import BadInput
from tests.helpers.supervision import SCANS, VOXELS, known, logits_of, loss_of
from tests.helpers.tiny_entries import CLASSES, WIDTH, loss_terms, text_embeddings

TERMS = "absent, cosine, pooled, presence, superpoint, text"


def batch_of(label: torch.Tensor) -> Batch:
    """A batch of one scan, of which nothing is known but labels and that all classes are in it."""
    count = len(label)
    empty = torch.zeros(count, 0)
    return Batch(
        *(empty, empty, torch.arange(count), empty, label),
        scan=torch.zeros(count, dtype=torch.int64),
        superpoint=torch.full((count,), -1),
        probability=empty,
        present=torch.ones(1, len(CLASSES), dtype=torch.bool),
    )


def cosine_loss(
    embedding: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None = None
) -> torch.Tensor:
    """The term `cosine`, each voxel (V,) being of a class of its own `weight` (V,)."""
    label, text = torch.arange(len(target)), torch.eye(len(target))
    return loss_of(cosine, embedding, Supervision(target, label, text, 0.05, weight))


@given(st.lists(st.integers(0, 10_000), min_size=2, max_size=20))
def test_class_weights_are_inverse_roots_with_mean_one(counts: list[int]) -> None:
    n, weight = np.array(counts), class_weights(np.array(counts)).double().numpy()
    assert ((weight == 0) == (n == 0)).all()
    if n.sum():
        assert (weight * n).sum() / n.sum() == pytest.approx(1, rel=1e-5)
        product = (weight * np.sqrt(n))[n > 0]
        np.testing.assert_allclose(product, product[0], rtol=1e-5)


def test_the_cosine_loss_depends_on_directions_only() -> None:
    a, b = torch.randn(50, 8), torch.randn(50, 8)
    assert cosine_loss(a, 5 * a).item() == pytest.approx(0, abs=1e-6)
    assert cosine_loss(a, -a).item() == pytest.approx(2, abs=1e-6)
    weight = torch.rand(50)
    each = torch.stack([cosine_loss(a[i : i + 1], b[i : i + 1]) for i in range(50)])
    torch.testing.assert_close(cosine_loss(a, b), each.mean())
    torch.testing.assert_close(cosine_loss(a, b, weight), (weight * each).sum() / weight.sum())


def test_ignored_labels_have_no_gradient() -> None:
    logits, label = torch.randn(6, 3, requires_grad=True), torch.tensor([0, -1, 2, -1, 1, 1])
    kept = label >= 0
    torch.testing.assert_close(
        cross_entropy(logits, label), cross_entropy(logits[kept], label[kept])
    )
    nothing = cross_entropy(logits, torch.full((6,), -1))
    nothing.backward()
    assert nothing.item() == 0
    assert logits.grad is not None
    assert float(logits.grad.abs().sum()) == 0


def test_each_key_of_the_section_changes_the_loss_as_it_says() -> None:
    text, counts = torch.from_numpy(text_embeddings()), np.array([900, 400, 100, 25, 0, 9])
    out, target = torch.randn(20, WIDTH), torch.randn(20, WIDTH)
    label = torch.tensor([0, 1, 2, 3, -1] * 4)

    def total(**changed: float) -> torch.Tensor:
        section = {"text": 0, "balance": False} | changed
        objective = Objective(loss_config(section), loss_terms(section), text, counts)
        terms = objective(out, target, batch_of(label))
        return torch.stack([term.value for term in terms.values()]).sum()

    plain = total()
    torch.testing.assert_close(plain, cosine_loss(out, target))
    torch.testing.assert_close(total(cosine=2.5), 2.5 * plain)

    balanced = total(balance=True)
    weight = torch.cat([class_weights(counts), torch.ones(1)])[label]
    torch.testing.assert_close(balanced, cosine_loss(out, target, weight))

    texted = total(text=0.3, temperature=0.1)
    logits = F.normalize(out, dim=1) @ text.T / 0.1
    torch.testing.assert_close(texted, plain + 0.3 * cross_entropy(logits, label))
    torch.testing.assert_close(total(text=0.3, temperature=0.1, cosine=0), texted - plain)
    assert len(CLASSES) == text.shape[0]


def test_a_term_is_any_module_with_a_loss() -> None:
    """Adding a term needs no edit: the modules in `parts` are weighted and summed."""
    term = ModuleType("mine")
    vars(term)["loss"] = lambda predicted, known: known.label.sum() + predicted.embedding[:].sum()
    config = LossConfig({"mine": 0.5})
    objective = Objective(config, {"mine": term}, torch.eye(3), np.ones(3, int))
    label = torch.tensor([2, -1])
    terms = objective(torch.ones(2, 3), torch.ones(2, 3), batch_of(label))
    assert {name: term.value.item() for name, term in terms.items()} == {"mine": 0.5 * 7}


def test_terms_are_found_by_their_files_and_only_those_with_a_weight_are_used() -> None:
    terms = ["absent", "cosine", "pooled", "presence", "superpoint", "text"]
    assert losses.known_terms() == terms
    assert losses.term_weights({}) == {"cosine": 1.0, "text": 1.0}
    assert losses.term_weights({"balance": True, "text": 0}) == {"cosine": 1.0}
    assert losses.module_names({"text": 1, "cosine": 0, "temperature": 0.1}) == {
        "text": "model.training.losses.text"
    }


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"txet": 1.0}, f"there is no loss term 'txet'; name some of {TERMS}."),
        (
            {"cosine": 0, "text": 0},
            f"no term has a weight above 0; give a weight to some of {TERMS}.",
        ),
    ],
)
def test_a_wrong_section_is_refused_with_the_known_terms(
    section: dict[str, float], said: str
) -> None:
    for read in (loss_config, losses.module_names):
        with pytest.raises(BadInput) as caught:
            read(section)
        assert str(caught.value) == f"`loss:` in the config: {said}"


def test_asking_for_the_modules_imports_no_torch() -> None:
    code = (
        "import sys; from model.training.losses import module_names as names; names({}); "
        "assert 'torch' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


# Terms that need superpoints or scene tags, each by its formula in loops over voxels


def parts_of(facts: Supervision) -> list[list[int]]:
    """The voxels of each superpoint; those without one are each alone."""
    assert facts.superpoint is not None
    own = facts.superpoint.tolist()
    alone = [[v] for v, name in enumerate(own) if name < 0]
    return alone + [[v for v, n in enumerate(own) if n == name] for name in sorted({*own} - {-1})]


def cosine_of(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(a @ b / (a.norm() * b.norm()))


@pytest.mark.parametrize("balanced", [False, True])
def test_terms_of_superpoints_follow_their_formulas(balanced: bool) -> None:
    weights = torch.tensor([0.5, 2.0, 1.0, 1.0, 1.0, 3.0]) if balanced else None
    out, facts = known(3, class_weight=weights)
    of_voxel = facts.voxel_weight
    weight = torch.ones(VOXELS) if of_voxel is None else of_voxel
    unit, predicted = F.normalize(facts.target[:], dim=1), F.normalize(out, dim=1)
    by_voxel, by_part, total = 0.0, 0.0, 0.0
    for part in parts_of(facts):
        mean = unit[part].mean(0)
        by_voxel += sum(float(weight[v]) * (1 - cosine_of(out[v], mean)) for v in part)
        own = float(weight[part].mean())
        by_part += own * (1 - cosine_of(predicted[part].mean(0), mean))
        total += own
    assert loss_of(pooled, out, facts).item() == pytest.approx(
        by_voxel / float(weight.sum()), rel=1e-4
    )
    assert loss_of(superpoint, out, facts).item() == pytest.approx(by_part / total, rel=1e-4)


def test_without_superpoints_the_pooled_terms_are_the_cosine_term() -> None:
    out, facts = known(4, superpoint=None)
    plain = loss_of(cosine, out, facts)
    torch.testing.assert_close(loss_of(pooled, out, facts), plain)
    torch.testing.assert_close(loss_of(superpoint, out, facts), plain)


def test_the_absent_term_is_the_log_probability_of_the_tags() -> None:
    out, facts = known(5)
    p = torch.softmax(F.normalize(out, dim=1) @ facts.text.T / 0.1, dim=1)
    each = -torch.log((p * facts.present_of_voxel).sum(1))
    torch.testing.assert_close(loss_of(absent, out, facts), each.mean())
    everything = torch.ones(SCANS, 6, dtype=torch.bool)
    assert loss_of(absent, out, replace(facts, present=everything)).item() == pytest.approx(
        0, abs=1e-6
    )
    nothing = loss_of(absent, out, replace(facts, present=~everything))
    assert nothing.item() == 0
    some = replace(facts, present=torch.stack([everything[0], ~everything[0]]))
    assert loss_of(absent, out, some).item() == pytest.approx(0, abs=1e-6)


def test_the_presence_term_is_a_multi_label_loss_of_mean_logits() -> None:
    out, facts = known(6)
    assert facts.present is not None
    total = 0.0
    for scan in range(SCANS):
        mean = (F.normalize(out, dim=1) @ facts.text.T / 0.1)[facts.scan == scan].mean(0)
        z = mean - mean.mean()
        signed = torch.where(facts.present[scan], z, -z)
        total += -F.logsigmoid(signed).mean().item()
    assert loss_of(presence, out, facts).item() == pytest.approx(total / SCANS, rel=1e-4)


def test_a_step_down_the_tag_terms_raises_the_probability_of_the_tags() -> None:
    for term in (absent, presence):
        out, facts = known(7)
        out.requires_grad_()
        loss_of(term, out, facts).backward()
        assert out.grad is not None
        moved = out.detach() - 0.5 * out.grad * VOXELS
        chance = [
            (torch.softmax(logits_of(each, facts), 1) * facts.present_of_voxel).sum(1).mean()
            for each in (out.detach(), moved)
        ]
        assert chance[1] > chance[0]


def test_masked_classes_do_not_compete_in_the_text_term() -> None:
    out, facts = known(8)
    masked = replace(facts, mask_absent=True)
    keep, labels = facts.label >= 0, facts.label
    logits = logits_of(out, facts).masked_fill(~facts.present_of_voxel, -torch.inf)[keep]
    among = facts.present_of_voxel[keep].gather(1, labels[keep][:, None])[:, 0]
    label = torch.where(keep, labels, -1)
    label[keep.nonzero().flatten()[~among]] = -1
    wanted = F.cross_entropy(logits[among], labels[keep][among])
    got = loss_of(text_term, out, replace(masked, label=label))
    torch.testing.assert_close(got, wanted)
    assert got < loss_of(text_term, out, replace(facts, label=label))


def test_soft_labels_of_one_class_are_hard_labels() -> None:
    weights = torch.tensor([0.5, 2.0, 1.0, 1.0, 1.0, 3.0])
    for class_weight in (None, weights):
        out, facts = known(9, class_weight=class_weight)
        hard = F.one_hot(facts.label.clamp_min(0), 6).half()
        soft = replace(facts, probability=hard)
        torch.testing.assert_close(loss_of(text_term, out, soft), loss_of(text_term, out, facts))
        mixed = replace(facts, probability=torch.full((VOXELS, 6), 1 / 6).half())
        assert loss_of(text_term, out, mixed) != loss_of(text_term, out, facts)
