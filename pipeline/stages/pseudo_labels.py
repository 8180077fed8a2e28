"""Stage pseudo_labels: fused embeddings compared with text embeddings, within the scene's tags.

Xu et al., "3D Weakly Supervised Semantic Segmentation with 2D Vision-Language Guidance", ECCV 2024,
section 3: a class that is not among the scene tags cannot be the label of a point.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from pipeline.geometry.votes import majority
from pipeline.stages.declaration import Stage
from pipeline.store import arrays

_ROWS = 8192  # features at a time: 25 MB at d = 768, whatever the size of the scan


@dataclass(frozen=True)
class Settings:
    """The section `pseudo_labels` of the config."""

    temperature: float  # of the softmax for the confidence
    normalise: bool = True  # scale features to unit length, so that logits are cosines
    keep_share: float = 1.0  # of each class's voxels, the most confident; the others are ignored
    superpoint_vote: bool = False  # one label per superpoint of the scan


class PseudoLabelsStage(Stage):
    """The best class of each fused embedding among those that the scene tags name."""

    reads = ("targets", "text", "tags", "voxels")
    packages = ("numpy",)
    minutes = 10


class Worker:
    """Labels the seen voxels of one scan per call."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        self.settings = Settings(**params)

    def __call__(
        self,
        out: zarr.Group,
        targets: zarr.Group,
        text: zarr.Group,
        tags: zarr.Group,
        voxels: zarr.Group,
        block_rows: int = _ROWS,
    ) -> None:
        """Write `open` and `label` i16 (V,) and `confidence` f16 (V,), all by `targets`' voxels.

        `open` is the best of all classes, `label` the best of the scene's (-1: ignored) and
        `confidence` the probability of `label` among the scene's classes, 0 where it is -1.
        Features are read in blocks of `block_rows`.
        """
        settings, classes = self.settings, np.asarray(text["embedding"])
        present, feature = np.asarray(tags["present"]), targets["feature"]
        assert isinstance(feature, zarr.Array)
        count = feature.shape[0]
        blocks = [slice(begin, begin + block_rows) for begin in range(0, count, block_rows)]

        def logits(rows: slice) -> NDArray[np.float32]:
            cosines = similarity(np.asarray(feature[rows]), classes, settings.normalise)
            return cosines / np.float32(settings.temperature)

        best, label = np.empty(count, np.int16), np.empty(count, np.int16)
        for rows in blocks:
            scores = logits(rows)
            best[rows] = scores.argmax(axis=1)
            label[rows] = best_present(scores, present)
        if settings.superpoint_vote:
            superpoint = np.asarray(voxels["voxel_segment"])[np.asarray(targets["voxel"])]
            label = vote(label, superpoint)
        confidence = np.zeros(count, np.float16)
        for rows in blocks:
            confidence[rows] = probability(logits(rows), label[rows], present)
        label = keep_confident(label, confidence, settings.keep_share)
        confidence[label < 0] = 0
        arrays.write(out, "open", best)
        arrays.write(out, "label", label)
        arrays.write(out, "confidence", confidence)
        out.attrs["temperature"] = settings.temperature


def similarity(
    feature: NDArray[np.floating], text: NDArray[np.float32], normalise: bool
) -> NDArray[np.float32]:
    """Dot products (V, K) of features (V, d) and texts (K, d); cosines if `normalise`."""
    rows = feature.astype(np.float32)
    if normalise:
        length = np.linalg.norm(rows, axis=1, keepdims=True)
        rows /= np.maximum(length, np.finfo(np.float32).tiny)
    return rows @ text.T


def best_present(logits: NDArray[np.float32], present: NDArray[np.bool_]) -> NDArray[np.int16]:
    """The best class (V,) among the present ones (K,); -1 if none is."""
    if not present.any():
        return np.full(len(logits), -1, np.int16)
    return np.where(present, logits, -np.inf).argmax(axis=1).astype(np.int16)


def probability(
    logits: NDArray[np.float32], label: NDArray[np.int16], present: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """The softmax probability (V,) of `label` (V,) among the present classes; 0 where it is -1."""
    if not present.any():
        return np.zeros(len(logits), np.float32)
    among = np.where(present, logits, -np.inf)
    weight = np.exp(among - among.max(axis=1, keepdims=True))
    own = np.take_along_axis(weight, np.maximum(label, 0)[:, None].astype(np.intp), axis=1)[:, 0]
    return np.where(label >= 0, own / weight.sum(axis=1), 0)


def vote(label: NDArray[np.int16], superpoint: NDArray[np.int32]) -> NDArray[np.int16]:
    """The most frequent label (V,) of each superpoint, the lowest in a tie.

    Voxels without a superpoint (-1) or without a label (-1) keep their label. Liu et al., "One
    Thing One Click", CVPR 2021, for labels within super-voxels.
    """
    voted = label.copy()
    voters = np.flatnonzero((superpoint >= 0) & (label >= 0))
    names, of_voter = np.unique(superpoint[voters], return_inverse=True)
    voted[voters] = majority(label[voters], of_voter, len(names))[of_voter]
    return voted


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
