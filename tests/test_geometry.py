"""Cameras: projection and un-projection agree for any camera."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.geometry import cameras as geometry

finite = st.floats(-50, 50, allow_nan=False, width=32)


@st.composite
def intrinsics(draw: st.DrawFn) -> np.ndarray:
    fx, fy = draw(st.floats(20, 2000)), draw(st.floats(20, 2000))
    skew = draw(st.floats(-5, 5))
    cx, cy = draw(st.floats(-100, 2000)), draw(st.floats(-100, 2000))
    return np.array([[fx, skew, cx], [0, fy, cy], [0, 0, 1]])


@st.composite
def poses(draw: st.DrawFn) -> np.ndarray:
    """camera_to_world with a rotation from random axes."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    pose = np.eye(4)
    pose[:3, :3] = rotation * np.linalg.det(rotation)
    pose[:3, 3] = [draw(finite) for _ in range(3)]
    return pose


@st.composite
def points(draw: st.DrawFn) -> np.ndarray:
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    return rng.uniform(-20, 20, (draw(st.integers(1, 40)), 3))


@given(intrinsics(), points())
def test_projecting_unprojected_pixels_returns_them(k: np.ndarray, p: np.ndarray) -> None:
    uv, z = 100 * p[:, :2], np.abs(p[:, 2]) + 0.1
    xyz = geometry.unproject(k, uv, z)
    np.testing.assert_allclose(geometry.project(k, xyz), uv, rtol=1e-9, atol=1e-6)
    np.testing.assert_array_equal(xyz[:, 2], z)


@given(intrinsics(), points())
def test_unprojecting_projected_points_returns_them(k: np.ndarray, p: np.ndarray) -> None:
    p[:, 2] = np.abs(p[:, 2]) + 0.1
    np.testing.assert_allclose(
        geometry.unproject(k, geometry.project(k, p), p[:, 2]), p, rtol=1e-9, atol=1e-6
    )


@given(poses(), points())
def test_a_pose_and_its_inverse_cancel(pose: np.ndarray, p: np.ndarray) -> None:
    there = geometry.transform(pose, p)
    back = geometry.transform(geometry.world_to_camera(pose), there)
    np.testing.assert_allclose(back, p, atol=1e-9)


def test_a_projected_point_is_where_the_definition_says() -> None:
    k = np.array([[500.0, 0, 320], [0, 400, 240], [0, 0, 1]])
    np.testing.assert_allclose(geometry.project(k, np.array([[0.2, -0.1, 2.0]])), [[370, 220]])


@given(intrinsics(), points(), st.integers(1, 4000), st.integers(1, 4000))
def test_scaled_intrinsics_project_to_the_pixels_of_the_resized_image(
    k: np.ndarray, p: np.ndarray, width: int, height: int
) -> None:
    p[:, 2] = np.abs(p[:, 2]) + 0.1
    scale = np.array([width / 640, height / 480])
    resized = geometry.scale_intrinsics(k, (640, 480), (width, height))
    expected = (geometry.project(k, p) + 0.5) * scale - 0.5
    np.testing.assert_allclose(geometry.project(resized, p), expected, rtol=1e-9, atol=1e-6)


@given(intrinsics(), poses(), points())
def test_the_frustum_contains_what_projects_within_its_bounds(
    k: np.ndarray, pose: np.ndarray, p: np.ndarray
) -> None:
    low, high = (100.0, 50.0), (900.0, 700.0)
    to_camera = geometry.world_to_camera(pose)
    values = geometry.frustum(to_camera, k, low, high) @ np.column_stack([p, np.ones(len(p))]).T
    in_camera = geometry.transform(to_camera, p)
    uv = geometry.project(k, in_camera)
    inside = (in_camera[:, 2] > 0) & ((uv >= low) & (uv <= high)).all(axis=1)
    sure = np.abs(values).min(axis=0) > 1e-6
    np.testing.assert_array_equal((values >= 0).all(axis=0)[sure], inside[sure])
