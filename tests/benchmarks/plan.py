"""Plan 1,513 + 272 scans, of which every entry is in the store: first look, and nothing to do.

    python tests/benchmarks/plan.py

The scans are stand-ins: names without raw files, whose digests the store has on record, and entries
of one byte. `cold` is the first command in a new work tree (all links are made and Snakemake plans
the whole run), `again` the second, and `one missing` the second after an embedding was lost.
"""

import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).parents[1]))

import stand_ins

ROOT = Path(__file__).parents[2]
PARTS = ("Snakefile", "workflow", "pipeline", "model", "envs", "data_manifest")
TRAIN, VAL = 1473, 312


def write_checkout(folder: Path) -> None:
    """A checkout whose ScanNet has as many scans as ScanNet and S3DIS together."""
    for part in PARTS:
        source = ROOT / part
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, folder / part)
    splits = ["train"] * TRAIN + ["val"] * VAL
    scans = [f"scene{number:04d}_00" for number in range(TRAIN + VAL)]
    rows = "".join(f"{s},{p}\n" for s, p in zip(scans, splits, strict=True))
    (folder / "scans.csv").write_text("scan,split\n" + rows)
    path = folder / "workflow" / "config.yaml"
    config = yaml.safe_load(path.read_text())
    config["scannet"]["scans"] = "scans.csv"
    path.write_text(yaml.safe_dump(config))
    records = folder / "store" / "scannet" / "raw"
    records.mkdir(parents=True)
    for number, scan in enumerate(scans):
        file = {"size": 1, "mtime": 1, "ctime": 1, "inode": 1, "sha256": f"{number:064x}"}
        groups = {group: {"file": file} for group in ("frames", "cloud", "labels")}
        (records / f"{scan}.json").write_text(json.dumps(groups))


def timed(name: str, folder: Path) -> None:
    """Run the plain command and print its time and what it would do."""
    begin = time.monotonic()
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "train_scannet", "-n"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    seconds = time.monotonic() - begin
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    said = (done.stdout + done.stderr).strip().splitlines()
    total = [line for line in said if line.startswith("total") or "Nothing to be done" in line]
    print(f"{name:12} {seconds:5.1f} s, {peak:5.0f} MB at most so far: {total or said[-5:]}")


def main() -> None:
    """Print the times."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_checkout(folder)
        timed("empty store", folder)
        print(stand_ins.fill(folder), "entries")
        timed("cold", folder)
        timed("again", folder)
        next(folder.glob("store/scannet/embeddings/*/scene0007_00@*")).unlink()
        timed("one missing", folder)


if __name__ == "__main__":
    main()
