"""Plans and stores of a tiny dataset, made by hand: nothing is read and nothing is computed."""

import json
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.facts import Facts
from pipeline.plan.plan import Entry, Plan
from pipeline.store import arrays, entry, groups, publish

CLASSES = [{"name": "wall", "nyu40": 1, "color": "#000000", "prompts": ["wall"]}]


def facts(
    root: Path,
    train: Iterable[str] = ("scene0000_00",),
    val: Iterable[str] = ("scene0001_00",),
    *,
    dataset: str = "scannet",
    voxel_size: float = 0.05,
    raw: str = "0",
    work: str = "work",
) -> dict[str, Any]:
    """The facts that `Plan.make` would collect; `raw` is the first digit of all raw digests."""
    scans = [*train, *val]
    section = {
        "reader": "scannet",
        "frames": {"every": 1},
        "voxels": {"voxel_size": voxel_size},
        "tags": {"source": "dense", "min_share": 0.01},
        "embeddings": {"model": "ViT-B-16", "pretrained": "openai"},
        "text": {"templates": ["a {}"]},
        "train": {"variants": ["esgs"], "seeds": [0]},
    }
    return {
        "dataset": dataset,
        "store": str(root),
        "work": work,
        "results": "results",
        "section": section,
        "splits": {"train": [*train], "val": [*val]},
        "seeds": dict.fromkeys(scans, 0),
        "classes": CLASSES,
        "protocol": "scannet_official",
        "has_labels": True,
        "blessed": {},
        "tags": None,
        "weights": None,
        "raw_digests": {
            scan: dict.fromkeys(("frames", "cloud", "labels"), f"{raw}{number:063x}")
            for number, scan in enumerate(scans)
        },
    }


def plan(root: Path, *args: Any, **kwargs: Any) -> Plan:
    """A plan of the dataset on a store; arguments as for `facts`."""
    return Plan(Facts.from_json(facts(root, *args, **kwargs)))


def make(plan: Plan, what: Entry, number: int = 0) -> Path:
    """Make one entry as the pipeline does, recorded and with its recipe; `number` is its data."""
    home = plan.home(*what)
    with publish.place(home, plan.recipe(what[0])) as path:
        write(path, np.arange(number, number + 40))
    return home


def write(path: Path, data: np.ndarray) -> None:
    """Write a sound entry for its place, of any of the three kinds."""
    if path.suffix == ".zip":
        with groups.create(path, {"classes": ["wall"]}) as out:
            arrays.write(out, "x", data)
    elif path.suffix == ".safetensors":
        part = {"dtype": "I64", "shape": [len(data)], "data_offsets": [0, data.nbytes]}
        header = {"__metadata__": {"entry": entry.identity(path)}, "x": part}
        encoded = json.dumps(header).encode()
        path.write_bytes(struct.pack("<Q", len(encoded)) + encoded + data.tobytes())
    else:
        content = {"entry": entry.identity(path), "results": data.tolist()}
        path.write_text(json.dumps(content), encoding="utf-8")


def tree(folder: Path) -> Mapping[str, bytes]:
    """Every file below a folder by its path."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
