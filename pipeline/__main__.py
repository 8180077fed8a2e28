"""`python -m pipeline STAGE PLAN LINK...`: make the entries behind some links of the work tree.

The only input and output of the stages: each entry is found in the store or made there, from the
entries and raw files that the plan names, and then linked. Bad input ends it with one sentence.
"""

import argparse
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from pipeline import manifest, store
from pipeline.errors import BadInput
from pipeline.plan import MODULE, PER_RUN, RAW, Plan


def main() -> int:
    """Make what is asked for; 1 where an entry could not be made."""
    arguments = argparse.ArgumentParser(prog="python -m pipeline", description=__doc__)
    arguments.add_argument("stage", help="a stage, or `report`")
    arguments.add_argument("plan", type=Path, help="a file below <work>/<dataset>/plans")
    arguments.add_argument("links", type=Path, nargs="+", help="what to make, in the work tree")
    given = arguments.parse_args()
    failed = 0
    try:
        plan = Plan.load(given.plan)
        if given.stage == "report":
            return _report(plan)
        make = _simulator(plan) if given.stage == "simulate" else _maker(given.stage, plan)
    except BadInput as error:
        print(error, file=sys.stderr)
        return 1
    for link in given.links:  # one bad scan of a batch does not keep the others from being made
        name = link.name.partition(".")[0]
        begin = time.monotonic()
        try:
            done = make(name)
        except BadInput as error:
            print(f"{plan.dataset} {given.stage} {name}: {error}", file=sys.stderr)
            failed = 1
        else:
            took = time.monotonic() - begin
            print(f"{plan.dataset} {given.stage} {name}: {done} ({took:.1f} s)", flush=True)
    return failed


def _maker(stage: str, plan: Plan) -> Callable[[str], str]:
    """What makes one entry of a stage; the stage itself is loaded when it is first needed."""
    loaded: list[Any] = []

    def make(name: str) -> str:
        home = plan.home(stage, name)
        if home.exists():
            done = "found"
        else:
            if not loaded:
                loaded.append(_load(stage, plan))
            with store.place(home) as path:
                loaded[0](name, path)
            done = "made"
        store.point(plan.link(stage, name), home)
        return done

    return make


def _load(stage: str, plan: Plan) -> Callable[[str, Path], None]:
    if stage in PER_RUN:
        return _trainer(stage, plan)
    if stage == "evaluate":
        return _evaluator(plan)
    run = import_module(MODULE.get(stage, f"pipeline.{stage}")).Stage(plan.params(stage))

    def fill(name: str, path: Path) -> None:
        inputs: dict[str, Any] = {
            upstream: store.read(plan.home(upstream, entry))
            for upstream, entry in plan.inputs(stage, name)
        }
        if stage in RAW:
            inputs["raw"] = _open_raw(stage, plan, name)
        if stage == "tags":
            inputs["scan"] = name
        with store.group(path) as out:
            run(out, **inputs)

    return fill


def _open_raw(stage: str, plan: Plan, scan: str) -> Any:
    """The raw files of a scan, opened by the dataset's reader for a stage."""
    files = plan.files(scan)
    if not plan.simulated:
        records = Path(plan.facts["store"], plan.dataset, "raw")
        found = manifest.raw_digests({scan: files}, records)[scan]
        if found[RAW[stage]] != plan.facts["raw_digests"][scan][RAW[stage]]:
            raise BadInput(
                plan.raw, f"the files of {scan} have changed since planning", "run again"
            )
    reader = import_module(f"pipeline.{plan.section['reader']}.{RAW[stage]}")
    if stage == "frames":
        return reader.open_frames(files["frames"])
    if stage == "voxels":
        return reader.read_cloud(files["cloud"])
    return reader.read_labels({**files["cloud"], **files["labels"]}, plan.facts["classes"])


def _simulator(plan: Plan) -> Callable[[str], str]:
    simulate_scan = import_module("pipeline.simulate.scan").simulate_scan

    def make(scan: str) -> str:
        home = plan.raw / "scans" / scan
        split = "train" if scan in plan.splits["train"] else "heldout"
        partial = home.with_name(f".{scan}")
        shutil.rmtree(partial, ignore_errors=True)
        simulate_scan(scan, plan.facts["seeds"][scan], split, plan.params("simulate"), partial)
        with suppress(FileNotFoundError):
            shutil.rmtree(home)
        written = partial / "scans" / scan
        for file in written.iterdir():
            store.forget_time(file)
        written.rename(home)
        shutil.rmtree(partial)
        return "simulated"

    return make
