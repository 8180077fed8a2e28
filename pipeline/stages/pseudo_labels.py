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

from pipeline.geometry.label_choice import LabelChoice, choose, softmax_of
from pipeline.grids.fused import FusedRows
from pipeline.stages.declaration import Stage
from pipeline.store import arrays

_ROWS = 8192  # features at a time: 25 MB at d = 768, whatever the size of the scan


@dataclass(frozen=True)
class Settings(LabelChoice):
    """The section `pseudo_labels` of the config."""

    temperature: float = 0.05  # of the softmax that gives the probabilities
    normalise: bool = True  # scale features to unit length, so that logits are cosines


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
        present, feature = np.asarray(tags["present"]), FusedRows(targets)
        count = feature.shape[0]
        best = np.empty(count, np.int16)
        probability = np.empty((count, len(classes)), np.float32)
        for begin in range(0, count, block_rows):
            rows = slice(begin, begin + block_rows)
            cosines = similarity(feature[rows], classes, settings.normalise)
            best[rows] = cosines.argmax(axis=1)
            probability[rows] = softmax_of(cosines / np.float32(settings.temperature), present)
        superpoint = np.asarray(voxels["voxel_segment"])[np.asarray(targets["voxel"])]
        chosen = choose(probability, superpoint, settings)
        arrays.write(out, "open", best)
        arrays.write(out, "label", chosen.label)
        arrays.write(out, "confidence", chosen.confidence)
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
