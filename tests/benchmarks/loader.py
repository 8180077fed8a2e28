"""How fast scans of real size are read for a training, beside the network alone.

    python tests/benchmarks/loader.py [--scans 6] [--width 768] [--step]

Scans of 150,000 points on the planes of a room, in voxels of 2 cm, of which 90 % have a feature of
`width` numbers; one process, one thread, files in the page cache. Printed are CPU seconds a scan of

whole array   all features assembled by zarr, and those that survive voxelisation taken from them
the loader    what trainings use: a sample and its batch, rows gathered from the memory map
the file      its bytes read once, the least that all features can cost

and with --step one step of MinkUNet18A on the same batch on this machine's processor.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[2]))

from model.data.augment import Augmentation
from model.data.dataset import collate
from model.data.entries import ScanEntries, read_array, read_entry
from model.data.samples import make_sample
from pipeline.scan import Cloud
from pipeline.stages import voxels
from pipeline.store import arrays, groups

POINTS, ROOM, VOXEL, CLASSES, SEEN = 150_000, (5.2, 5.2, 2.6), 0.02, 20, 0.9
REPEATS = 3


def make_scan(folder: Path, width: int, rng: np.random.Generator) -> ScanEntries:
    """The entries of a scan that a training reads."""
    xyz, wall = rng.random((POINTS, 3)) * ROOM, rng.integers(0, 6, POINTS)
    for axis in range(3):
        for end in (0, 1):
            on = wall == 2 * axis + end
            xyz[on, axis] = end * ROOM[axis] + rng.normal(0, 0.005, on.sum())
    rgb, up = rng.integers(0, 256, (POINTS, 3)), np.zeros((POINTS, 3), np.float32)
    superpoint = (np.arange(POINTS) // 50).astype(np.int32)
    cloud = Cloud(xyz.astype(np.float32), rgb.astype(np.uint8), up, superpoint)
    names = ("voxels", "targets", "pseudo_labels", "tags")
    paths = [folder / name / "key" / "scan.zarr.zip" for name in names]
    for path in paths:
        path.parent.mkdir(parents=True)
    with groups.create(paths[0]) as group:
        voxels.Worker({"voxel_size": VOXEL})(group, cloud)
    count = len(read_array(read_entry(paths[0]), "voxel_xyz"))
    seen = np.flatnonzero(rng.random(count) < SEEN)
    with groups.create(paths[1]) as group:
        arrays.write(group, "voxel", seen.astype(np.uint32))
        feature = rng.standard_normal((len(seen), width), np.float32).astype(np.float16)
        arrays.write(group, "feature", feature, 4096, compress=False)
    with groups.create(paths[2]) as group:
        arrays.write(group, "label", rng.integers(-1, CLASSES, len(seen)).astype(np.int16))
    with groups.create(paths[3]) as group:
        arrays.write(group, "present", np.ones(CLASSES, bool))
    return ScanEntries("scan", *paths)


def whole_array(scan: ScanEntries, width: int) -> None:
    """A sample whose features are picked from the assembled array."""
    sample = make_sample(scan.read(), Augmentation(), np.random.default_rng(1))
    feature = read_array(read_entry(scan.targets), "feature")
    torch.from_numpy(np.concatenate([feature[sample.feature.row]]))


def loader(scan: ScanEntries, width: int) -> None:
    """A sample and its batch, as trainings read them."""
    collate([make_sample(scan.read(), Augmentation(), np.random.default_rng(1))])


def file(scan: ScanEntries, width: int) -> None:
    """The bytes of the features."""
    scan.targets.read_bytes()


def step(scan: ScanEntries, width: int) -> None:
    """A step of the network on one scan, forward and backward, with a loss of no cost."""
    from model.network.trained import build_network

    network = build_network(width, {"arch": "18A"}, 0, ("color",))
    batch = collate([make_sample(scan.read(), Augmentation(), np.random.default_rng(1))])
    begin = time.process_time()
    output = network.head(network.trunk(batch.inputs, batch.indices)[batch.row])
    output.sum().backward()
    print(f"{'step of MinkUNet18A':20} {time.process_time() - begin:8.3f} s")


def main() -> None:
    """Make the scans, time each way on all of them, and print the least of some repeats."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scans", type=int, default=6)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--step", action="store_true")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    ways: dict[str, Callable[[ScanEntries, int], None]] = {
        "whole array": whole_array,
        "the loader": loader,
        "the file": file,
    }
    with tempfile.TemporaryDirectory() as folder:
        rng = np.random.default_rng(0)
        scans = [
            make_scan(Path(folder) / str(number), asked.width, rng) for number in range(asked.scans)
        ]
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for scan in scans:
            loader(scan, asked.width)  # checks the bytes, once
        for _ in range(REPEATS):
            for name, way in ways.items():
                begin = time.process_time()
                for scan in scans:
                    way(scan, asked.width)
                seconds[name].append((time.process_time() - begin) / len(scans))
        unit = min(seconds["the loader"])
        for name, found in seconds.items():
            print(
                f"{name:20} {min(found):8.3f} s {min(found) / unit:6.1f} x  {1 / min(found):6.1f}/s"
            )
        if asked.step:
            step(scans[0], asked.width)


if __name__ == "__main__":
    main()
