"""Fuse what a 2D model says over a scan of RGB-D frames: python fuse_own_scan.py FOLDER OUT.npz"""

import sys
from pathlib import Path

import numpy as np

from pipeline.geometry.visibility import Camera, see
from pipeline.images import decoded
from pipeline.readers.folder import cloud, files, frames

folder, out = map(Path, sys.argv[1:])
groups = files.scan_files(folder.parent, folder.name)  # any layout of docs/own_scans.md
scan, points = frames.open_frames(groups["frames"]), cloud.read_cloud(groups["cloud"])
each = (len(scan.frame_ids), 3, 3)
intrinsics = [np.broadcast_to(k, each) for k in (scan.color_intrinsics, scan.depth_intrinsics)]
total, views = np.zeros((len(points.xyz), 3)), np.zeros(len(points.xyz), int)
for number, color, depth in zip(scan.frame_ids, *intrinsics, strict=True):
    if np.isfinite(scan.pose(number)).all():  # tracking was not lost
        frame, scale = scan.read(number), scan.depth_scale
        camera = Camera(scan.color_size, color, frame.depth, scale, depth, frame.camera_to_world)
        # Points of which the frame sees the surface itself: to 5 cm, and 2 % of their distance.
        seen, uv, _ = see(camera, points.xyz, 0.05, 0.02)
        column, row = np.rint(uv).astype(int).T
        # Here a 2D model's (H, W, d) belongs; this "model" knows colours alone.
        total[seen] += np.asarray(decoded(frame.color))[row, column]
        views[seen] += 1
np.savez(out, xyz=points.xyz + points.offset, feature=total / views.clip(1)[:, None], views=views)
print(f"{(views > 0).mean():.0%} of {len(views):,} points seen, by {views.mean():.1f} frames each")
