"""What errors in the input cost the demo's network: wrong scene tags, few frames, moved cameras.

    python tests/benchmarks/robustness.py --cores 2

Run it after `train_demo`, whose store and simulated rooms it reads; it works in a folder of its own
(work/robustness) and changes no config. Run again, it resumes. Each condition is compared with the
demo as configured, by the last of its variants that is not supervised:

wrong tags   10 % and 30 % of the tags of each training scan: classes that are there are left out,
             and as many that are not are added, drawn evenly
few frames   every second one
moved        each camera at an independent normal error of 2 cm (root mean square of its length)
             from its place; rotations, and the mesh, are as they were

The errors are drawn once, the same for all seeds of the networks, which alone make the spread.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from model.data.entries import class_names, read_array, read_entry
from model.reports import ablation
from model.reports.lines import Line, cell
from model.scoring.results import Result
from pipeline import tables
from pipeline.facts import SUPERVISED
from pipeline.plan import config, manifest
from pipeline.plan.plan import Plan
from tests.helpers.input_errors import OFFSET, rng_of, write_moved, wrong_tags

ROOT = Path(__file__).resolve().parents[2]
CODE = ("Snakefile", "pipeline", "model", "envs")
FILES = ("data_manifest", "workflow/rules", "workflow/config.schema.yaml", "workflow/presets.yaml")
DATASET, MOVED = "demo", "demo_moved"
SHARES = (0.1, 0.3)  # of wrong tags


def main() -> None:
    """Make what is missing, and print the table."""
    parser = argparse.ArgumentParser(description="What errors in the input cost the demo's network")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of the networks")
    parser.add_argument("--steps", type=int, help="of each training; the demo's own by default")
    parser.add_argument("--rooms", type=int, help="to train on, and a third as many to score on")
    parser.add_argument("--folder", type=Path, default=ROOT / "work" / "robustness")
    options = parser.parse_args()

    section = prepare(options.folder, options.seeds, options.steps, options.rooms)
    os.chdir(options.folder)
    snakemake(options.cores, f"{DATASET}_simulate", f"{DATASET}_tags")
    write_conditions(config.plan(DATASET), section)
    snakemake(options.cores, f"ablation_{DATASET}", f"train_{MOVED}")
    print(table(*read_rows()), flush=True)


def prepare(
    folder: Path, seeds: Sequence[int], steps: int | None, rooms: int | None
) -> dict[str, Any]:
    """Make the folder, which has the checkout's code and store; the demo's section of its config.

    What the demo has simulated is used where it is.
    """
    described = yaml.safe_load((ROOT / config.CONFIG).read_text())
    (folder / "workflow").mkdir(parents=True, exist_ok=True)
    links = {part: ROOT / part for part in (*CODE, *FILES)}
    raw = Path(described.get("work", "work"), DATASET, "raw")
    if (ROOT / raw).is_dir():
        (folder / "work" / DATASET).mkdir(parents=True, exist_ok=True)
        links[f"work/{DATASET}/raw"] = ROOT / raw
    for part, target in links.items():
        if not (folder / part).exists():
            (folder / part).unlink(missing_ok=True)  # a link to where nothing is any more
            (folder / part).symlink_to(target)
    os.environ["SCAN_STORE"] = str(ROOT / os.environ.get("SCAN_STORE", described["store"]))

    section: dict[str, Any] = described[DATASET]
    section.pop("ablation", None)
    section["train"]["seeds"] = list(seeds)
    if steps:
        section["train"].setdefault("optimiser", {})["steps"] = steps
    if rooms:
        rows = manifest.read_scans(ROOT / section["scans"])
        counts = {"train": rooms, "val": max(1, rooms // 3)}
        few = [row for split in counts for row in of_split(rows, split)[: counts[split]]]
        head = ("scan", "split", "seed")
        write_csv(folder / "scans.csv", head, [[row[name] for name in head] for row in few])
        section["scans"] = "scans.csv"
    write_config(folder, {DATASET: section})
    return section


def write_conditions(plan: Plan, section: dict[str, Any]) -> None:
    """Write, in this folder, tags with errors, moved scans, and a config that has them all."""
    every = plan.section["frames"]["every"]
    rows: dict[str, Any] = {}
    for share in SHARES:
        name = f"{100 * share:.0f}"
        write_tags(plan, share, Path(f"tags_{name}.csv"))
        rows[f"{name} % of the tags wrong"] = {
            "tags": {"source": "file", "file": f"tags_{name}.csv"}
        }
    rows["half the frames"] = {"frames": {"every": 2 * every}}

    raw = Path("moved", plan.raw.name)  # named after the simulation, so that it is never another's
    for scan in plan.facts.scans:
        write_moved(plan.raw / "scans" / scan, raw / "scans" / scan)
    moved = {key: value for key, value in section.items() if key != "simulate"} | {"raw": str(raw)}
    weak = [v for v in plan.section["train"]["variants"] if v != SUPERVISED]
    moved["train"] = section["train"] | {"variants": weak[-1:]}
    write_config(Path(), {DATASET: section | {"ablation": rows}, MOVED: moved})


def write_tags(plan: Plan, share: float, path: Path) -> None:
    """Write the tags of the training scans with errors, as a user writes them."""
    lines = []
    for scan in plan.splits["train"]:
        entry = read_entry(plan.link("tags", scan))
        present = read_array(entry, "present").astype(bool)
        wrong = wrong_tags(present, share, rng_of(scan))
        names = [name for name, tagged in zip(class_names(entry), wrong, strict=True) if tagged]
        lines.append([scan, "|".join(names)])
    write_csv(path, ("scan", "classes"), lines)


def read_rows() -> tuple[list[ablation.Row], str]:
    """The results of each condition from the tables in this folder, and the protocol."""
    report = json.loads(Path("results", DATASET, "ablation", "latest", "table.json").read_text())
    of_moved = json.loads(Path("results", MOVED, "latest", "table.json").read_text())
    rows = [ablation.Row(row["name"], row["changes"], row["results"]) for row in report["rows"]]
    return [*rows, row_of_moved(rows[0], of_moved["results"])], report["protocol"]


def row_of_moved(first: ablation.Row, results: Sequence[Result]) -> ablation.Row:
    """Of the scores of moved scans those that the rows of the ablation have."""
    kinds = {result["row"] for result in first.results}
    own = [result for result in results if result["row"] in kinds]
    return ablation.Row(f"cameras moved by {100 * OFFSET:.0f} cm", [], own)


def table(rows: Sequence[ablation.Row], protocol: str) -> str:
    """The scores of each condition, and their difference to those of the first."""
    found = ablation.scored(rows)

    def cells(first: Line | None, line: Line | None) -> list[str]:
        if first is None or line is None:
            return ["-", "-"]
        change = ablation.difference(first, line, protocol)
        shown = "" if line is first or change is None else f"{round(change, 1) + 0:+.1f}"
        return [cell(line.values("points", protocol, "mIoU")), shown]

    lines = [["", "seeds", "mIoU", "diff", "voted", "diff", "labels", "diff"]]
    for each in found:
        seeds = str(len(each.line.results))
        pairs = [(getattr(found[0], n), getattr(each, n)) for n in ("line", "voted", "labels")]
        lines.append([each.row.name, seeds, *(text for pair in pairs for text in cells(*pair))])
    scans = len(found[0].line.results[0]["scans"])
    return (
        f"\n{found[0].line.name} on {scans} simulated rooms, mIoU in percent of points, protocol\n"
        f"{protocol}; mean ± standard deviation over seeds. voted: averaged over superpoints.\n"
        "labels: pseudo-labels of the training rooms. diff: less that of the first row.\n\n"
        + tables.aligned(lines, left={0})
    )


def of_split(rows: Iterable[dict[str, str]], split: str) -> list[dict[str, str]]:
    return [row for row in rows if row["split"] == split]


def write_csv(path: Path, head: Sequence[str], lines: Iterable[Sequence[str]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([head, *lines])


def write_config(folder: Path, datasets: dict[str, Any]) -> None:
    described = {"store": os.environ["SCAN_STORE"], **datasets}
    (folder / config.CONFIG).write_text(yaml.safe_dump(described, sort_keys=False))


def snakemake(cores: int, *targets: str) -> None:
    """Make targets in this folder; a failure ends the benchmark."""
    command = [sys.executable, "-m", "snakemake", "--cores", str(cores), *targets]
    done = subprocess.run(command)
    if done.returncode:
        sys.exit(done.returncode)


if __name__ == "__main__":
    main()
