"""Plan 1,513 + 272 scans: with nothing made, and with every entry in the store.

    python tests/benchmarks/plan.py

The scans are stand-ins: raw files and entries of one byte. `raw files read` is the first command of
all, which takes their digests, and `nothing made` the second, with every job still to be run. Then
the store is filled: `cold` makes all links, `again` finds them, and `one missing` lost an embedding
that nothing waits for.
"""

import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).parents[2]))

from pipeline.readers.scannet.files import _names
from tests.helpers import stand_ins

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
    config["scannet"]["raw"] = "raw"
    path.write_text(yaml.safe_dump(config))
    for scan in scans:
        home = folder / "raw" / "scans" / scan
        home.mkdir(parents=True)
        for name in _names(scan).values():
            (home / name).write_bytes(b"x")


def timed(name: str, folder: Path) -> None:
    """Run the plain command and print its time and what it would do."""
    begin, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "train_scannet", "-n"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    seconds = time.monotonic() - begin
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
    peak = used.ru_maxrss / 1024
    said = (done.stdout + done.stderr).strip().splitlines()
    total = [line for line in said if line.startswith("total") or "Nothing to be done" in line]
    took = f"{seconds:5.1f} s, {cpu:5.1f} s of CPU, {peak:4.0f} MB at most so far"
    print(f"{name:14} {took}: {total[:1] or said[-5:]}")


def main() -> None:
    """Print the times."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_checkout(folder)
        timed("raw files read", folder)
        timed("nothing made", folder)
        print(stand_ins.fill(folder), "entries")
        timed("cold", folder)
        timed("again", folder)
        next(folder.glob("store/scannet/embeddings/*/scene0007_00@*")).unlink()
        timed("one missing", folder)


if __name__ == "__main__":
    main()
