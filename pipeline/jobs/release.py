"""A trained network as a release folder, with what its run says of scores, scans and data."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from model.inference.network import Network, load
from pipeline.errors import BadInput
from pipeline.plan.plan import Plan

_MEANS = ("mIoU", "mAcc", "OA")
# The terms of the data, by reader. Networks are no copies of it, but whoever gets one asks.
_TERMS = {
    "scannet": "ScanNet's terms of use, which each user signs to get the data",
    "s3dis": "the terms of S3DIS and 2D-3D-S, which each user accepts to get the data",
}
_SIMULATED = "simulated rooms with furniture of Sweet Home 3D, under CC-BY 3.0 and CC0"


def release(
    network: str,
    out: Path,
    scores: Path | None = None,
    row: str | None = None,
    licence: str | None = None,
    data_licence: str | None = None,
    work: Path = Path("work"),
) -> Path:
    """Write the release folder `out` of a network, and return it.

    `network` is a file or a folder, or DATASET/RUN of a finished run of this checkout, of which the
    plan in `work` says recipe, scans and keys, and the table the scores. `scores` is another table
    (.json), whose rows are those of the network's variant, or `row`. Raises `BadInput` where there
    is no such network, the table is of another one, or the folder is not empty.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BadInput(out, "is there already", "name a folder that is new or empty")
    plan = None if Path(network).exists() else _plan(network, work)
    net = load(_of_run(plan, network) if plan else network)
    known: dict[str, Any] = {}
    if plan:
        known = _of_plan(plan, network.rpartition("/")[2])
        scores = scores or _table(plan)
    if scores:
        known["scores"] = read_scores(scores, net, row)
    if data_licence:
        known["data"] = {**known.get("data", {}), "licence": data_licence}
    if licence:
        known["licence"] = licence
    net.details |= known
    net.save_pretrained(out)
    return out


def read_scores(table: Path, net: Network, row: str | None) -> list[dict[str, Any]]:
    """The scores of a network in a table: a row for each protocol, over points and over voxels.

    Raises `BadInput` where the table has none of this network: of its classes, its seed and as many
    training scans.
    """
    wanted = row or net.trained.variant
    try:
        content = json.loads(table.read_text(encoding="utf-8"))
        on = content["title"] + " (simulated)" * bool(content["simulated"])
        own = [
            r
            for r in content["results"]
            if re.fullmatch(rf"{re.escape(wanted)}(_voted)?", r["row"])
        ]
        own = [r for r in own if r["seed"] == net.trained.seed]
        found = [line for result in own for line in _lines(result, on)]
        classes = [list(result["classes"]) for result in own]
        trained_on = {result.get("trained_on") for result in own}
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        what = f"is no table of scores ({getattr(error, 'strerror', None) or error})"
        raise BadInput(table, what, "name the table.json of a run") from error
    if not found:
        what = f"has no row {wanted} of seed {net.trained.seed}"
        raise BadInput(table, what, "name another table, or the row")
    if any(names != net.classes for names in classes) or trained_on != {net.trained.trained_on}:
        what = f"its row {wanted} is of a network with other classes or training scans"
        raise BadInput(table, what, "name the table, or the row, of this network")
    return found


def _lines(result: Mapping[str, Any], on: str) -> list[dict[str, Any]]:
    kind = {"on": on, "row": result["row"], "split": result["split"], "scans": len(result["scans"])}
    return [
        {**kind, "over": over, "protocol": protocol, **{name: each[name] for name in _MEANS}}
        for over, protocols in result["scores"].items()
        for protocol, each in protocols.items()
    ]


def _plan(network: str, work: Path) -> Plan:
    dataset, _, run = network.rpartition("/")
    path = work / dataset / "plan.json"
    if not dataset or not run or not path.is_file():
        what = "is neither a file nor a run of this checkout"
        raise BadInput(network, what, "name a .safetensors file, or DATASET/RUN of a finished run")
    return Plan.load(path)


def _of_run(plan: Plan, network: str) -> Path:
    run, known = network.rpartition("/")[2], plan.facts.networks
    if run not in known:  # a network trained elsewhere has another recipe and other scans
        raise BadInput(network, "is no run of this dataset", f"name one of {', '.join(known)}")
    path = plan.link(plan.facts.trainer(run), run)
    if not path.exists():
        raise BadInput(path, "no such file", f"train it first: snakemake train_{plan.dataset}")
    return path


def _table(plan: Plan) -> Path | None:
    path = plan.results / "table.json"
    return path if plan.facts.scored and path.is_file() else None


def _of_plan(plan: Plan, run: str) -> dict[str, Any]:
    facts, stages = plan.facts, [plan.facts.trainer(run)]
    for stage in stages:  # all that it goes back to
        stages += [above for above in plan.upstream(stage) if above not in stages]
    recipe = {k: v for k, v in plan.section["embeddings"].items() if k not in _TOWER}
    terms = _SIMULATED if facts.simulated else _TERMS.get(facts.reader, "not stated")
    data = {
        "name": facts.dataset,
        "licence": terms,
        "train": list(facts.splits["train"]),
        "keys": {stage: plan.keys[stage] for stage in stages},
    }
    return {"recipe": recipe, "data": data}


_TOWER = ("model", "pretrained", "features")  # of which the network's file knows more
