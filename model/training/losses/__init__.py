"""The terms of the loss of weakly supervised training: one module each, named as in the config.

`loss: {text: 1.0}` gives the term of `text.py` the weight 1. The module of a term has

- `loss(predicted, supervision)`: a scalar tensor, from the embeddings of a batch's V voxels, a
  `model.training.predicted.Predicted`, and a `model.training.supervision.Supervision`;
- `OF_ROWS`, if it asks for one: the function of the embeddings that it asks `predicted` for, which
  is then computed in one pass with those of other terms;
- `over(supervision)`, unless it is a plain mean over the voxels: the sum of the weights of what the
  scalar is the mean over, a number or a scalar tensor. Where several GPUs have a part of a batch
  each, the parts count by it;
- `ESS_ONLY`: whether the term takes part only in variants with embeddings specialisation.

To add a term, add its file. Nothing here imports torch, so that a plan can ask which modules a
config chooses.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import BadInput

SETTINGS = ("balance", "mask_absent", "temperature")  # the keys of `loss` that are no terms
DEFAULTS = {"cosine": 1.0, "text": 1.0}  # weights of the terms that the config does not name


def known_terms() -> list[str]:
    """The names of all terms."""
    return sorted(p.stem for p in Path(__file__).parent.glob("*.py") if p.stem != "__init__")


def term_weights(loss: Mapping[str, Any]) -> dict[str, float]:
    """The weight of each term that takes part, by name, from the section `loss` of a config.

    Raises `BadInput` for a key that is no term, and if no term has a weight above 0.
    """
    chosen = DEFAULTS | {name: value for name, value in loss.items() if name not in SETTINGS}
    known = ", ".join(known_terms())
    for name in chosen:
        if name not in known_terms():
            what = f"there is no loss term {name!r}"
            raise BadInput("`loss:` in the config", what, f"name some of {known}")
    weights = {name: float(chosen[name]) for name in sorted(chosen) if chosen[name] > 0}
    if not weights:
        what = "no term has a weight above 0"
        raise BadInput("`loss:` in the config", what, f"give a weight to some of {known}")
    return weights


def module_names(loss: Mapping[str, Any]) -> dict[str, str]:
    """The module of each term that takes part, by the term's name. Raises as `term_weights`."""
    return {name: f"{__name__}.{name}" for name in term_weights(loss)}
