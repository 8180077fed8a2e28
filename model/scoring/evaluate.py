"""Counts of a trained network on labelled scans that it was not trained on."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.data.entries import read_entry, read_text
from model.data.labels import LabelledScan
from model.inference.ensemble import combined, read_fused
from model.inference.predict import Prediction, predict
from model.network.device import device
from model.network.trained import Trained, load, rules
from model.scoring.counting import count, have_superpoints
from model.scoring.results import ENDS, ENSEMBLE, RULES, VOTED, Result, as_result
from pipeline.errors import BadInput
from pipeline.progress import Progress

PACKAGES = ("numpy", "spconv-cu120", "torch")


@dataclass(frozen=True)
class Images:
    """The fused 2D embeddings of scans, to combine a network with."""

    targets: Sequence[Path]  # entries, in the order of the scans
    text: Path  # entry
    needs: Collection[str] = ("images",)  # what the embeddings were made from


def evaluate_network(
    network: Path,
    scans: Sequence[LabelledScan],
    split: str,
    images: Images | None = None,
) -> list[Result]:
    """Run the network once on each scan and count its labels over points and over voxels.

    The network sees voxels only. Where there are `images`, there is a second result of 2D and 3D
    combined, `ensemble.combined`. If any scan has superpoints, each result is followed by one whose
    class probabilities are averaged in superpoints, `Prediction.voted`. Where the file has weights
    chosen by another rule, too, results of these follow, without images. Raises `BadInput` where
    the network was trained for other classes than the labels'.
    """
    own, *others = rules(network)
    results = _evaluate(load(network, device(), own), scans, split, images)
    for rule in others:
        results += _evaluate(load(network, device(), rule), scans, split, None, RULES[rule])
    return results


def _evaluate(
    trained: Trained,
    scans: Sequence[LabelledScan],
    split: str,
    images: Images | None,
    first: str = "",
) -> list[Result]:
    """The results of one choice of weights; `first` begins the ends of their rows' names."""
    text = read_text(images.text)[0] if images else None
    votes = have_superpoints(scans)
    rows: dict[str, dict[str, NDArray[np.int64]]] = {}
    for number, scan in enumerate(Progress(scans, "scoring", unit="scan")):
        if scan.classes != trained.classes:
            what = "labels of other classes than the network's"
            raise BadInput(scan.labels, what, "train the network again")
        found = {"": predict(trained, read_entry(scan.voxels))}
        if images and text is not None:
            fused = read_fused(images.targets[number], text)
            found[ENSEMBLE] = Prediction.of(combined(fused, found[""].probability))
        if votes:
            superpoint = scan.superpoints()
            found |= {end + VOTED: each.voted(superpoint) for end, each in found.items()}
        for end, each in found.items():
            counts = count(scan, each.label, len(trained.classes))
            rows.setdefault(first + end, {})[scan.scan] = counts
    return network_results(trained, split, rows, images.needs if images else ())


def network_results(
    trained: Trained,
    split: str,
    rows: Mapping[str, Mapping[str, NDArray[np.int64]]],
    images: Collection[str] = (),
) -> list[Result]:
    """A result for each of `rows`, confusion matrices by the end of the row's name and by scan.

    `images` is what fused embeddings are made from.
    """
    results = []
    for end in sorted(rows, key=ENDS.index):
        needs = [*(images if ENSEMBLE in end else []), *(["superpoints"] if VOTED in end else [])]
        result = as_result(trained.variant + end, split, trained.classes, rows[end], needs)
        known = {"seed": trained.seed, "selection": trained.selection}
        results.append(result | known | {"trained_on": trained.trained_on})
    return results
