"""What a pixel of 2D-3D-S sees is a point of S3DIS: in both releases, at any angle, in area_5b."""

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import cKDTree

from pipeline.geometry.cameras import transform, unproject
from pipeline.readers.s3dis.alignment import turned
from pipeline.readers.s3dis.cloud import read_cloud
from pipeline.readers.s3dis.files import scan_files
from pipeline.readers.s3dis.frames import open_frames
from pipeline.readers.s3dis.point_text import read_points
from pipeline.scan import RawFrames
from pipeline.simulate.s3dis_files import write_room
from pipeline.simulate.s3dis_text import ALIGNED, NOT_ALIGNED
from tests.helpers.tiny_s3dis import files_of, room

SIZE = 40
CASES = [("1", None), ("5", None), ("5", "area_5b")]


def seen(frames: RawFrames) -> tuple[np.ndarray, np.ndarray]:
    """What every pixel with depth sees (P, 3), and half the width (P,) of a pixel there."""
    v, u = (axis.ravel() for axis in np.mgrid[:SIZE, :SIZE])
    points, halves = [], []
    for i, frame_id in enumerate(frames.frame_ids):
        frame, k = frames.read(frame_id), frames.depth_intrinsics[i]
        depth = frame.depth[v, u] / frames.depth_scale
        there = depth > 0
        assert there.sum() == SIZE**2 - 45 * (i == 0)
        uv = np.column_stack([u, v])[there].astype(float)
        points.append(transform(frame.camera_to_world, unproject(k, uv, depth[there])))
        halves.append(depth[there] / k[0, 0] / 2)
    return np.concatenate(points), np.concatenate(halves)


@pytest.mark.parametrize("angle", [0, 90, 180, 270])
@pytest.mark.parametrize(("area", "images"), CASES)
def test_a_pixel_sees_a_point_in_both_frames(
    tmp_path: Path, angle: int, area: str, images: str | None
) -> None:
    written = room(area, angle=angle, n_views=4, size=SIZE)
    write_room(tmp_path, written, [NOT_ALIGNED, ALIGNED], images)
    scan = f"Area_{area}_office_1"
    points, half = seen(open_frames(scan_files(tmp_path, scan)["frames"]))
    assert half.min() > 0.005  # so that the closest test below is the stricter one

    aligned, _ = read_points(tmp_path / ALIGNED / f"Area_{area}/office_1/office_1.txt")
    away, _ = cKDTree(read_cloud(scan_files(tmp_path, scan)["cloud"]).xyz).query(points)
    assert away.max() < 0.002
    (tmp_path / NOT_ALIGNED).rename(tmp_path / "kept")
    (tmp_path / "kept" / f"Area_{area}").rename(tmp_path / "kept" / "put away")
    away, _ = cKDTree(read_cloud(scan_files(tmp_path, scan)["cloud"]).xyz).query(points)
    assert away.max() < 0.002

    # The same in the frame of the aligned release, about the middle of its own points.
    middle = (aligned.min(0) + aligned.max(0)) / 2
    frame = np.vstack([points, 2 * middle - points])  # whose middle is that of the room
    away, _ = cKDTree(aligned).query(turned(frame, -angle)[: len(points)])
    assert away.max() < 0.002


def test_the_releases_differ_by_the_angle_alone(tmp_path: Path) -> None:
    for angle in (0, 90):
        raw = tmp_path / str(angle)
        write_room(raw, room(angle=angle, n_views=2, size=SIZE), [NOT_ALIGNED, ALIGNED])
        one, two = (read_points(path)[0] for path in files_of(raw, "office_1.txt"))
        away = np.abs(one - two).max()
        assert (away < 0.0011) if angle == 0 else (away > 0.5)


def test_half_a_pixel_or_another_part_of_area_5_would_be_seen(tmp_path: Path) -> None:
    """The test above is no empty one: it would not pass with either slip."""
    write_room(tmp_path, room("5", n_views=2, size=SIZE), images="area_5b")
    files = scan_files(tmp_path, "Area_5_office_1")
    tree = cKDTree(read_cloud(files["cloud"]).xyz)
    frames = open_frames(files["frames"])
    frames.depth_intrinsics[:, :2, 2] += 0.5
    assert np.median(tree.query(seen(frames)[0])[0]) > 0.002
    as_5a = {f"area_5a/{name.partition('/')[2]}": path for name, path in files["frames"].items()}
    assert np.median(tree.query(seen(open_frames(as_5a))[0])[0]) > 1
