"""A simulated scan in ScanNet's own files: a room, a walk, a mesh and its annotation."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.simulate import scannet_files
from pipeline.simulate.catalogue import Catalogue
from pipeline.simulate.recording import imu_samples, record
from pipeline.simulate.room import build_room
from pipeline.simulate.segments import over_segment
from pipeline.simulate.surface import Mesh, coarsen, nearest_thing, without_crumbs
from pipeline.simulate.world import World

# The packages whose version may change the bytes of a scan.
PACKAGES = ("numpy", "open3d", "pillow", "scipy", "trimesh")

Split = Literal["train", "val", "test"]

_SEGMENT_K = 0.0025  # about 120 vertices per segment, as in real scans
_OTHER = (38, 39, 40)  # NYU40: otherstructure, otherfurniture, otherprop
_STRAY = (("rack", 50), ("stand", 149))  # ids that an old label map left in the release


@dataclass(frozen=True)
class Variety:
    """The ways in which ScanNet's files differ from scan to scan, all supported by the reader."""

    n_lost: int  # frames with a pose of -inf
    imu: bool  # whether the `.sens` has IMU samples
    json_style: scannet_files.JsonStyle
    crlf: bool
    blank: bool  # one label has a trailing blank
    stray: bool  # two small objects have ids that are not NYU40's
    hires: bool  # the mesh before decimation is written too


def simulate_scan(
    scan: str, seed: int, split: Split, params: Mapping[str, Any], folder: Path
) -> None:
    """Write the files of a simulated scan, determined by `seed`, into `folder/scans/<scan>/`.

    A scan of the split "test" goes to `folder/scans_test/<scan>/` and has no labels. The rooms to
    train on share no furniture model with the others. `params`: `furniture` (the folder of the
    catalogue's .sh3f files), `n_frames`, `color_size` and `depth_size` (width, height in pixels)
    and `mesh_edge` (metres, median length of the mesh's edges). Raises `BadInput` where there is
    no furniture.
    """
    catalogue = _catalogue(str(params["furniture"]))
    world = build_room(seed, catalogue, "train" if split == "train" else "heldout")
    rng = np.random.default_rng([seed, 2])
    variety = draw_variety(rng)
    recording = record(world, seed, params, variety.n_lost, rng)
    fine = recording.fusion.mesh()
    mesh = without_crumbs(coarsen(fine, params["mesh_edge"]))
    scan_to_room = np.linalg.inv(recording.room_to_scan)
    surface = annotate(mesh, world, scan_to_room, rng)
    hires = annotate(without_crumbs(fine), world, scan_to_room, rng) if variety.hires else None
    scannet_files.write_scan(
        folder / ("scans_test" if split == "test" else "scans"),
        scannet_files.SimulatedScan(
            scan,
            recording.sensor,
            recording.frames,
            surface,
            None if split == "test" else name_objects(world, surface, variety, rng),
            axis_alignment=_centred(world.outline) @ scan_to_room,
            imu=imu_samples(recording, rng) if variety.imu else None,
            hires=hires,
        ),
        variety.json_style,
        variety.crlf,
    )


def draw_variety(rng: np.random.Generator) -> Variety:
    """Draw the variety of a scan."""
    chance = rng.random(6)
    return Variety(
        n_lost=int(rng.integers(0, 3)),
        imu=bool(chance[0] < 0.5),
        json_style="compact" if chance[1] < 0.5 else "released",
        crlf=bool(chance[2] < 0.25),
        blank=bool(chance[3] < 0.4),
        stray=bool(chance[4] < 0.25),
        hires=bool(chance[5] < 0.1),
    )


def annotate(
    mesh: Mesh, world: World, scan_to_room: NDArray[np.floating], rng: np.random.Generator
) -> scannet_files.Surface:
    """Superpoints of the mesh and the object of each: thing i of the room is object i + 1.

    As in ScanNet complete superpoints are annotated, so one across two things counts as the larger
    part, and one small superpoint has been missed (object 0).
    """
    segment = over_segment(mesh.vertices, mesh.faces, k=_SEGMENT_K)
    in_room = mesh.vertices @ scan_to_room[:3, :3].T + scan_to_room[:3, 3]
    thing = nearest_thing(world, in_room.astype(np.float32))
    object_id = scannet_files.annotate_segments(segment, thing + 1)
    ids, sizes = np.unique(segment, return_counts=True)
    missed = rng.choice(ids[sizes <= np.median(sizes)])
    object_id = np.where(segment == missed, 0, object_id).astype(np.int32)
    return scannet_files.Surface(mesh.vertices, mesh.rgb, mesh.faces, segment, object_id)


def name_objects(
    world: World, surface: scannet_files.Surface, variety: Variety, rng: np.random.Generator
) -> dict[int, scannet_files.ObjectLabel]:
    """The annotator's name of each thing, with the mistakes of `Variety`."""
    things = enumerate(world.things, start=1)
    objects = {i: scannet_files.ObjectLabel(thing.name, thing.nyu40) for i, thing in things}
    if variety.stray:
        size = np.bincount(surface.object_id, minlength=len(objects) + 1)
        others = [i for i, label in objects.items() if size[i] > 0 and label.nyu40 in _OTHER]
        smallest = sorted(others, key=lambda i: size[i])
        for i, label in zip(smallest, _STRAY, strict=False):
            objects[i] = scannet_files.ObjectLabel(*label)
    if variety.blank:
        i = int(rng.choice(list(objects)))
        objects[i] = scannet_files.ObjectLabel(f"{objects[i].raw_category} ", objects[i].nyu40)
    return objects


@lru_cache(maxsize=1)
def _catalogue(furniture: str) -> Catalogue:
    return Catalogue(Path(furniture))


def _centred(outline: NDArray[np.float64]) -> NDArray[np.float64]:
    """(4, 4) that moves the centre of the room's floor to the origin."""
    shift = np.eye(4)
    shift[:2, 3] = -(outline.min(0) + outline.max(0)) / 2
    return shift
