"""The scans on a page: which are shown, and what is shown of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.data.entries import read_array, read_entry, read_text
from model.data.labels import LabelledScan
from model.inference.ensemble import read_fused
from model.inference.predict import predict
from model.network.device import device
from model.network.trained import Trained, load
from model.pages.pictures import (
    ShownScan,
    classes_of,
    draw,
    input_colors,
    of_classes,
    right_and_wrong,
)
from model.pages.sections import score_of_scan
from pipeline.geometry.votes import majority

Label = NDArray[np.integer]
FUSED_2D = "fused 2D"


@dataclass(frozen=True)
class Scan:
    """The entries of a scan that is shown."""

    name: str
    about: str
    voxels: Path
    labels: Path | None = None
    targets: Path | None = None
    pseudo_labels: Path | None = None


@dataclass
class Painter:
    """Draws scans, all with the same networks, which are loaded once."""

    colors: NDArray[np.uint8]  # (K, 3)
    networks: Mapping[str, Path]  # title -> file
    judged: str = ""  # the title of what is shown as right and wrong
    text: Path | None = None
    _loaded: dict[str, Trained] = field(default_factory=dict)

    def paint(self, scan: Scan) -> ShownScan:
        """The columns: colour, truth, fused 2D, pseudo-labels, networks, and what is right.

        Those are left out for which the scan has no entry.
        """
        voxels = read_entry(scan.voxels)
        columns, labels = [input_colors(voxels)], self._labels(scan)
        columns += [of_classes(title, label, self.colors) for title, label in labels.items()]
        if {"ground truth", self.judged} <= labels.keys():
            columns.append(right_and_wrong(labels[self.judged], labels["ground truth"]))
        return ShownScan(scan.name, scan.about, draw(voxels, columns), classes_of(labels))

    def _labels(self, scan: Scan) -> dict[str, Label]:
        """Source -> classes (M,) of the voxels, -1 for none."""
        voxels, found = read_entry(scan.voxels), dict[str, Label]()
        count = len(read_array(voxels, "coords"))
        if scan.labels:
            truth, voxel_of_point = LabelledScan(scan.name, scan.voxels, scan.labels).ground_truth()
            found["ground truth"] = majority(truth, voxel_of_point, count)
        if scan.targets and self.text:
            fused = read_fused(scan.targets, read_text(self.text)[0])
            found[FUSED_2D] = _spread(fused.label, fused.voxel, count)
        if scan.targets and scan.pseudo_labels:
            seen = read_array(read_entry(scan.targets), "voxel")
            label = read_array(read_entry(scan.pseudo_labels), "label")
            found["pseudo-labels"] = _spread(label, seen, count)
        for title, path in self.networks.items():
            if title not in self._loaded:
                self._loaded[title] = load(path, device())
            found[title] = predict(self._loaded[title], voxels).label
        return found


def ranked(result: Mapping[str, Any], protocol: str) -> list[tuple[float, str]]:
    """The scans of a result with their mIoU in percent, the best first; those that have one."""
    scored = [(score_of_scan(result, scan, protocol), scan) for scan in result["scans"]]
    return sorted([(score, scan) for score, scan in scored if score is not None], reverse=True)


def picked(
    found: Sequence[tuple[float, str]], places: Sequence[str] = ("best", "median", "worst")
) -> dict[str, str]:
    """Scan -> what it is among scans with their scores, best first; each is picked once."""
    index = {"best": 0, "median": len(found) // 2, "worst": len(found) - 1}
    said: dict[str, str] = {}
    for place in places if found else ():
        score, scan = found[index[place]]
        said.setdefault(scan, f"{place} of {len(found)}: mIoU {score:.1f}")
    return said


def _spread(label: Label, voxel: Label, count: int) -> Label:
    """Labels (M,) of all voxels, of those (V,) of some; -1 for the others."""
    found = np.full(count, -1, np.int64)
    found[voxel] = label
    return found
