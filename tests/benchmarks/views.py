"""How the views of a voxel are best made one embedding: scores of the alternatives.

    snakemake demo_pseudo_labels --configfile rooms.yaml
    python tests/benchmarks/views.py demo --config rooms.yaml

Reads the training rooms of a dataset, in some sets, and scores each way by their dense labels, so
they must be rooms on which nothing else is scored. The first row is the mIoU in percent of points,
mean and standard deviation over the sets; the others are differences to it, set by set.

(a)      the best of all classes
(b)      the best of the classes that the scene tags name, as pseudo-labels are made
pooled   the same, with class probabilities averaged in superpoints

Only rooms of a few thousand voxels fit: all samples of all views are in memory.
"""

import argparse
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from model.data.entries import read_array, read_entry, read_text
from model.inference.ensemble import TEMPERATURE
from model.scoring.counting import confusion
from model.scoring.scores import class_iou, mean_of_known
from pipeline.geometry.label_choice import softmax_of
from pipeline.geometry.votes import mean_over
from pipeline.grids import codecs
from pipeline.grids.reading import Grids
from pipeline.plan import config
from pipeline.plan.plan import Plan
from pipeline.stages.declaration import ONLY
from pipeline.stages.pseudo_labels import similarity
from pipeline.stages.targets import read_pairs
from tests.helpers.ways_to_fuse import EMBEDDINGS, PROBABILITIES, Array, Views


def read(plan: Plan, scan: str) -> tuple[Views, NDArray[np.int64]]:
    """The views of a room, and its seen voxels (n,)."""
    entry = {s: read_entry(plan.home(s, scan)) for s in ("voxels", "projections", "embeddings")}
    codec = import_module(codecs.module_name(str(entry["embeddings"].attrs["codec"])))
    grids = Grids(entry["embeddings"], codec)
    pairs = read_pairs(entry["projections"], (0, grids.shape[0]))
    sample = np.concatenate(
        [grids.read(f, pairs.uv[pairs.frame == f]) for f in range(grids.shape[0])]
    )
    voxel, row = np.unique(pairs.voxel, return_inverse=True)
    views = Views(
        sample=sample,
        weight=pairs.weight,
        frame=pairs.frame,
        row=row,
        superpoint=read_array(entry["voxels"], "voxel_segment")[voxel],
        xyz=read_array(entry["voxels"], "voxel_xyz")[voxel],
        normal=read_array(entry["voxels"], "voxel_normal")[voxel],
        text=read_text(plan.home("text", ONLY))[0],
        present=read_array(read_entry(plan.home("tags", scan)), "present"),
    )
    return views, voxel


def counts(plan: Plan, scan: str) -> Iterator[tuple[str, str, NDArray[np.int64]]]:
    """The confusion of each way and score of a room."""
    views, voxel = read(plan, scan)
    of_point = read_array(read_entry(plan.home("voxels", scan)), "voxel_of_point").astype(int)
    truth = read_array(read_entry(plan.home("labels", scan)), "label")
    everything = np.ones_like(views.present)

    def count(probability: Array) -> NDArray[np.int64]:
        label = np.full(of_point.max() + 1, -1)
        label[voxel] = probability.argmax(1)
        return confusion(truth, label[of_point], len(views.text))

    for name, way in EMBEDDINGS.items():
        logits = similarity(way(views), views.text, normalise=True) / np.float32(TEMPERATURE)
        for score, among in (("(a)", everything), ("(b)", views.present)):
            probability = softmax_of(logits, among)
            yield name, score, count(probability)
            yield name, f"{score} pooled", count(mean_over(probability, views.superpoint))
    for name, of in PROBABILITIES.items():
        probability = of(views)
        yield name, "(b)", count(probability)
        yield name, "(b) pooled", count(mean_over(probability, views.superpoint))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Scores of ways to fuse the views of a voxel")
    parser.add_argument("dataset")
    parser.add_argument("--config", type=Path, default=config.CONFIG)
    parser.add_argument("--sets", type=int, default=3, help="of rooms, for the spread")
    options = parser.parse_args()
    plan = config.plan(options.dataset, options.config)
    scans = plan.facts.splits["train"]
    sums: dict[tuple[str, str, int], NDArray[np.int64]] = {}
    for number, scan in enumerate(scans):
        for name, score, found in counts(plan, scan):
            of = name, score, number * options.sets // len(scans)
            sums[of] = sums.get(of, np.zeros_like(found)) + found
    scores = ("(a)", "(a) pooled", "(b)", "(b) pooled")
    first, *_ = EMBEDDINGS
    scores = ("(a)", "(a) pooled", "(b)", "(b) pooled")
    print(f"{len(scans)} rooms in {options.sets} sets", *scores, sep=" | ")
    for name in [*EMBEDDINGS, *PROBABILITIES]:
        cells = []
        for score in (each for each in scores if (name, each, 0) in sums):
            own, base = (_miou(sums, n, score, options.sets) for n in (name, first))
            values, sign = (own, "") if name == first else (own - base, "+")
            cells.append(f"{values.mean():{sign}.1f} ± {values.std(ddof=1):.1f}")
        print(name, *[""] * (len(scores) - len(cells)), *cells, sep=" | ")


def _miou(
    sums: dict[tuple[str, str, int], NDArray[np.int64]], name: str, score: str, sets: int
) -> NDArray[np.float64]:
    """In percent, of each set."""
    each = [mean_of_known(class_iou(sums[name, score, number])) for number in range(sets)]
    return 100 * np.array(each)


if __name__ == "__main__":
    main()
