"""Project and fuse one scan of real size, by the stages and by the straightforward method.

    python tests/benchmarks/fusion.py

150,000 points on the planes of a room, 80 frames of 640 x 480, grids of 24 x 32 x 512; one thread.
Each way is a process of its own, reads the same entries and writes its features; visibility and
weights are set equal. Beside the stages there are

every point   for each view project all N points, read the embedding of each (N x d), and add those
              of the visible points: the method as the reference release has it, with bilinear
              reading and a strict depth test in place of its nearest pixels and 25 %
seen points   the same, but with embeddings read for the visible points only, into an N x d of
              zeros: the least that a full N x d for each view can cost
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import zarr

sys.path.insert(0, str(Path(__file__).parents[2]))

from pipeline.grids.codecs import fp16
from pipeline.stages import projections, targets
from pipeline.stages.voxels import z_order
from pipeline.store import arrays
from tests.helpers import planes

POINTS, FRAMES, SIZE, GRID = 150_000, 80, (640, 480), (24, 32, 512)
ABSOLUTE, RELATIVE, BORDER = 0.03, 0.01, 10
EQUAL = {"incidence_power": 0.0, "half_distance": None, "border_ramp": 0.0}


def open_any(*args: Any, **kwargs: Any) -> Any:
    """A zarr group whose arrays are indexed without asking what they are."""
    return zarr.open_group(*args, **kwargs)


def make_entries(folder: Path) -> None:
    """The entries that come before: frames, voxels and embeddings."""
    scene, rng = planes.box_room(), np.random.default_rng(0)
    surface = planes.surface(scene, spacing=0.02)
    kept = rng.permutation(len(surface.vertices))[:POINTS]
    xyz, normal = surface.vertices[kept], surface.normal[kept]
    order = np.argsort(z_order(np.floor(xyz / 0.02).astype(np.int64) + 1))
    voxels = zarr.create_group(folder / "voxels")
    arrays.write(voxels, "voxel_xyz", xyz[order])
    arrays.write(voxels, "voxel_normal", normal[order])

    poses, k = planes.cameras(FRAMES), planes.color_intrinsics(SIZE)
    frames = zarr.create_group(folder / "frames")
    depth = arrays.create(frames, "depth", (FRAMES, SIZE[1], SIZE[0]), np.uint16, 1)
    for f, pose in enumerate(poses):
        depth[f] = np.rint(1000 * planes.render(scene, k, pose, SIZE)[1])
    arrays.write(frames, "camera_to_world", poses)
    for name in ("color_intrinsics", "depth_intrinsics"):
        arrays.write(frames, name, np.repeat(k[None], FRAMES, axis=0))
    frames.attrs.update(color_size=list(SIZE), depth_scale=1000.0)

    height, width, _ = GRID
    embeddings = zarr.create_group(folder / "embeddings")
    grid = rng.standard_normal((FRAMES, *GRID), np.float32)
    grid /= np.linalg.norm(grid, axis=-1, keepdims=True)
    arrays.write(embeddings, "grid", grid.astype(np.float16), 1, compress=False)
    ax, ay = width / SIZE[0], height / SIZE[1]
    embeddings.attrs["codec"] = "fp16"
    embeddings.attrs["pixel_to_grid"] = [[ax, ax / 2 - 0.5], [ay, ay / 2 - 0.5]]


def by_stages(folder: Path) -> None:
    """Run the two stages."""
    entry = {n: open_any(folder / n, mode="r") for n in ("frames", "voxels", "embeddings")}
    params = {
        "absolute_tolerance": ABSOLUTE,
        "relative_tolerance": RELATIVE,
        "border": BORDER,
        "weight": EQUAL,
    }
    pairs = zarr.create_group(folder / "projections")
    projections.Worker(params)(pairs, frames=entry["frames"], voxels=entry["voxels"])
    out = zarr.create_group(folder / "targets")
    targets.Worker({}, {"codec": fp16})(out, embeddings=entry["embeddings"], projections=pairs)


def straightforward(folder: Path, every_point: bool) -> None:
    """Accumulate one view after another over all points."""
    frames = open_any(folder / "frames", mode="r")
    embeddings = open_any(folder / "embeddings", mode="r")
    xyz = open_any(folder / "voxels", mode="r")["voxel_xyz"][:].astype(np.float64)
    depth = GRID[2]
    (ax, bx), (ay, by) = embeddings.attrs["pixel_to_grid"]
    homogeneous = np.column_stack([xyz, np.ones(len(xyz))])
    total, views = np.zeros((len(xyz), depth), np.float32), np.zeros(len(xyz), np.int64)
    full, view, corner = (np.empty_like(total) for _ in range(3))
    for f in range(FRAMES):
        pose, k = frames["camera_to_world"][f], frames["color_intrinsics"][f]
        x, y, z = (homogeneous @ np.linalg.inv(pose).T)[:, :3].T
        u, v = k[0, 0] * x / z + k[0, 2], k[1, 1] * y / z + k[1, 2]
        i, j = np.floor(u + 0.5), np.floor(v + 0.5)
        inside = (z > 0) & (i >= BORDER) & (i < SIZE[0] - BORDER)
        inside &= (j >= BORDER) & (j < SIZE[1] - BORDER)
        i, j = (np.where(inside, n, 0).astype(int) for n in (i, j))
        measured = frames["depth"][f][j, i] / 1000.0
        seen = inside & (measured > 0) & (np.abs(measured - z) <= ABSOLUTE + RELATIVE * z)
        views += seen
        column, row = ax * np.where(seen, u, 0) + bx, ay * np.where(seen, v, 0) + by
        cells = embeddings["grid"][f].reshape(-1, depth).astype(np.float32)
        if every_point:
            bilinear(cells, column, row, view, corner)
            total[seen] += view[seen]
        else:
            count = int(seen.sum())
            bilinear(cells, column[seen], row[seen], part := view[:count], corner[:count])
            full.fill(0)
            full[seen] = part
            total += full
    np.save(folder / "views.npy", views)
    np.save(folder / "mean.npy", (total / np.maximum(views, 1)[:, None]).astype(np.float16))


def bilinear(
    cells: np.ndarray, x: np.ndarray, y: np.ndarray, out: np.ndarray, corner: np.ndarray
) -> None:
    """Read `cells`, a grid of GRID's size, at columns x and rows y into `out` (N, d)."""
    height, width, _ = GRID
    x, y = np.clip(x, 0, width - 1), np.clip(y, 0, height - 1)
    left, top = np.minimum(x.astype(int), width - 2), np.minimum(y.astype(int), height - 2)
    right, below = (x - left).astype(np.float32), (y - top).astype(np.float32)
    first = top * width + left
    out.fill(0)
    for step, weight in (
        (0, (1 - right) * (1 - below)),
        (1, right * (1 - below)),
        (width, (1 - right) * below),
        (width + 1, right * below),
    ):
        np.take(cells, first + step, axis=0, out=corner, mode="clip")
        corner *= weight[:, None]
        out += corner


def check_equal(folder: Path) -> None:
    """Raise unless both ways give the same voxels, views and, within fp16, features."""
    out = open_any(folder / "targets", mode="r")
    views, mean = np.load(folder / "views.npy"), np.load(folder / "mean.npy", mmap_mode="r")
    voxel = out["voxel"][:]
    np.testing.assert_array_equal(voxel, np.flatnonzero(views))
    np.testing.assert_array_equal(out["views"][:], views[voxel])
    off = np.abs(out["feature"][:].astype(np.float32) - mean[voxel].astype(np.float32))
    largest = np.abs(mean[voxel]).max()
    print(f"  equal: {len(voxel)} voxels seen {views.mean():.1f} times on average", end=", ")
    print(f"features differ by {off.max():.1e} at most (largest value {largest:.2f})")
    assert off.max() <= 2**-10 * largest


def peak_megabytes() -> float:
    """Peak resident memory of this process; getrusage would count its parent's as well."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_entries(folder)
        took = {}
        for way in WAYS:
            done = subprocess.run(
                [sys.executable, __file__, way, name],
                check=True,
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, "OMP_NUM_THREADS": "1", "BLOSC_NTHREADS": "1"},
            )
            took[way] = [float(number) for number in done.stdout.split()]
            wall, cpu, peak = took[way]
            ratios = [mine / theirs for mine, theirs in zip(took[way], took["stages"], strict=True)]
            print(f"{way:11} {wall:6.2f} s, CPU {cpu:6.2f} s, peak {peak:5.0f} MB", end="")
            print(" = {:.1f}, {:.1f} and {:.1f} times the stages".format(*ratios))
            if way != "stages":
                check_equal(folder)
    assert took["every point"][1] >= 10 * took["stages"][1]


WAYS = {
    "stages": by_stages,
    "every point": lambda folder: straightforward(folder, every_point=True),
    "seen points": lambda folder: straightforward(folder, every_point=False),
}

if __name__ == "__main__":
    if len(sys.argv) == 3:
        begin, begin_cpu = time.perf_counter(), time.process_time()
        WAYS[sys.argv[1]](Path(sys.argv[2]))
        print(time.perf_counter() - begin, time.process_time() - begin_cpu, peak_megabytes())
    else:
        main()
