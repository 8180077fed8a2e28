"""Pseudo-labels chosen from class probabilities: superpoints agree, the most confident stay.

Selection for each class and propagation within superpoints, in either order, are those of DBGroup
(AAAI 2026); the vote is that of Liu et al., "One Thing One Click" (CVPR 2021).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.geometry.votes import majority, mean_over


@dataclass(frozen=True)
class LabelChoice:
    """How labels are chosen from probabilities."""

    superpoints: Literal["none", "vote", "mean"] = "none"
    keep_share: float = 1.0  # of each class's voxels, the most confident; the others are ignored
    # keep_then_vote spreads the labels that are kept over their superpoints
    order: Literal["vote_then_keep", "keep_then_vote"] = "vote_then_keep"
    lenient: bool = False  # keep_then_vote: ignored voxels do not vote for "ignored"


@dataclass(frozen=True)
class Chosen:
    """The labels of V voxels."""

    label: NDArray[np.int16]  # (V,), -1 = ignored
    confidence: NDArray[np.float16]  # (V,) the probability of `label`, 0 where it is -1
    probability: NDArray[np.float32]  # (V, K), means over superpoints with `superpoints: mean`


def choose(
    probability: NDArray[np.float32], superpoint: NDArray[np.integer], how: LabelChoice
) -> Chosen:
    """Labels from probabilities (V, K) and the superpoint (V,) of each voxel, -1 where it has none.

    `mean` averages the probabilities of a superpoint before its class is chosen; `vote` gives its
    voxels their most frequent label. A voxel whose probabilities are all 0 is ignored.
    """
    if how.superpoints == "mean":
        probability = mean_over(probability, superpoint)
    label = probability.argmax(axis=1).astype(np.int16)
    label[probability.max(axis=1, initial=0) <= 0] = -1
    keep_first = how.order == "keep_then_vote" and how.superpoints == "vote"
    if keep_first:
        label = keep_confident(label, _of(label, probability), how.keep_share)
        label = spread(label, superpoint, how.lenient)
    elif how.superpoints == "vote":
        label = vote(label, superpoint)
    confidence = _of(label, probability)
    if not keep_first:
        label = keep_confident(label, confidence, how.keep_share)
    confidence[label < 0] = 0
    return Chosen(label, confidence, probability)


def _of(label: NDArray[np.int16], probability: NDArray[np.float32]) -> NDArray[np.float16]:
    """The probability (V,) of each voxel's label; 0 where that is -1."""
    own = np.take_along_axis(probability, np.maximum(label, 0)[:, None].astype(np.intp), axis=1)
    return np.where(label >= 0, own[:, 0], 0).astype(np.float16)


def softmax_of(logits: NDArray[np.float32], present: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Softmax (V, K) among the classes that are present (K,); 0 for the others, and if none is."""
    if not present.any():
        return np.zeros_like(logits)
    among = np.where(present, logits, -np.inf)
    weight = np.exp(among - among.max(axis=1, keepdims=True))
    return weight / weight.sum(axis=1, keepdims=True)


def vote(label: NDArray[np.int16], superpoint: NDArray[np.integer]) -> NDArray[np.int16]:
    """The most frequent label (V,) of each superpoint, the lowest in a tie.

    Voxels without a superpoint (-1) or without a label (-1) keep their label.
    """
    voted = label.copy()
    voters = np.flatnonzero((superpoint >= 0) & (label >= 0))
    names, of_voter = np.unique(superpoint[voters], return_inverse=True)
    voted[voters] = majority(label[voters], of_voter, len(names))[of_voter]
    return voted


def spread(
    label: NDArray[np.int16], superpoint: NDArray[np.integer], lenient: bool
) -> NDArray[np.int16]:
    """The label (V,) of each superpoint by the votes of all of its voxels, for all of them.

    Ignored voxels (-1) vote for "ignored", which wins ties, unless `lenient`: then they do not
    vote. Voxels without a superpoint (-1) keep their label.
    """
    inside = np.flatnonzero(superpoint >= 0)
    names, of_voxel = np.unique(superpoint[inside], return_inverse=True)
    ballot = label[inside].astype(np.int64)
    won = majority(ballot if lenient else ballot + 1, of_voxel, len(names))
    given = label.copy()
    given[inside] = (won if lenient else won - 1)[of_voxel]
    return given


def keep_confident(
    label: NDArray[np.int16], confidence: NDArray[np.floating], share: float
) -> NDArray[np.int16]:
    """Labels (V,) of the most confident `share` of each class, rounded up; -1 for the others.

    Per class, because one threshold for all would keep only the easy classes.
    """
    kept = np.full_like(label, -1)
    for name in np.unique(label[label >= 0]):
        members = np.flatnonzero(label == name)
        order = members[np.argsort(-confidence[members].astype(np.float32), kind="stable")]
        best = order[: int(np.ceil(share * len(members)))]
        kept[best] = name
    return kept
