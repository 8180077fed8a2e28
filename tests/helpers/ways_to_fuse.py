"""Ways to make one embedding of all views of a voxel, some of which the stages have."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.spatial import cKDTree

from model.inference.ensemble import TEMPERATURE
from pipeline.geometry.label_choice import softmax_of
from pipeline.geometry.votes import mean_over

Array = NDArray[np.float32]
NEAR = 0.2  # metres between voxels that are smoothed together


@dataclass(frozen=True)
class Views:
    """All views of the seen voxels of a room: P samples of n voxels."""

    sample: Array  # (P, d)
    weight: Array  # (P,)
    frame: NDArray[np.int64]  # (P,)
    row: NDArray[np.int64]  # (P,) of the voxel
    superpoint: NDArray[np.int32]  # (n,)
    xyz: Array  # (n, 3)
    normal: Array  # (n, 3)
    text: Array  # (K, d)
    present: NDArray[np.bool_]  # (K,) by the scene tags

    @cached_property
    def unit(self) -> Array:
        """Samples (P, d) of unit length."""
        return unit(self.sample)

    def mean(self, weight: Array, of: Array | None = None) -> Array:
        """The weighted mean (n, ...) of the samples of each voxel, or of other values (P, ...)."""
        values = self.sample if of is None else of
        count = len(self.superpoint)
        place = self.row, np.arange(len(weight))
        chosen = sparse.csr_matrix((weight, place), (count, len(weight)))
        total: Array = chosen @ values
        total /= np.maximum(np.bincount(self.row, weight, count), 1e-12)[:, None]
        return total

    def among(self, present: NDArray[np.bool_]) -> Array:
        """Class probabilities (P, K) of each sample."""
        return softmax_of(self.unit @ self.text.T / np.float32(TEMPERATURE), present)

    def best(self, score: Array, most: int) -> Array:
        """Weights (P,), 0 but for the `most` views of each voxel with the highest score (P,)."""
        order = np.lexsort((-score, self.row))
        start = np.flatnonzero(np.diff(self.row[order], prepend=-1))
        rank = np.arange(len(order)) - np.repeat(start, np.diff(start, append=len(order)))
        kept = np.zeros(len(order), np.float32)
        kept[order[rank < most]] = self.weight[order[rank < most]]
        return kept


def unit(rows: Array) -> Array:
    """Rows of unit length."""
    return rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-9)


def by_similarity(views: Views, power: int, passes: int = 1) -> Array:
    """The mean once more, with views that are like it counting for more."""
    found = views.mean(views.weight)
    for _ in range(passes):
        cosine = (views.unit * unit(found)[views.row]).sum(1)
        found = views.mean(views.weight * np.maximum(cosine, 0) ** power)
    return found


def geometric_median(views: Views, passes: int = 8) -> Array:
    """Of unit samples (Weiszfeld, 1937)."""
    found = unit(views.mean(views.weight, views.unit))
    for _ in range(passes):
        away = np.linalg.norm(views.unit - found[views.row], axis=1)
        found = views.mean(views.weight / np.maximum(away, 1e-3), views.unit)
    return found


def medoid(views: Views) -> Array:
    """The view that is most like all."""
    middle = views.mean(views.weight, views.unit)
    return views.mean(views.best((views.unit * middle[views.row]).sum(1), 1))


def confidence(views: Views, present: NDArray[np.bool_]) -> Array:
    """The probability (P,) of the best class of each view."""
    highest: Array = views.among(present).max(1)
    return highest


def certainty(views: Views) -> Array:
    """1 - the entropy (P,) of the class probabilities of each view, relative to its highest."""
    among = views.among(np.ones(len(views.text), np.bool_))
    sums: Array = 1 + (among * np.log(among + 1e-9)).sum(1) / np.float32(np.log(len(views.text)))
    return sums


def smoothed(views: Views, times: int, sharpness: float = 8) -> Array:
    """The mean, moved halfway to that of near voxels of like normals, some times."""
    found, count = views.mean(views.weight), len(views.xyz)
    one, other = cKDTree(views.xyz).query_pairs(NEAR, output_type="ndarray").T
    alike = np.abs((views.normal[one] * views.normal[other]).sum(1))
    near = sparse.csr_matrix((np.exp(sharpness * (alike - 1)), (one, other)), (count, count))
    near = (near + near.T).astype(np.float32)
    share = 1 / (near.sum(1).A1 + 1e-6)
    for _ in range(times):
        found = (found + (near @ found) * share[:, None]) / 2
    return found.astype(np.float32)


def to_superpoint(views: Views, share: float, found: Array) -> Array:
    """Moved by a share of the way to the mean of the superpoint: `targets: {segments: share}`."""
    return found + np.float32(share) * (mean_over(found, views.superpoint) - found)


EMBEDDINGS: dict[str, Callable[[Views], Array]] = {
    "mean by view weights (the default)": lambda v: v.mean(v.weight),
    "mean, all views alike": lambda v: v.mean(np.ones_like(v.weight)),
    "mean of unit vectors": lambda v: v.mean(v.weight, v.unit),
    "second pass, similarity^2": lambda v: by_similarity(v, 2),
    "second pass, similarity^8": lambda v: by_similarity(v, 8),
    "three passes, similarity^8": lambda v: by_similarity(v, 8, 3),
    "geometric median": geometric_median,
    "medoid": medoid,
    "the view of the highest weight": lambda v: v.mean(v.best(v.weight, 1)),
    "3 views of the highest weight": lambda v: v.mean(v.best(v.weight, 3)),
    "5 views of the highest weight": lambda v: v.mean(v.best(v.weight, 5)),
    "weights x confidence": lambda v: v.mean(v.weight * confidence(v, np.ones_like(v.present))),
    "weights x confidence among tags, squared": lambda v: v.mean(
        v.weight * confidence(v, v.present) ** 2
    ),
    "weights x (1 - entropy)": lambda v: v.mean(v.weight * certainty(v)),
    "smoothed 3 times, like normals": lambda v: smoothed(v, 3),
    "smoothed 10 times, like normals": lambda v: smoothed(v, 10),
    "targets.segments: 0.5": lambda v: to_superpoint(v, 0.5, v.mean(v.weight)),
    "targets.segments: 1": lambda v: to_superpoint(v, 1, v.mean(v.weight)),
    "geometric median, segments: 1": lambda v: to_superpoint(v, 1, geometric_median(v)),
}


def listed(views: Views, least: float) -> Array:
    """Mean probabilities (n, K), each frame read against the tags that it shows.

    Those whose probability reaches `least` for some voxel in the frame.
    """
    probability = views.among(views.present)
    highest = np.zeros((views.frame.max(initial=0) + 1, len(views.text)), np.float32)
    np.maximum.at(highest, views.frame, probability)
    kept = np.where(highest[views.frame] >= least, probability, 0)
    total = kept.sum(1, keepdims=True)
    return views.mean(
        views.weight, np.where(total > 0, kept / np.maximum(total, 1e-9), probability)
    )


PROBABILITIES: dict[str, Callable[[Views], Array]] = {
    "mean probability of the views": lambda v: v.mean(v.weight, v.among(v.present)),
    "the same, frame's list of classes from 0.2": lambda v: listed(v, 0.2),
    "the same, frame's list of classes from 0.4": lambda v: listed(v, 0.4),
    "the same, frame's list of classes from 0.8": lambda v: listed(v, 0.8),
}
