"""A cloud from depth images: a truncated signed distance field (Curless and Levoy, 1996).

It is stored in Open3D's sparse voxel grid; only blocks near a surface use memory.
"""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import open3d as o3d
from numpy.typing import NDArray

from pipeline.errors import BadInput
from pipeline.geometry import pairs
from pipeline.geometry.cameras import transform, unproject, world_to_camera
from pipeline.geometry.poses import is_rigid
from pipeline.images import decoded
from pipeline.readers.folder.witnesses import MAX_DEPTH, Witness, kept, too_far, witness
from pipeline.scan import Frame, RawFrames
from pipeline.whole_frames import whole_frames

VOXEL = 0.02  # metres
MAX_FRAMES = 1000  # spread over the recording, to bound the time: more improve little
MAX_BLOCKS = 200_000  # of 8 x 8 x 8 voxels, 6 KB each: a surface of about 2,000 square metres

_BLOCK = 8  # voxels along a block
_TRUNCATION = 4.0  # voxels
_STEP = 2  # every n-th pixel is used to find blocks
_HALF = 1 << 20  # blocks to either side of the origin that can be numbered
_FIRST_BLOCKS = 10_000  # allocated at the start
# Open3D truncates pixel coordinates: its (0, 0) is the corner of the first pixel, not the centre.
_CORNER = np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])
_MIN_WEIGHT = 0.0  # a voxel needs more: what one frame saw counts, unless others look through it

# Times what right scans disagree at most: poses at random give 17, depth of another unit 4 to 14.
CONTRADICTION = 2.0
USUAL_DEPTH = 0.4, 10.0  # metres: the median depth of rooms
_COMPARED = 24  # frames

Array = NDArray[np.float64]


@dataclass(frozen=True)
class _Depth:
    depth: Array  # (H, W) metres
    depth_intrinsics: Array
    camera_to_world: Array


def fuse(frames: RawFrames) -> tuple[Array, NDArray[np.uint8], Array]:
    """Positions (N, 3), colours (N, 3) and unit normals (N, 3), sorted by position.

    Normals point to the side that was seen. A surface that one frame alone saw is kept unless
    others look through it. Raises `BadInput` where no frame has depth, hardly any surface is left,
    frames contradict each other, the scan is too large, or an image is damaged.
    """
    require_agreement(frames)
    grid = o3d.t.geometry.VoxelBlockGrid(
        attr_names=("tsdf", "weight", "color"),
        attr_dtypes=(o3d.core.float32, o3d.core.uint16, o3d.core.uint16),
        attr_channels=[o3d.core.SizeVector([n]) for n in (1, 1, 3)],
        voxel_size=VOXEL,
        block_resolution=_BLOCK,
        block_count=_FIRST_BLOCKS,
        device=o3d.core.Device("CPU:0"),
    )
    every = len(frames.frame_ids)
    depth_k = np.broadcast_to(frames.depth_intrinsics, (every, 3, 3))
    color_k = np.broadcast_to(frames.color_intrinsics, (every, 3, 3))
    posed = [i for i, each in enumerate(frames.frame_ids) if is_rigid(frames.pose(each))]
    place = {frames.frame_ids[i]: i for i in posed[:: -(-len(posed) // MAX_FRAMES) or 1]}
    seen: list[Witness] = []
    measured = beyond = 0  # pixels
    for frame in whole_frames(frames, list(place)):
        i = place[frame.frame_id]
        metres = frame.depth / np.float32(frames.depth_scale)
        seen.append(witness(metres, depth_k[i], frame.camera_to_world))
        measured += int(np.count_nonzero(metres))
        beyond += int(np.count_nonzero(metres > MAX_DEPTH))
        blocks = touched(frame, depth_k[i], frames.depth_scale)
        if len(blocks) == 0:
            continue
        depth = o3d.t.geometry.Image(_tensor(frame.depth))
        color = o3d.t.geometry.Image(_tensor(np.asarray(decoded(frame.color))))
        of_depth, of_color = _tensor(depth_k[i] + _CORNER), _tensor(color_k[i] + _CORNER)
        to_camera = _tensor(world_to_camera(frame.camera_to_world))
        scale = float(frames.depth_scale)
        where, far, cut = _tensor(blocks), MAX_DEPTH, _TRUNCATION
        grid.integrate(where, depth, color, of_depth, of_color, to_camera, scale, far, cut)
        if grid.hashmap().size() > MAX_BLOCKS:
            what = f"show more surface than {MAX_BLOCKS} blocks of {100 * _BLOCK * VOXEL:.0f} cm"
            raise BadInput("frames", what, "split the scan, or put a PLY file beside the frames")
    nothing = f"no frame with a pose has depth within {MAX_DEPTH:g} m"
    if grid.hashmap().size() == 0:
        raise BadInput("frames", nothing, "check the unit of depth, or leave the scan out")
    cloud = grid.extract_point_cloud(weight_threshold=_MIN_WEIGHT)
    if cloud.is_empty():
        raise BadInput("frames", nothing, "check the unit of depth, or leave the scan out")
    if sentence := too_far(beyond / max(1, measured)):
        warnings.warn(sentence, stacklevel=2)
    xyz = cloud.point.positions.numpy().astype(np.float64)
    rgb = np.rint(cloud.point.colors.numpy() * 255).clip(0, 255).astype(np.uint8)
    normal = cloud.point.normals.numpy().astype(np.float64)
    length = np.linalg.norm(normal, axis=1, keepdims=True)
    normal = np.divide(normal, length, out=np.zeros_like(normal), where=length > 0)
    stay = kept(seen, xyz)
    xyz, rgb, normal = xyz[stay], rgb[stay], normal[stay]
    order = np.lexsort(np.column_stack([normal, rgb, xyz]).T)  # the grid has no fixed order
    return xyz[order], rgb[order], normal[order]


def require_agreement(frames: RawFrames) -> None:
    """Raise `BadInput` where frames contradict each other about where surfaces are.

    Then what they show together is no room, however many points it has. A smaller disagreement
    that right scans do not have either is a warning.
    """
    _require_walk(frames)
    views = [*_depths(frames)]
    found = pairs.compare(views)
    if found is None:
        _require_plausible(views)
        return
    if found.ratio <= 1:
        return
    what = (
        f"frames disagree by {pairs.length(found.metres)} about what they see, "
        f"where right scans do by less than {pairs.length(found.bound)}"
    )
    if found.ratio > CONTRADICTION:
        remedy = "run `python -m pipeline doctor --path` on the scan, which tries what is wrong"
        raise BadInput("poses and depth", what, remedy)
    warnings.warn(f"{what}; `python -m pipeline doctor` says more.", stacklevel=2)


def _require_walk(frames: RawFrames) -> None:
    """Raise `BadInput` where no frame can see what the one before it saw."""
    poses = [pose for pose in map(frames.pose, frames.frame_ids) if is_rigid(pose)]
    steps = np.linalg.norm(np.diff([pose[:3, 3] for pose in poses], axis=0), axis=-1)
    if len(poses) > 1 and np.median(steps) > 2 * MAX_DEPTH:
        what = f"cameras are {np.median(steps):,.0f} m from one frame to the next"
        raise BadInput("poses", what, "give their positions in metres")


def _require_plausible(views: Sequence[_Depth]) -> None:
    """Raise `BadInput` where depth that no other frame confirms is not that of a room."""
    measured = [view.depth[view.depth > 0] for view in views]
    if not sum(map(len, measured)):
        return
    usual = float(np.median(np.concatenate(measured)))
    if not USUAL_DEPTH[0] <= usual <= USUAL_DEPTH[1]:
        near = f"half of it is within {pairs.length(usual)} of the camera"
        remedy = "check its unit: `python -m pipeline doctor --path` tries some"
        raise BadInput("depth", f"{near}, and no two frames overlap", remedy)


def _depths(frames: RawFrames) -> Iterator[_Depth]:
    every = len(frames.frame_ids)
    k = np.broadcast_to(frames.depth_intrinsics, (every, 3, 3))
    posed = [i for i, each in enumerate(frames.frame_ids) if is_rigid(frames.pose(each))]
    for place in np.unique(np.linspace(0, len(posed) - 1, _COMPARED).astype(int)) if posed else ():
        frame = frames.read(frames.frame_ids[posed[place]])
        yield _Depth(frame.depth / frames.depth_scale, k[posed[place]], frame.camera_to_world)


def touched(frame: Frame, intrinsics: Array, depth_scale: float) -> NDArray[np.int32]:
    """The blocks (B, 3) that the surface in a depth image may need, in a fixed order.

    Open3D's own function fails on an image without depth. Each ray is sampled where it meets the
    surface, and before and behind it by the truncation distance, which is less than a block.
    """
    height, width = frame.depth.shape
    v, u = np.mgrid[:height:_STEP, :width:_STEP].reshape(2, -1)
    z = frame.depth[v, u] / depth_scale
    there = (z > 0) & (z <= MAX_DEPTH)
    uv, z = np.column_stack([u, v])[there].astype(np.float64), z[there]
    reach = _TRUNCATION * VOXEL
    points = [unproject(intrinsics, uv, z + step) for step in (-reach, 0, reach)]
    world = transform(frame.camera_to_world, np.concatenate(points))
    block = np.floor(world / (_BLOCK * VOXEL))
    block = block[(abs(block) < _HALF).all(1)].astype(np.int64) + _HALF
    key = np.unique((block[:, 0] * 2 * _HALF + block[:, 1]) * 2 * _HALF + block[:, 2])
    xy, z_of = np.divmod(key, 2 * _HALF)
    return (np.stack([*np.divmod(xy, 2 * _HALF), z_of], 1) - _HALF).astype(np.int32)


def _tensor(array: NDArray) -> o3d.core.Tensor:
    return o3d.core.Tensor.from_numpy(np.ascontiguousarray(array))
