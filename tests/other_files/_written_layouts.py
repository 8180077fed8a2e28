"""The ways in which folders of frames are written, and what of each is necessary."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.scan import Frame
from tests.helpers import tiny_layouts, tiny_phones
from tests.helpers.room_frames import K_COLOR, encoded, put, quaternion
from tests.helpers.tiny_folders import LAYOUTS

Write = Callable[[Path, list[Frame]], None]


def with_angle(folder: Path, written: list[Frame], **options: Any) -> None:
    """transforms.json without fl_x: the angle that the image spans."""
    tiny_layouts.write_transforms(folder, written, **options)
    path = folder / "transforms.json"
    values = json.loads(path.read_text())
    for side, axis in (("w", "x"), ("h", "y")):
        angle = 2 * np.arctan(values[side] / 2 / values.pop(f"fl_{axis}"))
        values[f"camera_angle_{axis}"] = float(angle)
    put(path, json.dumps(values))


def renamed(folder: Path, written: list[Frame], old: str, new: str, write: Write) -> None:
    write(folder, written)
    (folder / old).rename(folder / new)


def applied_scale(folder: Path, written: list[Frame], scale: float) -> None:
    """nerfstudio's poses, scaled to fit into a box."""
    scaled = [replace(f, camera_to_world=f.camera_to_world.copy()) for f in written]
    for f in scaled:
        f.camera_to_world[:3, 3] *= scale
    tiny_layouts.write_transforms(folder, scaled, applied_scale=scale)


def named(folder: Path, written: list[Frame], unit: float, late: tuple[float, float]) -> None:
    """Names that are times of three clocks, in seconds with a point or in 1 / `unit`."""
    for f in written:
        names = []
        for offset in (0.0, *late):
            time = 1_700_000_000 + f.frame_id / 15 + offset
            names.append(f"{time:.6f}" if unit == 1 else str(round(time * unit)))
        put(folder / f"rgb/{names[0]}.jpg", f.color)
        put(folder / f"depth/{names[1]}.png", encoded(f.depth, "PNG"))
        put(folder / f"poses/{names[2]}.txt", f.camera_to_world)
    put(folder / "intrinsics.txt", K_COLOR)


def pattern(folder: Path, written: list[Frame], names: tuple[str, str, str]) -> None:
    """Any names of files, as formats of the number of a frame."""
    for f in written:
        color, depth, pose = (folder / name.format(f.frame_id) for name in names)
        put(color, f.color)
        put(depth, encoded(f.depth, "PNG"))
        put(pose, f.camera_to_world)
    put(folder / "intrinsics.txt", K_COLOR)


def lines(folder: Path, written: list[Frame], kind: str) -> None:
    """poses.txt whose lines begin with the number of a frame, in no order."""
    tiny_layouts.write_stacked(folder, written)
    rows = []
    for f in written[::-1]:
        values = f.camera_to_world[: 3 if kind == "3 x 4" else 4].ravel()
        if kind == "TUM":
            values = np.array([*f.camera_to_world[:3, 3], *quaternion(f.camera_to_world)])
        rows.append(f"{f.frame_id} {tiny_layouts.text_of(values)}")
    put(folder / "poses.txt", "\n".join(rows))


def ways() -> list[tuple[str, Write, bool, bool]]:
    """What is written, how, whether any world is known by its cameras, and whether any numbers."""
    t, p = tiny_layouts, tiny_phones
    found: list[tuple[str, Write, bool, bool]] = [
        (name, LAYOUTS[name].write, name in ("own", "export"), name in ("own", "export", "3dmatch"))
        for name in ("own", "export", "tum", "3dmatch", "open3d", "scanner", "record3d", "exr")
    ]
    for key in ("depth_file_path", "depth_path"):
        for per_frame in (False, True):
            for ending in (False, True):
                write = partial(
                    t.write_transforms, per_frame=per_frame, ending=ending, depth_key=key
                )
                found.append((f"transforms {key} {per_frame} {ending}", write, True, True))
    for unit in ("integer_depth_scale", "depth_unit_scale_factor"):
        found.append((unit, partial(t.write_transforms, **{unit: 0.001}), True, True))  # type: ignore[arg-type]
    found += [
        ("transforms with angles", with_angle, True, True),
        ("a scaled transforms.json", partial(applied_scale, scale=0.31), True, True),
        ("a little distortion", partial(t.write_transforms, k1=1e-4, p2=-1e-4), True, True),
        ("replica", t.write_replica, True, False),
        ("rgb/ and poses/", t.write_numbered, True, True),
        ("one folder", t.write_flat, True, True),
        ("scannet++", p.write_scannet_pp, True, True),
        ("arkitscenes", p.write_arkit_scenes, False, True),
        ("polycam", p.write_polycam, False, True),
        ("polycam, optimised", partial(p.write_polycam, corrected=True), False, True),
        ("stray", p.write_stray, False, True),
        ("stray of old", partial(p.write_stray, header=False), False, False),
    ]
    for per_second in (1, 1e3, 1e6, 1e9):
        for late in ((0.0, 0.0), (0.004, -0.006), (-0.01, 0.01)):
            write = partial(named, unit=per_second, late=late)
            found.append((f"times in 1 / {per_second:g} s, late {late}", write, True, True))
    found += [
        (f"names {names}", partial(pattern, names=names), True, True)
        for names in (
            ("color/frame_{:04d}.jpg", "depth/{}.png", "pose/{:08d}.txt"),
            ("images/IMG_2024_{}.jpg", "depth/depth{:03d}.png", "poses/scan2_pose{}.txt"),
            ("Color/{:05d}.jpg", "Depth/{:05d}.png", "Pose/{:05d}.txt"),
            ("color_{}.jpg", "depth_{}.png", "pose_{}.txt"),
            ("frame{:03d}.rgb.jpg", "frame{:03d}.depth.png", "frame{:03d}.pose.txt"),
            ("rgb-{:06d}.jpg", "depth-{:06d}.png", "pose-{:06d}.txt"),
        )
    ]
    found += [
        (f"numbers and {kind}", partial(lines, kind=kind), True, True)
        for kind in ("TUM", "3 x 4", "4 x 4")
    ]
    for rows in (3, 4):
        for per_line in (False, True):
            write = partial(t.write_stacked, rows=rows, per_line=per_line)
            found.append((f"poses.txt, {rows} rows, {per_line}", write, True, False))
            other = partial(renamed, old="poses.txt", new="traj.txt", write=write)
            found.append((f"traj.txt, {rows} rows, {per_line}", other, True, False))
    for place in (".", "sparse", "sparse/0", "colmap"):
        for points in ("", None, "1.5 2.5 -1 3.25 4.5 12"):
            write = partial(t.write_colmap, place=place, points=points)
            found.append((f"colmap in {place}, points {points!r}", write, True, True))
    for old, new in (("rgb", "images"), ("poses", "pose"), ("rgb", "image"), ("depth", "depths")):
        write = partial(renamed, old=old, new=new, write=t.write_numbered)
        found.append((f"{new}/ for {old}/", write, True, True))
    return found


# Of each layout: images of colour, of depth, poses (if a frame has a file), and necessary parts.
PATTERNS: dict[str, tuple[Write, tuple[str, ...], tuple[str, ...]]] = {
    name: (LAYOUTS[name].write, kinds, parts)
    for name, kinds, parts in (
        ("own", ("color/*", "depth/*", "pose/*"), ("color/*", "depth/*", "pose/*")),
        ("numbered", ("rgb/*", "depth/*", "poses/*"), ("rgb/*", "poses/*", "intrinsics.txt")),
        ("flat", ("*color*", "*depth*", "*pose*"), ("*color*", "*pose*", "intrinsics.txt")),
        ("tum", ("rgb/*", "depth/*"), ("rgb.txt", "depth.txt", "groundtruth.txt")),
        ("open3d", ("color/*", "depth/*"), ("color/*", "depth/*", "scene/*")),
        ("3dmatch", ("*color*", "*depth*", "*pose*"), ("*color*", "*depth*", "*pose*")),
        ("stacked", ("rgb/*", "depth/*"), ("rgb/*", "depth/*", "poses.txt", "intrinsics.txt")),
        ("replica", ("results/f*", "results/d*"), ("results/*", "traj.txt", "cam_params.json")),
        ("transforms", ("images/*", "depth/*"), ("images/*", "depth/*", "transforms.json")),
        ("colmap", ("images/*", "depth/*"), ("images/*", "depth/*", "sparse/0/images.txt")),
        ("polycam", tuple(f"keyframes/{k}/*" for k in ("images", "depth", "cameras")),
         tuple(f"keyframes/{k}/*" for k in ("images", "depth", "cameras"))),
        ("stray", ("rgb/*", "depth/*"), ("rgb/*", "depth/*", "odometry.csv", "camera_matrix.csv")),
        ("arkitscenes", ("lowres_wide/*", "lowres_depth/*", "lowres_wide_intrinsics/*"),
         ("lowres_wide/*", "lowres_depth/*", "lowres_wide.traj", "lowres_wide_intrinsics/*")),
        ("scannet++", ("iphone/rgb/*", "iphone/depth/*"),
         ("iphone/rgb/*", "iphone/depth/*", "iphone/*.json")),
    )
}  # fmt: skip
