"""A trained network labels a new scan, and shows where a query fits best in it.

It needs no image, no label and no store.
"""

import resource
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import zarr
from numpy.typing import NDArray

from model.data.entries import read_array
from model.inference.label_clouds import write_labelled_cloud
from model.inference.network import Network, load
from model.inference.ply import write_heat
from model.inference.predict import Prediction
from model.network.trained import Trained
from pipeline.geometry.clouds import completed
from pipeline.readers.any_scan import read_any


class Labelled(NamedTuple):
    """What was read and found."""

    network: Network
    voxels: zarr.Group  # as an entry `voxels`
    found: Prediction


def label_scan(
    scan: Path,
    network: Path,
    out: Path,
    words: str | None,
    up: str | None = None,
    votes: bool = False,
) -> Labelled:
    """Label a scan, print its classes, and write `labels.ply` into the folder `out`.

    `words` is a query in words: then `heat.ply` is written, too, with the similarity of each point
    to it. `network` is read by `load`; `scan` and `up`, the axis that points up, are those of
    `read_any`. With `votes`, class probabilities are averaged in superpoints, those of the scan or
    else computed ones. A network that takes normals is given computed ones where the scan has none.
    Raises `BadInput` if the scan or the network cannot be read, if the network cannot answer
    queries in words, and if the files cannot be written.
    """
    begin = time.monotonic()
    net = load(network)
    trained = net.trained
    text = net.embed([[words]]) if words else None  # first, since it may fail
    read, kind = read_any(scan, up, superpoints=votes)
    cloud = completed(read, normals="normal" in trained.inputs, superpoints=votes)
    voxels = net.voxels(cloud)
    of_point = read_array(voxels, "voxel_of_point")
    print(
        f"{scan}: {len(of_point):,} points in {len(read_array(voxels, 'coords')):,} voxels of "
        f"{100 * trained.scan_voxel_size:g} cm, read as {kind}",
        flush=True,
    )
    if votes:
        count = len(np.unique(cloud.segment[cloud.segment >= 0]))
        source = "those of the scan" if (read.segment >= 0).any() else "computed from its points"
        print(f"votes: class probabilities averaged in {count:,} superpoints, {source}")
    if (count := net.pieces(voxels)) > 1:
        print(f"in {count:,} pieces of at most {net.max_voxels:,} voxels, which overlap")
    labelled, colors = out / "labels.ply", net.details["colors"]
    found = write_labelled_cloud(labelled, trained, voxels, colors, votes, net.max_voxels)
    print(table(trained.classes, found.label[of_point], found.confidence[of_point]))
    print(f"labels: {labelled}")
    if text is not None and words:
        heat = net.heat(voxels, text)[:, 0]
        where = cloud.offset, cloud.left_out
        write_heat(out / "heat.ply", cloud.xyz, heat[of_point], words, *where)
        best = _best(trained, found, heat)
        print(f"classes of the 2 % of voxels that fit {words!r} best: {best}")
        print(f"heat: {out / 'heat.ply'}")
    took, peak = time.monotonic() - begin, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"took {took:.1f} s and at most {peak / 2**20:.1f} GiB of memory")
    return Labelled(net, voxels, found)


def table(classes: list[str], label: NDArray[np.integer], confidence: NDArray[np.floating]) -> str:
    """A table of the classes that occur, the most frequent first: share and mean confidence."""
    count = np.bincount(label, minlength=len(classes))
    sure = np.bincount(label, confidence, len(classes)) / np.maximum(count, 1)
    rows = [
        f"{classes[k]:20} {100 * count[k] / len(label):6.1f} {sure[k]:11.2f}"
        for k in np.argsort(-count, kind="stable")
        if count[k]
    ]
    return "\n".join([f"{'class':20} {'points %':>6} {'confidence':>9}", *rows])


def _best(trained: Trained, found: Prediction, heat: NDArray[np.floating]) -> str:
    """The classes of the 2 % of voxels that a query fits best, the most frequent first."""
    top = found.label[heat >= np.percentile(heat, 98)]
    count = np.bincount(top, minlength=len(trained.classes))
    best = [k for k in np.argsort(-count, kind="stable")[:3] if count[k]]
    return ", ".join(f"{trained.classes[k]} ({100 * count[k] / len(top):.0f} %)" for k in best)
