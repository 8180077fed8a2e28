"""Windows of any stride, several sizes and mirror images, against sums written out by hand."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from pipeline.clip import windows
from pipeline.clip.dense import dense
from pipeline.clip.recipes import plain
from tests.helpers import tiny_clip

PATCH = (8, 8)


def images(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def whole(x: torch.Tensor, seed: int = 0) -> torch.Tensor:
    """A tiny ViT's reading of whole images."""
    return dense(tiny_clip.view(seed), x, plain)


def read_windows(x: torch.Tensor, window: int, stride: int, batch: int = 4) -> torch.Tensor:
    def tower(crops: torch.Tensor) -> torch.Tensor:
        assert len(crops) <= batch
        return whole(crops)

    return windows.read(x, PATCH, window, stride, batch, tower)


@pytest.mark.parametrize("window", [32, 320])
def test_one_window_over_the_image_is_the_image_read_whole(window: int) -> None:
    x = images(3, 3, 32, 24)
    torch.testing.assert_close(read_windows(x, window, 16), whole(x), rtol=1e-4, atol=1e-5)


def test_windows_without_overlap_are_crops_side_by_side() -> None:
    x = images(2, 3, 32, 64)
    halves = [whole(x[..., s : s + 32]) for s in (0, 32)]
    torch.testing.assert_close(
        read_windows(x, 32, 32), torch.cat(halves, dim=2), rtol=1e-4, atol=1e-5
    )


def test_overlaps_are_blended_by_how_central_a_cell_is() -> None:
    x = images(1, 3, 32, 48)
    left, right = (whole(x[..., s : s + 32]) for s in (0, 16))
    rise = np.sin(np.pi * (np.arange(4) + 0.5) / 4) ** 2
    for column in (2, 3):  # seen by both: columns 2 and 3 of the left, 0 and 1 of the right
        mean = rise[column] * left[:, :, column] + rise[column - 2] * right[:, :, column - 2]
        torch.testing.assert_close(
            read_windows(x, 32, 16)[:, :, column],
            F.normalize(mean, dim=-1),
            rtol=1e-4,
            atol=1e-5,
        )


@given(st.integers(1, 40), st.integers(1, 12), st.integers(1, 12))
def test_windows_cover_every_cell_and_stay_inside(length: int, window: int, stride: int) -> None:
    stride = min(stride, window)
    begins = windows.starts(length, window, stride)
    size = min(window, length)
    covered = {cell for begin in begins for cell in range(begin, begin + size)}
    assert covered == set(range(length))
    assert begins == sorted(set(begins))


@settings(max_examples=25)
@given(
    st.integers(1, 6), st.integers(1, 7), st.integers(1, 4), st.integers(1, 4), st.integers(1, 9)
)
def test_windows_of_a_tower_that_sees_only_the_patch_give_back_the_whole(
    h: int, w: int, window: int, stride: int, batch: int
) -> None:
    x = images(2, 3, 8 * h, 8 * w, seed=h * w)

    def tower(crops: torch.Tensor) -> torch.Tensor:
        cells = F.unfold(crops, 8, stride=8).transpose(1, 2)
        return F.normalize(cells, dim=-1).unflatten(1, (crops.shape[2] // 8, crops.shape[3] // 8))

    read = windows.read(x, PATCH, 8 * window, 8 * min(stride, window), batch, tower)
    torch.testing.assert_close(read, tower(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("stride", [12, 7, 20])
def test_windows_between_cells_are_sampled_bilinearly_and_weighed_by_how_central(
    stride: int,
) -> None:
    x = images(1, 3, 40, 56)
    starts = [windows.starts(length, 32, stride) for length in (40, 56)]
    by_hand = np.zeros((5, 7, 24))
    for top in starts[0]:
        for left in starts[1]:
            cells = whole(x[:, :, top : top + 32, left : left + 32])[0].double().numpy()
            for row in range(5):
                for column in range(7):
                    # the image's cell in cells of the window, 0 being the centre of the first
                    y, x_ = ((8 * row + 4 - top) - 4) / 8, ((8 * column + 4 - left) - 4) / 8
                    if not (-0.5 < y < 3.5 and -0.5 < x_ < 3.5):
                        continue
                    weight = (
                        np.sin(np.pi * (y + 0.5) / 4) ** 2 * np.sin(np.pi * (x_ + 0.5) / 4) ** 2
                    )
                    y, x_ = min(max(y, 0), 3), min(max(x_, 0), 3)
                    for i in range(4):
                        for j in range(4):
                            share = max(0, 1 - abs(i - y)) * max(0, 1 - abs(j - x_))
                            by_hand[row, column] += weight * share * cells[i, j]
    by_hand /= np.linalg.norm(by_hand, axis=-1, keepdims=True)
    found = read_windows(x, 32, stride)[0].numpy()
    np.testing.assert_allclose(found, by_hand, atol=1e-5)
    assert any(start % 8 for axis in starts for start in axis)


@given(
    st.integers(1, 9), st.integers(1, 5), st.integers(1, 40), st.sampled_from([7, 8, 14, 16, 32])
)
def test_every_cell_of_the_image_is_seen_by_a_window(
    length: int, window: int, stride: int, side: int
) -> None:
    n = min(window, length)
    stride = min(stride, side * window)
    weights = np.zeros(length)
    for start in windows.starts(side * length, side * window, stride):
        axis = windows.Axis.of(start, side, n)
        weights[axis.cells] += axis.weight.numpy()
        assert len(axis.weight) in (n, n - 1, n + 1)
        assert 0 <= axis.cells.start <= axis.cells.stop <= length
        assert all(0 <= at <= n - 1 for at in axis.at)
    assert weights.min() > 0


def test_half_cells_of_a_ramp_are_found_between_its_cells() -> None:
    """A tower that embeds the position of a patch, as the angle of a unit vector."""
    angle = torch.linspace(0, 1, 96).expand(1, 3, 16, 96)

    def tower(crops: torch.Tensor) -> torch.Tensor:
        middle = F.avg_pool2d(crops.mean(1), 8)
        return torch.stack([middle.cos(), middle.sin()], dim=-1)

    once = tower(angle)
    found = windows.read(angle, PATCH, 16, 12, 3, tower)
    torch.testing.assert_close(found[:, :, 1:-1], once[:, :, 1:-1], rtol=0.02, atol=0.02)


# Sizes and mirror images


def often(
    x: torch.Tensor, grid: Any, scales: list[float], flip: bool, once: Any = whole
) -> torch.Tensor:
    return windows.read_repeatedly(x, PATCH, grid, scales, flip, once)


def test_one_reading_is_left_as_it_is() -> None:
    x = images(2, 3, 24, 40)
    assert torch.equal(often(x, (3, 5), [1.0], False), whole(x))


def test_mirror_images_are_turned_back_and_averaged() -> None:
    x = images(2, 3, 24, 40)
    mirrored = whole(torch.from_numpy(x.numpy()[..., ::-1].copy())).numpy()[:, :, ::-1]
    mean = whole(x).numpy() + mirrored
    mean /= np.linalg.norm(mean, axis=-1, keepdims=True)
    np.testing.assert_allclose(often(x, (3, 5), [1.0], True).numpy(), mean, atol=1e-5)
    assert abs(mean - whole(x).numpy()).max() > 0.01


def test_a_mirror_image_is_read_as_the_mirror_of_the_image() -> None:
    x = images(1, 3, 24, 40)
    found = often(x.flip(3), (3, 5), [1.0, 2.0], True)
    torch.testing.assert_close(found.flip(2), often(x, (3, 5), [1.0, 2.0], True))


def test_sizes_are_resampled_to_one_grid_and_averaged() -> None:
    x = images(1, 3, 48, 80)  # given at the largest scale
    small = F.interpolate(x, (24, 40), mode="bicubic", antialias=True)
    large = whole(x).numpy()[0]
    by_hand = whole(small).numpy()[0].copy()
    for row in range(3):
        for column in range(5):
            total = np.zeros(24)
            for i in range(6):
                for j in range(10):
                    # a triangle as wide as two cells of the coarser grid: antialiased bilinear
                    away = [abs((i + 0.5) / 2 - row - 0.5), abs((j + 0.5) / 2 - column - 0.5)]
                    inside = [max(0, 1 - a) for a in away]
                    total += inside[0] * inside[1] * large[i, j]
            by_hand[row, column] += total / np.linalg.norm(total)
    by_hand /= np.linalg.norm(by_hand, axis=-1, keepdims=True)
    found = often(x, (3, 5), [1.0, 2.0], False)[0].numpy()
    np.testing.assert_allclose(found, by_hand, atol=1e-4)


def test_a_scale_is_brought_to_whole_patches() -> None:
    sizes = []

    def once(x: torch.Tensor) -> torch.Tensor:
        sizes.append(tuple(x.shape[2:]))
        return whole(x)

    assert often(images(1, 3, 24, 40), (3, 5), [0.1, 0.7, 1, 1.5], False, once).shape == (
        1,
        3,
        5,
        24,
    )
    assert sizes == [(8, 8), (16, 32), (24, 40), (40, 64)]
