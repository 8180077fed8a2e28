"""The loss of weakly supervised training: each term by its formula, and their weighted sum."""

import subprocess
import sys
from types import ModuleType

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from model.training import losses
from model.training.cross_entropy import class_weights, cross_entropy
from model.training.losses import cosine
from model.training.objective import LossConfig, Objective, loss_config
from model.training.supervision import Supervision
from pipeline.errors import BadInput
from tests.helpers.tiny_entries import CLASSES, WIDTH, loss_terms, text_embeddings


def cosine_loss(
    embedding: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None = None
) -> torch.Tensor:
    """The term `cosine`, each voxel (V,) being of a class of its own `weight` (V,)."""
    label, text = torch.arange(len(target)), torch.eye(len(target))
    return cosine.loss(embedding, Supervision(target, label, text, 0.05, weight))


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

    def total(**section: float) -> torch.Tensor:
        objective = Objective(loss_config(section), loss_terms(section), text, counts)
        return objective(out, target, label)

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
    vars(term)["loss"] = lambda embedding, known: known.label.sum() + embedding.sum()
    config = LossConfig({"mine": 0.5})
    objective = Objective(config, {"mine": term}, torch.eye(3), np.ones(3, int))
    label = torch.tensor([2, -1])
    assert objective(torch.ones(2, 3), torch.ones(2, 3), label).item() == 0.5 * 7


def test_terms_are_found_by_their_files_and_only_those_with_a_weight_are_used() -> None:
    assert losses.known_terms() == ["cosine", "text"]
    assert losses.term_weights({}) == {"cosine": 1.0}
    assert losses.term_weights({"balance": True, "text": 0.5}) == {"cosine": 1.0, "text": 0.5}
    assert losses.module_names({"text": 1, "cosine": 0, "temperature": 0.1}) == {
        "text": "model.training.losses.text"
    }


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"txet": 1.0}, "there is no loss term 'txet'; name some of cosine, text."),
        ({"cosine": 0}, "no term has a weight above 0; give a weight to some of cosine, text."),
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
