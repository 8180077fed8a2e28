"""Export: a network labels the validation and test scans of a dataset, in a benchmark's files.

Only the points of a scan are read, in voxels as the network was trained with; no image, label or
scene tag, and no entry of the store but the network. The labels are those that `evaluate` counts,
so the files of validation scans have the scores of the network's row in the table.
"""

import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.data.entries import read_array
from model.exports import files
from model.exports.formats import FORMATS
from model.inference.predict import predict
from model.inference.unseen import voxelised
from model.network.device import device
from model.network.trained import Trained, load
from pipeline import readers
from pipeline.errors import BadInput
from pipeline.geometry.clouds import completed
from pipeline.plan import rawdata, weights
from pipeline.plan.plan import Plan
from pipeline.scan import Cloud

SPLITS = ("val", "test")
Say = Callable[[str], object]


@dataclass(frozen=True)
class Labeller:
    """A network that labels clouds with the ids of a benchmark."""

    trained: Trained
    ids: NDArray[np.int64]  # (K,) of its classes
    valid: frozenset[int]  # that the benchmark knows
    votes: bool = False  # average class probabilities in superpoints

    def write(self, path: Path, cloud: Cloud) -> None:
        """Write the id of each point of a cloud. Raises `BadInput` if that cannot be done."""
        trained, votes = self.trained, self.votes
        cloud = completed(cloud, normals="normal" in trained.inputs, superpoints=votes)
        voxels = voxelised(cloud, trained.scan_voxel_size)
        found = predict(trained, voxels)
        if votes:
            found = found.voted(read_array(voxels, "voxel_segment"))
        files.write_ids(path, self.ids[found.label_of_points(voxels)])
        files.read_ids(path, len(cloud.xyz), self.valid)


def export(
    plan: Plan, name: str, network: str, out: Path | None, votes: bool = False, say: Say = print
) -> bool:
    """Write `<out>/<split>/<scan>.txt` and `<out>/<split>.zip`; return whether all were written.

    `plan` needs no raw files and no weights. `name` is one of `FORMATS`, and `network` a run of the
    dataset or a .safetensors file. With `votes`, class probabilities are averaged in superpoints,
    in computed ones where a scan has none. A scan that fails is passed over, and no zip is made of
    its split. Raises `BadInput` where dataset or classes are not those of the format, and where
    there is no such network or no scan.
    """
    format_ = FORMATS[name]
    if plan.facts.reader != format_.reader:
        what = f"is read as {plan.facts.reader}, and the format {name} is of {format_.reader}"
        raise BadInput(plan.dataset, what, "name a dataset of that reader")
    trained = load(find_network(plan, network), device())
    ids = format_.ids(plan.facts.classes, trained.classes)
    labeller = Labeller(trained, ids, frozenset(format_.valid()), votes)
    rows = rawdata.scans(plan.section)[0]
    scans = {split: [r["scan"] for r in rows if r["split"] == split] for split in SPLITS}
    if not any(scans.values()):
        remedy = "give some of them the split val or test"
        raise BadInput(plan.section["scans"], "names no scan to export", remedy)
    out = out or Path(plan.facts.results, plan.dataset, "export", f"{name}-{Path(network).stem}")
    whole = [_split(plan, labeller, split, own, out, say) for split, own in scans.items() if own]
    return all(whole)


def find_network(plan: Plan, network: str) -> Path:
    """The file of a run of the dataset, of a network that its config names, or the file itself.

    Raises `BadInput` where there is no such run, or it was not trained here.
    """
    facts = plan.facts
    if network.endswith(".safetensors"):
        return Path(network)
    if network in facts.imported:
        return Path(facts.imported[network])
    if network not in facts.networks:
        runs = ", ".join([*facts.networks, *facts.imported])
        remedy = f"name one of {runs}, or a .safetensors file"
        raise BadInput(f"network {network!r}", f"is no run of {plan.dataset}", remedy)
    digest = weights.weights_digest(facts.section["embeddings"], Path(facts.store))
    path = Plan(replace(facts, weights=digest, keys=None)).link(facts.trainer(network), network)
    if not path.exists():
        remedy = f"run: snakemake train_{plan.dataset}, or name a .safetensors file"
        raise BadInput(path, f"there is no network {network} of this config and code", remedy)
    return path


def _split(
    plan: Plan, labeller: Labeller, split: str, scans: Sequence[str], out: Path, say: Say
) -> bool:
    """Write the files of one split, and a zip of them if all scans could be labelled."""
    archive, written = out / f"{split}.zip", {}
    archive.unlink(missing_ok=True)  # of another network, perhaps
    for number, scan in enumerate(scans, start=1):
        path = out / split / f"{scan}.txt"
        path.unlink(missing_ok=True)
        try:
            cloud = read_cloud(plan, scan)
            labeller.write(path, cloud)
        except Exception as error:  # one scan holds back no other
            path.unlink(missing_ok=True)
            if not isinstance(error, BadInput):
                traceback.print_exception(error)
            print(f"{scan}: {error}", file=sys.stderr, flush=True)
            continue
        written[path.name] = path
        say(f"{split} {number}/{len(scans)}, {scan}: {len(cloud.xyz):,} vertices")
    failed = len(scans) - len(written)
    if failed:
        say(f"{split}: {failed} of {len(scans)} scans failed, so there is no {archive}")
        return False
    files.write_zip(archive, written)
    say(f"{split}: {archive}, {len(written)} scan{'s' * (len(written) != 1)}")
    return True


def read_cloud(plan: Plan, scan: str) -> Cloud:
    """The points of a scan of any split, from its raw files. Raises `BadInput`."""
    found = readers.load(plan.facts.reader, "files").scan_files(plan.raw, scan)["cloud"]
    if "mesh" not in found:
        remedy = "download its _vh_clean_2.ply"
        raise BadInput(plan.raw, f"has no mesh of {scan}", remedy)
    cloud: Cloud = readers.load(plan.facts.reader, "cloud").read_cloud(found)
    return cloud
