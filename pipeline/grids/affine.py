"""Where the pixels of an image are in the grid of its embeddings."""

from collections.abc import Sequence


def pixel_to_grid(color_size: Sequence[int], grid_size: Sequence[int]) -> list[list[float]]:
    """[[ax, bx], [ay, by]]: pixel (u, v) is at column ax u + bx and row ay v + by of the grid.

    Both sizes are (width, height), and centres of the first pixel and the first cell are 0. Image
    and grid cover the same view, so (u + 1/2) / width = (column + 1/2) / grid width, whatever the
    image was resized to in between.
    """
    ratios = [cells / pixels for cells, pixels in zip(grid_size, color_size, strict=True)]
    return [[a, 0.5 * a - 0.5] for a in ratios]
