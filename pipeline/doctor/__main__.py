"""`python -m pipeline.doctor DATASET`, or `--path FOLDER`: look at raw scans before a long run.

What is wrong with them is told in one sentence each, and on a page with pictures.
"""

import argparse
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import jinja2
from tqdm import tqdm

from pipeline.doctor import checks, pictures, scans, statistics, views
from pipeline.doctor.scans import Scan
from pipeline.errors import BadInput
from pipeline.look.sample import positive
from pipeline.plan import config, rawdata
from pipeline.plan.plan import Plan
from pipeline.store import filesystem

FRAMES = 12  # of each scan


@dataclass
class Examined:
    """What the page shows of one scan; the pictures as base64."""

    name: str
    findings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # what its reader mended
    facts: dict[str, str] = field(default_factory=dict)
    above: str = ""
    overlays: str = ""
    depths: str = ""


def examine(scan: Scan, frames: int) -> Examined:
    """Look at one scan; what cannot be read is a finding."""
    done = Examined(scan.name)
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always", UserWarning)
            raw, cloud = scan.open()
            sample = views.take(raw, frames)
    except BadInput as error:
        done.findings.append(str(error))
        return done
    found, disagree = checks.examine(raw, sample, cloud)
    done.findings += map(str, found)
    done.facts = statistics.facts(raw, sample, cloud, disagree)
    done.notes = [str(each.message) for each in warned if each.category is UserWarning]
    done.above = pictures.from_above(sample, cloud)
    done.overlays = pictures.overlays(sample, cloud)
    done.depths = pictures.depths(sample)
    return done


def page(examined: Sequence[Examined], title: str, simulated: bool) -> str:
    """All of it as one HTML page, which needs no other file."""
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    template = jinja2.Environment(loader=loader, autoescape=True).get_template("page.html.j2")
    count = sum(len(scan.findings) for scan in examined)
    return template.render(title=title, scans=examined, count=count, simulated=simulated)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page and say what was found; 1 where anything was."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.doctor", description=__doc__)
    parser.add_argument("dataset", nargs="?", help="a dataset of the config")
    parser.add_argument("--path", type=Path, help="the folder of one scan instead")
    parser.add_argument("--scan", action="append", help="repeat for more; default: 3 of all")
    parser.add_argument("--frames", type=positive, default=FRAMES, help="of each (%(default)s)")
    parser.add_argument("--config", type=Path, default=config.CONFIG)
    parser.add_argument("--out", type=Path, help="results/DATASET/doctor/index.html")
    given = parser.parse_args(arguments)
    if (given.dataset is None) == (given.path is None):
        parser.error("name a dataset, or a folder with --path")
    try:
        plan, incomplete = None, []
        if given.path:
            chosen = [scans.of_folder(given.path)]
        else:
            plan = config.plan(given.dataset, given.config, wanted=False)
            chosen = scans.of_dataset(plan, given.scan)
            incomplete = _incomplete(plan)
        looked = [examine(s, given.frames) for s in tqdm(chosen, desc="looking", unit="scan")]
        name = plan.dataset if plan else chosen[0].name
        examined = [*([Examined(name, incomplete)] if incomplete else []), *looked]
        results = Path(plan.facts["results"] if plan else "results")
        out = given.out or results / name / "doctor" / "index.html"
        with filesystem.write_errors(out):
            out.parent.mkdir(parents=True, exist_ok=True)
            simulated = bool(plan and plan.simulated)
            out.write_text(page(examined, f"Raw scans of {name}", simulated), encoding="utf-8")
    except BadInput as error:
        print(error, file=sys.stderr)
        return 1
    for scan in examined:
        for sentence in scan.findings or ["nothing wrong found"]:
            print(f"{scan.name}: {sentence}")
    print(f"page: {out}")
    return 1 if any(scan.findings for scan in examined) else 0


def _incomplete(plan: Plan) -> list[str]:
    """A sentence about the scans that lack files, if some do."""
    if plan.simulated:
        return []
    try:
        rawdata.complete_scans(plan)
    except BadInput as error:
        return [str(error)]
    return []


if __name__ == "__main__":
    sys.exit(main())
