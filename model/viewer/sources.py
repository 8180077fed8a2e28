"""Where a view comes from: a scan in a file or folder with networks, or a finished run."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import zarr
from numpy.typing import NDArray

from model.data.entries import read_array, read_text
from model.data.labels import LabelledScan
from model.inference.ensemble import read_fused
from model.inference.network import load as load_network
from model.inference.unseen import Embed, embedder, voxelised
from model.network.device import device
from model.network.trained import Trained, load
from model.viewer.layers import Labels, View, view_of_points
from model.viewer.truth import TRUTH, add_truth
from pipeline.clip.weights import CHECKOUT
from pipeline.errors import BadInput
from pipeline.facts import SUPERVISED
from pipeline.geometry.clouds import completed
from pipeline.palette import palette
from pipeline.plan.plan import Plan
from pipeline.readers.any_scan import read_any
from pipeline.stages.declaration import ONLY
from pipeline.store import entry, groups

SHIPPED = CHECKOUT / "data_manifest/demo/network/ess_esgs.safetensors"
FUSED = "fused 2D"


def view_of_scan(
    scan: Path,
    networks: Sequence[Path],
    up: str | None = None,
    words: Sequence[str] = (),
    free_words: bool = False,
) -> View:
    """A scan in any form that `read_any` knows, labelled by networks, and its ground truth.

    `words` are queries whose heat is shown; with `free_words` others can be asked. Raises
    `BadInput` if the scan, a network or its text tower cannot be read.
    """
    loaded = [load_network(path) for path in networks]
    read, kind = read_any(scan, up)
    cloud = completed(
        read, any("normal" in each.trained.inputs for each in loaded), superpoints=False
    )
    sizes = {each.trained.scan_voxel_size for each in loaded}
    of_size = {size: voxelised(cloud, size) for size in sorted(sizes)}
    view = view_of_points(scan.name or str(scan), of_size[min(sizes)])
    view.notes.append(f"Read as {kind}.")
    view.words += words
    add_truth(view, scan)
    for name, net in zip(_names(networks), loaded, strict=True):
        voxels = of_size[net.trained.scan_voxel_size]
        embed = _embedder(net.trained, net.path, bool(words) or free_words)
        view.add_network(name, net.trained, voxels, net.details["colors"], embed=embed)
    return view


def view_of_run(
    plan: Plan,
    scan: str | None,
    runs: Sequence[str] = (),
    words: Sequence[str] = (),
    free_words: bool = False,
) -> View:
    """A scan of a finished run with everything that the store has of it, and its networks.

    By default the scan is the first that is held out, and the networks are all. `words` are as in
    `view_of_scan`. Raises `BadInput` for names that the run does not have, and where the store has
    no voxels of the scan.
    """
    facts = plan.facts
    scan = scan or [*facts.splits["val"], *facts.splits["train"]][0]
    known = [*facts.networks, *facts.imported]
    _require(plan, "scan", scan, facts.scans)
    for run in runs:
        _require(plan, "network", run, known)
    voxels_at = _home(plan, "voxels", scan)
    if voxels_at is None:
        what = f"the store has no points of {scan}"
        raise BadInput(plan.path, what, f"run snakemake train_{plan.dataset}")
    voxels = groups.read(voxels_at)
    view = view_of_points(f"{plan.dataset}: {scan}", voxels)
    view.words += words
    colors = {c["name"]: c["color"] for c in facts.classes if "color" in c}
    labels_at, targets_at = (_home(plan, stage, scan) for stage in ("labels", "targets"))
    if labels_at:
        truth = LabelledScan(scan, voxels_at, labels_at)
        shades = palette(truth.classes, colors)
        view.add_labels(Labels(TRUTH, truth.classes, shades, truth.ground_truth()[0]))
    text_at = _home(plan, "text", ONLY)
    if targets_at and text_at:
        text, classes = read_text(text_at)
        label, confidence = _fused(targets_at, text, voxels)
        view.add_labels(Labels(FUSED, classes, palette(classes, colors), label, confidence))
    for run in runs or known:
        path = _home(plan, facts.trainer(run), run)
        if path is None:
            view.notes.append(f"The store has no network {run}.")
            continue
        trained = load(path, device())
        embed = _embedder(trained, path, bool(words) or free_words)
        view.add_network(run, trained, voxels, colors, embed=embed)
    return view


def first_panels(view: View) -> list[int]:
    """Which layers are shown at first: colour (0), ground truth and one network that had no labels.

    Layers are numbered from 1 in the order of `view.labels`.
    """
    names = [labels.name for labels in view.labels]
    weak = [n for n in names if n not in (TRUTH, FUSED) and not n.startswith(SUPERVISED)]
    best = [name for name in weak if name.startswith("ess_esgs")] or weak or names[-1:]
    return [0, *(1 + k for k, name in enumerate(names) if name in (TRUTH, *best[:1]))]


def _fused(
    targets: Path, text: NDArray[np.float32], voxels: zarr.Group
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Class and confidence (N,) of points by fused embeddings; -1 and 0 where no frame sees any."""
    found, of_point = read_fused(targets, text), read_array(voxels, "voxel_of_point")
    count = len(read_array(voxels, "coords"))
    label, confidence = np.full(count, -1, np.int64), np.zeros(count, np.float32)
    label[found.voxel] = found.label
    confidence[found.voxel] = found.probability.max(axis=1)
    return label[of_point], confidence[of_point]


def _embedder(trained: Trained, path: Path, wanted: bool) -> Embed | None:
    return embedder(trained, path) if wanted and trained.tower else None


def _home(plan: Plan, stage: str, name: str) -> Path | None:
    """Where the store has an entry, after a check of it; None where it has none."""
    home = plan.home(stage, name)
    if not entry.present(home):
        return None
    entry.check(home)
    return home


def _require(plan: Plan, kind: str, name: str, known: Sequence[str]) -> None:
    if name not in known:
        some = ", ".join(known[:5]) + (", ..." if len(known) > 5 else "")
        raise BadInput(plan.path, f"has no {kind} {name!r}", f"name one of {some}")


def _names(networks: Sequence[Path]) -> list[str]:
    """A name for each network: that of its file, with a number where it is not the only one."""
    stems = [path.stem for path in networks]
    return [
        stem if stems.count(stem) == 1 else f"{stem} ({1 + stems[:place].count(stem)})"
        for place, stem in enumerate(stems)
    ]
