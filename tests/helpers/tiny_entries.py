"""Small toy rooms, written as entries: coloured boxes whose embeddings are those of their words.

Embeddings are text embeddings plus noise, so that a network can learn them. Targets and
pseudo-labels do not depend on the entries of dense labels.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.data.entries import ScanEntries, read_array, read_entry
from model.data.labels import LabelledScan
from model.training import losses, variants
from model.training.fit_adapter import write_adapter
from model.training.fully_supervised import train_fully_supervised
from model.training.refine import LabelsConfig, write_refined_labels
from model.training.weakly_supervised import train_weakly_supervised
from pipeline.store import arrays, groups

CLASSES = ["floor", "wall", "chair", "table", "bed", "lamp"]
COLORS = np.array([[120, 90, 60], [220, 220, 210], [200, 30, 30], [40, 60, 200], [30, 180, 60]])
WIDTH = 24
VOXEL_SIZE = 0.1

LEANING = 3.0  # bias of embeddings towards a class in no room: the tags and ESS correct it

SMALL_NETWORK: dict[str, Any] = {
    "arch": "14A",
    "planes": [16] * 8,
    "stem_width": 16,
    "stem_kernel": 3,
}
PLAIN_ADAM: dict[str, Any] = {
    "name": "adam",
    "weight_decay": 0.0,
    "schedule": "poly",
    "warm_up": 0.0,
}
GENTLE: dict[str, Any] = {"tilt": 1.0, "scale": 0.05, "color": 0.02}


@dataclass(frozen=True)
class Room:
    """The entries of one toy room."""

    scan: str
    folder: Path

    def path(self, stage: str) -> Path:
        return self.folder / f"{self.scan}.{stage}.zarr.zip"

    @property
    def weak(self) -> ScanEntries:
        stages = ("voxels", "targets", "pseudo_labels", "tags")
        return ScanEntries(self.scan, *(self.path(stage) for stage in stages))

    @property
    def labelled(self) -> LabelledScan:
        return LabelledScan(self.scan, self.path("voxels"), self.path("labels"))


def text_embeddings() -> NDArray[np.float32]:
    """Words (K, d) of unit length; those of table and bed are close to each other."""
    words = np.eye(len(CLASSES), WIDTH)
    words[4] = 0.8 * words[3] + 0.6 * words[4]
    return words.astype(np.float32)


def write_text(folder: Path) -> Path:
    path = folder / "classes.text.zarr.zip"
    with groups.create(path, {"classes": CLASSES}) as out:
        arrays.write(out, "embedding", text_embeddings())
    return path


def write_room(folder: Path, scan: str, seed: int, leaning: float = LEANING) -> Room:
    """A floor, a wall and three boxes; a table or a bed, never both."""
    rng = np.random.default_rng(seed)
    xyz, label = _surfaces(rng, present := [2, int(rng.choice([3, 4]))])
    rgb = np.clip(COLORS[label] + rng.normal(0, 12, (len(label), 3)), 0, 255).astype(np.uint8)
    cell = np.floor(xyz / VOXEL_SIZE).astype(np.int32)
    coords, voxel_of_point = np.unique(cell, axis=0, return_inverse=True)
    voxel_of_point = voxel_of_point.astype(np.int32)
    count = np.bincount(voxel_of_point)

    def mean(values: NDArray) -> NDArray:
        return np.column_stack([np.bincount(voxel_of_point, v) / count for v in values.T])

    room = Room(scan, folder)
    attributes = {"voxel_size": VOXEL_SIZE, "origin": [0.0, 0.0, 0.0], "offset": [0.0, 0.0, 0.0]}
    with groups.create(room.path("voxels"), attributes) as out:
        arrays.write(out, "xyz", xyz)
        arrays.write(out, "rgb", rgb)
        arrays.write(out, "coords", coords)
        arrays.write(out, "voxel_of_point", voxel_of_point)
        arrays.write(out, "voxel_xyz", mean(xyz).astype(np.float32))
        arrays.write(out, "voxel_rgb", mean(rgb).astype(np.uint8))
        # Up where there is floor in the voxel, else unknown.
        flat = mean((label == 0)[:, None]) > 0
        arrays.write(out, "voxel_normal", np.where(flat, [0, 0, 1], 0).astype(np.float32))
        # Blocks of 30 cm, but for the voxels near the origin.
        block = np.unique(coords // 3, axis=0, return_inverse=True)[1]
        arrays.write(out, "voxel_segment", (block - 1).astype(np.int32))
        arrays.write(out, "left_out", np.empty(0, np.int64))
    write_labels(room, label)

    text = text_embeddings()
    of_voxel = np.zeros(len(coords), np.int64)
    of_voxel[voxel_of_point[::-1]] = label[::-1]
    seen = np.flatnonzero(rng.random(len(coords)) < 0.8)
    feature = 3 * text[of_voxel[seen]] + rng.normal(0, 0.8, (len(seen), WIDTH))
    feature += leaning * text[5]
    with groups.create(room.path("targets")) as out:
        arrays.write(out, "voxel", seen.astype(np.uint32))
        arrays.write(out, "feature", feature.astype(np.float16), chunk=4096, compress=False)
        arrays.write(out, "views", np.ones(len(seen), np.uint16))
    logits = feature @ text.T
    allowed = np.isin(np.arange(len(CLASSES)), [0, 1, *present])
    with groups.create(room.path("tags"), {"classes": CLASSES}) as out:
        arrays.write(out, "present", allowed)
    with groups.create(room.path("pseudo_labels"), {"classes": CLASSES}) as out:
        arrays.write(out, "open", logits.argmax(1).astype(np.int16))
        filtered = np.where(allowed, logits, -np.inf).argmax(1)
        arrays.write(out, "label", filtered.astype(np.int16))
        arrays.write(out, "confidence", np.ones(len(seen), np.float16))
    return room


def write_labels(room: Room, label: NDArray, classes: list[str] = CLASSES) -> None:
    path = room.path("labels")
    path.unlink(missing_ok=True)
    with groups.create(path, {"classes": classes}) as out:
        arrays.write(out, "label", label.astype(np.int16))
        arrays.write(out, "instance", np.zeros(len(label), np.int32))


def without_superpoints(room: Room) -> LabelledScan:
    """The same room with another entry `voxels`."""
    path, known = room.path("bare"), read_entry(room.path("voxels"))
    with groups.create(path, dict(known.attrs)) as out:
        for name in known.array_keys():
            values = read_array(known, name)
            arrays.write(out, name, np.full_like(values, -1) if "segment" in name else values)
    return LabelledScan(room.scan, path, room.path("labels"))


def write_rooms(folder: Path, seeds: Iterable[int], leaning: float = LEANING) -> list[Room]:
    return [write_room(folder, f"room{seed:04d}_00", seed, leaning) for seed in seeds]


def tiny_params(steps: int) -> dict[str, Any]:
    return {
        "network": SMALL_NETWORK,
        "optimiser": PLAIN_ADAM | {"steps": steps, "batch": 2, "lr": 5e-3},
        "augment": GENTLE,
        "loss": {"balance": True, "text": 0},
        "adapter": {"preset": "normalised", "epochs": 20, "batch": 2},
        "labels": {"source": "text"},
        "max_voxels": None,
    }


def loss_terms(loss: Mapping[str, Any]) -> dict[str, ModuleType]:
    """The modules of the loss terms that the section `loss` of a config chooses."""
    return {name: import_module(module) for name, module in losses.module_names(loss).items()}


def train_tiny(
    variant: str, rooms: list[Room], text: Path, out: Path, steps: int = 4, **options: Any
) -> Path:
    """Train one network into `out`.safetensors, with its own scratch folder."""
    return train_with(tiny_params(steps), variant, rooms, text, out, **options)


def train_with(
    settings: dict[str, Any], variant: str, rooms: list[Room], text: Path, out: Path, **options: Any
) -> Path:
    """The same, with other settings."""
    path, scratch = out.with_suffix(".safetensors"), out.with_suffix(".scratch")
    seed = options.pop("seed", 0)
    if variant == "supervised":
        scans = [room.labelled for room in rooms]
        train_fully_supervised(settings, seed, scans, text, path, scratch, **options)
    else:
        weak, adapter = [room.weak for room in rooms], None
        of_variant = variants.settings(variant, settings)
        if variants.VARIANTS[variant].specialised:
            adapter = out.with_suffix(".adapter.safetensors")
            write_adapter(of_variant["adapter"], weak, text, adapter, seed=seed)
            if variants.refined(variant, settings):
                labels = out.with_suffix(".labels.safetensors")
                config = LabelsConfig(**settings["labels"])
                write_refined_labels(config, weak, text, adapter, labels)
                weak = [replace(scan, refined=labels) for scan in weak]
        parts = loss_terms(of_variant["loss"])
        train_weakly_supervised(
            *(settings, variant, seed, weak, text, path, scratch),
            parts=parts,
            adapter=adapter,
            **options,
        )
    return path


def _surfaces(rng: np.random.Generator, present: list[int]) -> tuple[NDArray, NDArray]:
    """Points (N, 3) on a 2.4 m floor, a wall and three boxes, and their classes (N,)."""
    grid = np.stack(np.meshgrid(np.arange(0, 2.4, 0.05), np.arange(0, 2.4, 0.05)), -1)
    flat = grid.reshape(-1, 2)
    zero = np.zeros(len(flat))
    parts = [
        (np.column_stack([flat, zero]), 0),
        (np.column_stack([flat[:, 0], zero, flat[:, 1]]), 1),
    ]
    for kind in (2, *rng.choice(present, 2)):
        size = {2: (0.4, 0.4, 0.8), 3: (0.9, 0.5, 0.6), 4: (1.2, 0.9, 0.4)}[int(kind)]
        corner = [*rng.uniform([0.1, 0.2], [2.3 - size[0], 2.3 - size[1]]), 0.1]
        shell = rng.random((700, 3))
        face = rng.integers(0, 3, len(shell))
        shell[np.arange(len(shell)), face] = rng.integers(0, 2, len(shell))
        parts.append((shell * size + corner, int(kind)))
    xyz = np.concatenate([points for points, _ in parts])
    label = np.concatenate([np.full(len(points), kind) for points, kind in parts])
    return (xyz + rng.uniform(0.001, 0.01, xyz.shape)).astype(np.float32), label
