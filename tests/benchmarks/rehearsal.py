"""The whole chain at real size, from simulated raw files to scores, with random weights.

    python tests/benchmarks/rehearsal.py FOLDER [--dataset scannet] [--preset fast] [--scans 3]
        [--frames 1600] [--edge 0.026] [--steps 4] [--cores 2] [--targets fp16]

FOLDER gets raw files, weights, store and results; a second call goes on where the first stopped,
and with other settings makes what they change. `--scans` rooms to train on and one to score on are
written as the release has them: ScanNet's `.sens` with colour of 1296 x 968 and depth of 640 x 480,
and a mesh with edges of `--edge` metres (0.026 gives about 150,000 vertices), or the trees of S3DIS
and 2D-3D-S with images of 1080 x 1080. Only 27 frames of a `.sens` are rendered, and then repeated
up to `--frames`, so that reading does all its work. The section of the config is taken as it is,
but for the image tower, whose shape is that of the preset and whose weights are random (`good` and
`best` are for GPUs; the text tower is small), and for few steps and two epochs of the adapter.

Printed for each stage are entries, seconds, CPU seconds and bytes of an entry, the largest memory,
all by the records of the store, and the hours and bytes of all official scans in one process, with
as many frames as those have. Scores mean nothing.
"""

import argparse
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).parents[2]))

from pipeline.plan import graph
from pipeline.plan.presets import presets
from pipeline.readers.scannet.sens import SensFile
from pipeline.simulate import s3dis_scan
from pipeline.simulate import scan as scannet_scan
from pipeline.simulate.scan import Split
from pipeline.simulate.scannet_sens import Sensor, write_sens
from pipeline.stages.declaration import Over
from tests.benchmarks.embeddings import write_tower

ROOT = Path(__file__).parents[2]
FURNITURE = "/usr/share/sweethome3d/furniture"
RENDERED = 27  # frames of a scan; 20, ScanNet's step, has no divisor in common with it
COLOR, DEPTH = (1296, 968), (640, 480)
VIEWS = 10  # images from a standpoint of S3DIS
OFFICIAL = {"scannet": 1513, "s3dis": 272}  # scans with labels
FRAMES = {"scannet": 1600, "s3dis": 260}  # of a scan, about
LINKED = ("Snakefile", "workflow", "pipeline", "model", "envs", "data_manifest", "pyproject.toml")
SMALL_TEXT = {"context_length": 77, "vocab_size": 49408, "width": 512, "heads": 8, "layers": 2}


def names(dataset: str, count: int) -> list[tuple[str, Split, int]]:
    """Scans with their splits and seeds, the last one to score on."""
    train: list[Split] = ["train"] * count
    splits: list[Split] = [*train, "val"]
    if dataset == "scannet":
        return [(f"scene{9000 + n}_00", split, 7000 + n) for n, split in enumerate(splits)]
    area = {"train": 1, "val": 5, "test": 5}
    return [(f"Area_{area[s]}_office_{n + 1}", s, 7000 + n) for n, s in enumerate(splits)]


def write_raw(asked: argparse.Namespace, raw: Path) -> None:
    """Write the scans that are not there yet."""
    for name, split, seed in names(asked.dataset, asked.scans):
        params: dict[str, Any] = {"furniture": FURNITURE}
        mark = raw / f"{name}-{asked.frames}-{asked.edge}.done"
        if mark.is_file():
            continue
        print(f"simulating {name}", flush=True)
        raw.mkdir(parents=True, exist_ok=True)
        if asked.dataset == "scannet":
            params |= {"color_size": COLOR, "depth_size": DEPTH, "mesh_edge": asked.edge}
            shown = min(RENDERED, asked.frames)
            scannet_scan.simulate_scan(name, seed, split, params | {"n_frames": shown}, raw)
            repeat(raw / "scans" / name / f"{name}.sens", asked.frames)
        else:
            params |= {"n_cameras": max(2, asked.frames // VIEWS), "n_views": VIEWS}
            params |= {"image_size": 1080, "spacing": asked.edge / 2}
            s3dis_scan.simulate_scan(name, seed, split, params, raw)
        mark.touch()


def repeat(path: Path, count: int) -> None:
    """Write a `.sens` again with its frames over and over, up to `count`."""
    file, whole = SensFile(path), path.with_suffix(".whole")
    sensor = Sensor(file.color_size, file.depth_size, file.color_intrinsics, file.depth_intrinsics)
    ids = file.frame_ids
    write_sens(
        whole,
        sensor,
        (replace(file.read(ids[n % len(ids)]), frame_id=n) for n in range(count)),
    )
    os.replace(whole, path)


def write_weights(folder: Path, preset: str) -> dict[str, Any]:
    """The settings of `embeddings` for a tower of the preset's shape with random weights."""
    settings = dict(presets()[preset]["embeddings"])
    model = str(settings["model"])
    if model.startswith("hf-hub:"):
        sys.exit(f"{preset} is a model that only its hub describes: take fast or good")
    if not (folder / "open_clip_model.safetensors").is_file():
        folder.parent.mkdir(parents=True, exist_ok=True)
        write_tower(folder, model, None if preset == "fast" else SMALL_TEXT)
    return settings | {"model": f"local-dir:{folder}", "pretrained": None}


def write_checkout(asked: argparse.Namespace, folder: Path) -> Path:
    """A folder that runs this checkout's code with a config of its own; the config's path."""
    home = folder / "checkout"
    home.mkdir(parents=True, exist_ok=True)
    for part in LINKED:
        if not (home / part).exists():
            (home / part).symlink_to(ROOT / part)
    rows = [
        (name, split) if asked.dataset == "scannet" else (name, split, name.split("_")[1])
        for name, split, _ in names(asked.dataset, asked.scans)
    ]
    head = ("scan", "split", "area")[: len(rows[0])]
    scans = folder / f"scans_{asked.dataset}.csv"
    scans.write_text("".join(",".join(row) + "\n" for row in [head, *rows]), encoding="utf-8")
    section = {
        "scans": str(scans),
        "raw": str(folder / "raw" / asked.dataset),
        "threads": asked.cores,
        "workers": min(1, asked.cores - 1),
        "embeddings": write_weights(folder / "towers" / asked.preset, asked.preset),
        "targets": {"codec": asked.targets},
        "train": {
            "variants": ["ess_esgs"],
            "optimiser": {"steps": asked.steps},
            "adapter": {"epochs": 2},
        },
    }
    config = {"store": str(folder / "store"), asked.dataset: section}
    path = folder / f"{asked.dataset}.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path


def entries(folder: Path, dataset: str) -> dict[str, list[dict[str, float]]]:
    """Stage -> the records of its entries in the last run: seconds, cpu, memory_mb and bytes."""
    plan = folder / "checkout/work" / dataset / "plan.json"
    found: dict[str, list[dict[str, float]]] = {}
    for stage, key in json.loads(plan.read_text(encoding="utf-8"))["keys"].items():
        for path in sorted((folder / "store" / dataset / stage / key / ".records").glob("*.json")):
            record = json.loads(path.read_text(encoding="utf-8"))
            if {"seconds", "cpu", "bytes"} <= set(record):
                found.setdefault(stage, []).append(record)
    return found


def report(folder: Path, dataset: str, frames: int) -> str:
    """The table of stages, of scans with so many `frames`."""
    scans, whole = OFFICIAL[dataset], FRAMES[dataset] / frames
    head = ("stage", "entries", "s", "CPU s", "MB peak", "MB", f"h, {scans}", "GB")
    lines = ["".join(f"{name:>{16 if name == 'stage' else 9}}" for name in head)]
    for name, records in entries(folder, dataset).items():
        stage, count = graph.stage(name), len(records)
        mean = {k: sum(r[k] for r in records) / count for k in ("seconds", "cpu", "bytes")}
        peak = max(record.get("memory_mb") or 0 for record in records)
        line = f"{name:>16}{count:9}{mean['seconds']:9.2f}{mean['cpu']:9.2f}{peak:9.0f}"
        line += f"{mean['bytes'] / 1e6:9.2f}"
        if stage.over is Over.SCAN:
            times, larger = (
                scans * (whole if "frames" in grows else 1)
                for grows in (stage.time_grows_with, stage.size_grows_with)
            )
            line += f"{mean['seconds'] * times / 3600:9.1f}{mean['bytes'] * larger / 1e9:9.1f}"
        lines.append(line)
    return "\n".join(lines)


def main() -> None:
    """Write what is missing, run the workflow, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--dataset", choices=tuple(OFFICIAL), default="scannet")
    parser.add_argument("--preset", choices=tuple(presets()), default="fast")
    parser.add_argument("--scans", type=int, default=3)
    parser.add_argument("--frames", type=int, default=1600)
    parser.add_argument("--edge", type=float, default=0.026)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--targets", default="fp16", help="codec of the fused embeddings")
    asked = parser.parse_args()
    folder = asked.folder.resolve()
    write_raw(asked, folder / "raw" / asked.dataset)
    config = write_checkout(asked, folder)
    command = [sys.executable, "-m", "snakemake", "--cores", str(asked.cores)]
    command += [f"train_{asked.dataset}", "--configfile", str(config)]
    ended = subprocess.run(command, cwd=folder / "checkout")
    print(report(folder, asked.dataset, asked.frames))
    sys.exit(ended.returncode)


if __name__ == "__main__":
    main()
