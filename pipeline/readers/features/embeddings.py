"""Stage embeddings where `features` are given: grids made elsewhere -> the same entries."""

from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any, cast

import numpy as np
import zarr
from numpy.typing import NDArray

from pipeline.errors import BadInput
from pipeline.grids.affine import pixel_to_grid
from pipeline.grids.writing import write
from pipeline.readers.features.reader import Features

PACKAGES = ("numpy",)


class Worker:
    """Copies one scan after another."""

    def __init__(self, params: Mapping[str, Any], parts: Mapping[str, ModuleType]) -> None:
        """`parts`: the module of the codec, as for grids of an image tower."""
        self._codec = parts["codec"]

    def __call__(self, out: zarr.Group, frames: zarr.Group, raw: Features) -> None:
        """Write the grids of all frames in the codec that is asked for, and `pixel_to_grid`.

        Raises `BadInput` for frames whose features are missing, damaged, or of another size, and
        for grids with rows and columns in each other's place.
        """
        ids: list[int] = np.asarray(frames["frame_id"]).tolist()
        high, wide = raw.shape(ids[0]) if ids else (1, 1)
        size = cast(list[int], frames.attrs["color_size"])
        if (high - wide) * (size[1] - size[0]) < 0:
            what = f"has {high} rows and {wide} columns, of images of {size[0]} x {size[1]} pixels"
            raise BadInput(raw.frames[ids[0]], what, "write grids as (h, w, d), rows first")
        shape = (len(ids), high, wide, raw.width)
        write(out, self._codec, _grids(raw, ids, (high, wide)), shape)
        out.attrs["pixel_to_grid"] = pixel_to_grid(size, (wide, high))

    def exact(self, frames: zarr.Group, raw: Features) -> NDArray[np.float32]:
        """The grids (F, h, w, d) of all frames before they are rounded, to compare codecs with."""
        ids: list[int] = np.asarray(frames["frame_id"]).tolist()
        return np.stack([raw.exact(frame_id) for frame_id in ids])


def _grids(raw: Features, ids: list[int], size: tuple[int, int]) -> Iterator[NDArray[np.float16]]:
    for frame_id in ids:
        if raw.shape(frame_id) != size:
            what = f"has grids of {raw.shape(frame_id)} and of {size} cells"
            raise BadInput(raw.frames[frame_id], what, "make all of a scan's frames of one size")
        yield raw.read(frame_id)
