"""The simulated depth camera: noise, holes and pictures."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from pipeline.simulate.sensor import depth_intrinsics, measure_depth, photograph

SIZE = (160, 120)
K = np.array([[144.0, 0, 79.5], [0, 144.0, 59.5], [0, 0, 1]])


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def wall_at(depth: float, tilt: float = 0.0) -> np.ndarray:
    """z-depth of a plane, turned by `tilt` radians about the image's vertical axis."""
    ray = (np.arange(SIZE[0]) - K[0, 2]) / K[0, 0]
    return np.tile(depth / (1 + np.tan(tilt) * ray), (SIZE[1], 1))


def test_depth_intrinsics_are_the_published_ones_of_a_scannet_device() -> None:
    color = np.array([[1169.621094, 0, 646.295044], [0, 1167.105103, 489.927032], [0, 0, 1]])
    depth = depth_intrinsics(color, (1296, 968), (640, 480))
    found = depth[[0, 1, 0, 1], [0, 1, 2, 2]]
    assert found == pytest.approx([577.590698, 578.729797, 318.905426, 242.683609], abs=1e-4)


def test_noise_grows_with_the_square_of_the_depth_and_has_no_bias() -> None:
    spread = []
    for depth in (1.0, 2.0, 4.0):
        error = measure_depth(wall_at(depth), K, rng()) / 1000.0 - depth
        spread.append(error.std())
        assert abs(np.mean(error)) < 0.3 * error.std()
    assert 3.0 < spread[1] / spread[0] < 5.0
    assert 3.0 < spread[2] / spread[1] < 5.0


@pytest.mark.parametrize("depth", [0.0, 0.2, 5.5])
def test_nothing_is_measured_out_of_range(depth: float) -> None:
    assert not measure_depth(wall_at(depth), K, rng()).any()


def test_a_wall_in_range_is_measured_everywhere() -> None:
    assert measure_depth(wall_at(2.0), K, rng()).all()


def test_depth_is_lost_where_the_view_grazes_a_surface() -> None:
    shares = [
        np.mean(measure_depth(wall_at(1.0, tilt), K, rng())[:, 75:85] > 0)
        for tilt in np.radians([60, 80, 86])
    ]
    assert shares[0] == 1.0
    assert 0.2 < shares[1] < 0.8
    assert shares[2] == 0.0


def test_depth_is_lost_along_silhouettes_and_not_far_from_them() -> None:
    depth = wall_at(3.0)
    depth[40:80, 60:100] = 1.5
    measured = measure_depth(depth, K, rng()) > 0
    assert 0.3 < np.mean(measured[42:78, 59:61]) < 0.7
    assert measured[:, :55].all()
    assert measured[45:75, 65:95].all()


def test_a_blob_loses_one_region() -> None:
    whole, holed = (measure_depth(wall_at(2.0), K, rng(), blob) for blob in (False, True))
    lost = np.mean((whole > 0) & (holed == 0))
    assert 0.01 < lost < 0.1


def test_a_photograph_is_a_jpeg_close_to_the_picture_and_never_quite_the_same() -> None:
    picture = np.full((48, 64, 3), (60, 120, 180), np.uint8)
    generator = rng()
    first, second = photograph(picture, generator), photograph(picture, generator)
    image = Image.open(BytesIO(first))
    assert (image.format, image.size, image.mode) == ("JPEG", (64, 48), "RGB")
    assert np.abs(np.asarray(image, float).mean((0, 1)) - (60, 120, 180)).max() < 25
    assert first != second
    assert first == photograph(picture, rng())
