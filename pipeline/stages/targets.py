"""Stage targets: the embeddings of all frames, fused to one for each voxel that a frame sees.

A voxel's feature is the mean, weighted by view, of the patch grids read bilinearly where the voxel
projects (Xu et al., ECCV 2024, section 3.1, and Peng et al., "OpenScene", CVPR 2023, section 3.1,
with equal weights). It is not normalised: its length says how far the views agree.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from types import ModuleType
from typing import Any, cast

import numpy as np
import zarr
from numpy.typing import NDArray
from scipy import sparse

from pipeline.facts import Facts
from pipeline.geometry.fusion import WEIGHT_BYTES, Samples, accumulate
from pipeline.grids.reading import Grids
from pipeline.stages.declaration import Stage
from pipeline.stages.parts import part_names
from pipeline.store import arrays

Span = tuple[int, int]  # frames, from and to


@dataclass(frozen=True)
class Pairs:
    """What some frames see, frame by frame and by increasing voxel within a frame."""

    frame: NDArray[np.int64]  # (P,)
    voxel: NDArray[np.int64]  # (P,)
    uv: NDArray[np.float32]  # (P, 2) pixels of the colour image
    weight: NDArray[np.float32]  # (P,)


@dataclass(frozen=True)
class Blocks:
    """How much is in memory at a time; none of it changes the result."""

    rows: int = 4096  # features in a chunk
    total_bytes: int = 64 << 20  # of float32 sums
    grid_bytes: int = 64 << 20  # of float32 grids
    pairs: int = 1 << 21  # of a frame and a voxel
    weight_bytes: int = WEIGHT_BYTES  # of the matrices that fuse them


class TargetsStage(Stage):
    """The fused 2D embedding of each voxel that a frame sees."""

    reads = ("embeddings", "projections", "voxels")
    packages = ("numpy", "scipy")
    memory_mb = 4000
    time_grows_with = ("frames",)

    def upstream(self, facts: Facts) -> tuple[str, ...]:
        """Voxels too, where features are averaged in superpoints."""
        own = facts.section.get("targets") or {}
        in_superpoints = own.get("segments") or own.get("codec") == "superpoints"
        return self.reads if in_superpoints else self.reads[:2]

    def module(self, facts: Facts) -> str:
        """This one, or that of the codec that the fused embeddings are stored in."""
        codec = (facts.section.get("targets") or {}).get("codec", "fp16")
        return super().module(facts) if codec == "fp16" else f"pipeline.stages.fused.{codec}"

    def params(self, facts: Facts) -> dict[str, Any]:
        """The section without the codec, which the module says."""
        return {key: value for key, value in super().params(facts).items() if key != "codec"}

    def parts(self, facts: Facts) -> dict[str, str]:
        """The codec of the grids that are read."""
        return part_names(self.name, facts.section)


class Worker:
    """Fuses one scan after another."""

    def __init__(self, params: Mapping[str, Any], parts: Mapping[str, ModuleType]) -> None:
        """`params`: segments, the share that a superpoint's mean has in its voxels' features.

        `parts`: the module of the codec that the embeddings are stored in.
        """
        self._codec = parts["codec"]
        self._segments: float = params.get("segments", 0)

    def __call__(
        self,
        out: zarr.Group,
        embeddings: zarr.Group,
        projections: zarr.Group,
        voxels: zarr.Group | None = None,
        blocks: Blocks = Blocks(),
    ) -> None:
        """Write `voxel` u32 (V,), increasing, `feature` f16 (V, d) and `views` u16 (V,).

        `voxels` is read for the scan's superpoints only, where these are averaged. The memory it
        takes does not depend on the size of the scan, but for a few numbers a voxel and, for its
        superpoints, a vector each: sums are made for some voxels at a time, from some frames at a
        time.
        """
        grids = Grids(embeddings, self._codec)
        _, height, width, depth = grids.shape
        spans = list(_spans(np.asarray(projections["offsets"]), blocks.pairs))
        views = count_views(projections, spans)
        voxel = np.flatnonzero(views)
        arrays.write(out, "voxel", voxel.astype(np.uint32))
        feature = arrays.create(out, "feature", (len(voxel), depth), np.float16, blocks.rows, False)
        arrays.write(out, "views", views[voxel].astype(np.uint16))

        row_of_voxel = np.cumsum(views > 0) - 1
        read = lru_cache(maxsize=1)(lambda span: read_pairs(projections, span))
        rows_at_once = max(1, blocks.total_bytes // (4 * depth * blocks.rows)) * blocks.rows
        frames_at_once = max(1, blocks.grid_bytes // (4 * height * width * depth))
        for begin in range(0, len(voxel), rows_at_once):
            rows = min(rows_at_once, len(voxel) - begin)
            total, weight = np.zeros((rows, depth), np.float32), np.zeros(rows)
            for span in spans:
                pairs = read(span)
                row = row_of_voxel[pairs.voxel] - begin
                for some in _by_frames(pairs.frame, (row >= 0) & (row < rows), frames_at_once):
                    xy = grids.position(pairs.uv[some])
                    samples = Samples(row[some], pairs.frame[some], xy, pairs.weight[some])
                    accumulate(total, samples, (height, width), grids.cells, blocks.weight_bytes)
                    weight += np.bincount(samples.row, samples.weight, rows)
            total /= weight[:, None]
            feature[begin : begin + rows] = total.astype(np.float16)
        if voxels is not None and self._segments:
            segment = np.asarray(voxels["voxel_segment"])[voxel]
            blend_segments(feature, segment, self._segments, blocks.rows)


def blend_segments(
    feature: zarr.Array, segment: NDArray[np.int32], share: float, chunk: int
) -> None:
    """Move features (V, d) by `share` of the way to the mean of all in their superpoint (V,).

    A superpoint usually belongs to one object, and its mean over many voxels and views is
    steadier than what was seen of any one. Longer features, those whose views agree, count for
    more in it. A voxel of superpoint -1 keeps its own. `chunk` rows are in memory at a time.
    """
    names, of_member = np.unique(segment[segment >= 0], return_inverse=True)
    place = np.full(len(segment), -1)
    place[segment >= 0] = of_member
    total = np.zeros((len(names), feature.shape[1]), np.float32)
    blocks = [slice(first, first + chunk) for first in range(0, len(segment), chunk)]
    for rows in blocks:
        member = np.flatnonzero(place[rows] >= 0)
        ones, where = np.ones(len(member), np.float32), (place[rows][member], member)
        chosen = sparse.csr_matrix((ones, where), (len(names), len(place[rows])))
        total += chosen @ np.asarray(feature[rows]).astype(np.float32)
    total /= np.bincount(of_member, minlength=len(names))[:, None]
    for rows in blocks:
        member = np.flatnonzero(place[rows] >= 0)
        block = np.asarray(feature[rows]).astype(np.float32)
        block[member] += np.float32(share) * (total[place[rows][member]] - block[member])
        feature[rows] = block.astype(np.float16)


def read_pairs(projections: zarr.Group, span: Span) -> Pairs:
    """What the frames of `span` see."""
    offsets = np.asarray(projections["offsets"])[span[0] : span[1] + 1]
    voxel, uv, weight = (
        np.asarray(cast(zarr.Array, projections[name])[offsets[0] : offsets[-1]])
        for name in ("voxel", "uv", "weight")
    )
    return Pairs(
        frame=np.repeat(np.arange(*span), np.diff(offsets)),
        voxel=voxel.astype(np.int64),
        uv=uv,
        weight=weight.astype(np.float32),
    )


def count_views(projections: zarr.Group, spans: list[Span]) -> NDArray[np.int64]:
    """How many frames see each voxel, up to the last that is seen."""
    offsets, voxel = np.asarray(projections["offsets"]), cast(zarr.Array, projections["voxel"])
    views = np.zeros(0, np.int64)
    for first, last in spans:
        count = np.bincount(np.asarray(voxel[offsets[first] : offsets[last]]), minlength=len(views))
        count[: len(views)] += views
        views = count
    return views


def _spans(offsets: NDArray[np.int64], most: int) -> Iterator[Span]:
    """Consecutive frames with at most `most` pairs together, or single frames."""
    first = 0
    while first < len(offsets) - 1:
        last = int(np.searchsorted(offsets, offsets[first] + most, "right")) - 1
        last = max(first + 1, last)
        yield first, last
        first = last


def _by_frames(
    frame: NDArray[np.int64], wanted: NDArray[np.bool_], frames_at_once: int
) -> Iterator[NDArray[np.intp]]:
    """The wanted ones of pairs in the order of `frame` (P,), those of some frames at a time."""
    index = np.flatnonzero(wanted)
    begin = np.flatnonzero(np.diff(frame[index], prepend=-1))[::frames_at_once]
    for first, last in pairwise([*begin, len(index)]):
        yield index[first:last]
