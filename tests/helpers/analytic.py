"""The room of planes as a complete scan in ScanNet's files."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.scan import Frame
from pipeline.simulate import primitives, scannet_files
from pipeline.simulate import world as simulated
from tests.helpers.planes import (
    Array,
    Box,
    Scene,
    Surface,
    box_room,
    cameras,
    color_intrinsics,
    depth_intrinsics,
    render,
    surface,
)


@dataclass(frozen=True)
class AnalyticScan:
    """What the files of an analytic scan say, for a test to compare with."""

    scene: Scene
    surface: Surface
    color_size: tuple[int, int]  # (width, height)
    depth_size: tuple[int, int]
    color_intrinsics: Array  # (3, 3)
    depth_intrinsics: Array
    camera_to_world: Array  # (F, 4, 4), -inf where tracking was lost
    depth: NDArray[np.uint16]  # (F, h, w) millimetres


def write_analytic_scan(
    folder: Path,
    scan: str,
    *,
    n_frames: int = 6,
    color_size: tuple[int, int] = (96, 72),
    depth_size: tuple[int, int] = (64, 48),
    spacing: float = 0.1,
    lost: Collection[int] = (),
    labelled: bool = True,
    json_style: scannet_files.JsonStyle = "released",
    crlf: bool = False,
) -> AnalyticScan:
    """Write `box_room` as a ScanNet scan into `folder/<scan>/` and return its content.

    Frames in `lost` have a pose of -inf. Colour is flat JPEG, depth exact to the millimetre. The
    things are the objects, thing i as object i + 1. Without `labelled` it is a test scan.
    """
    scene = box_room()
    mesh = surface(scene, spacing)
    k_color = color_intrinsics(color_size)
    k_depth = depth_intrinsics(k_color, color_size, depth_size)
    true_poses = cameras(n_frames)
    depth = np.stack([render(scene, k_depth, pose, depth_size)[1] for pose in true_poses])
    depth_mm = np.rint(depth * 1000).astype(np.uint16)
    poses = true_poses.copy()
    poses[list(lost)] = -np.inf

    def frames() -> Iterator[Frame]:
        for i, pose in enumerate(true_poses):
            color = jpeg(render(scene, k_color, pose, color_size)[0])
            yield Frame(i, 33_333 * i, color, depth_mm[i], poses[i])

    things = enumerate(scene.things, start=1)
    objects = {i: scannet_files.ObjectLabel(thing.name, thing.nyu40) for i, thing in things}
    rgb = np.array([thing.rgb for thing in scene.things], np.uint8)[mesh.thing]
    scannet_files.write_scan(
        folder,
        scannet_files.SimulatedScan(
            scan,
            scannet_files.Sensor(color_size, depth_size, k_color, k_depth),
            frames(),
            scannet_files.Surface(mesh.vertices, rgb, mesh.faces, mesh.segment, mesh.thing + 1),
            objects if labelled else None,
            axis_alignment=np.eye(4) if labelled else None,
        ),
        json_style,
        crlf,
    )
    return AnalyticScan(scene, mesh, color_size, depth_size, k_color, k_depth, poses, depth_mm)


def world() -> simulated.World:
    """`box_room` as a simulated world: shell, cabinet and table are things 0, 1 and 2."""
    scene = box_room()

    def box(box: Box, rgb: tuple[float, float, float]) -> simulated.Shape:
        return primitives.box(box.low, box.high, simulated.Material(np.array(rgb, np.float32)))

    parts = [
        (simulated.Thing("wall", 1, "procedural:wall"), box(scene.room, (0.8, 0.8, 0.7))),
        (simulated.Thing("cabinet", 3, "cabinet"), box(scene.solids[0], (0.2, 0.3, 0.7))),
        (simulated.Thing("rack", 39, "rack"), box(scene.solids[1], (0.7, 0.2, 0.2))),
    ]
    outline = np.array([[0, 0], [4, 0], [4, 3], [0, 3]], float)
    return simulated.assemble(parts, outline, 2.5, [simulated.Lamp((2, 1.5, 2.3), (3, 3, 3))])


def jpeg(rgb: NDArray[np.uint8]) -> bytes:
    """A JPEG file of (h, w, 3) that keeps flat colours within a few grey levels."""
    file = BytesIO()
    Image.fromarray(rgb).save(file, "JPEG", quality=95, subsampling=0)
    return file.getvalue()
