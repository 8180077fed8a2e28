"""Recordings of any layout some of whose images are damaged."""

import warnings
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import strategies as st
from PIL import Image

from pipeline.errors import BadInput
from pipeline.readers.folder import files, frames
from pipeline.stages import frames as stage
from tests.helpers import room, tiny_folders
from tests.other_files import Variant

COUNT = 6  # frames


def _other_size(blob: bytes) -> bytes:
    """An image of the same format, or of none, with another size."""
    try:
        image = Image.open(BytesIO(blob))
        file = BytesIO()
        image.resize((20, 20)).save(file, image.format or "PNG")
        return file.getvalue()
    except OSError:
        return blob[:-8]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda blob: b"",
    "cut in half": lambda blob: blob[: len(blob) // 2],
    "header alone": lambda blob: blob[:24],
    "zeros": lambda blob: bytes(len(blob)),
    "zeros at the end": lambda blob: blob[: len(blob) // 3] + bytes(len(blob) - len(blob) // 3),
    "a web page": lambda blob: b"<!DOCTYPE html><html><body>404</body></html>",
    "of another size": _other_size,
}


@st.composite
def recordings(draw: st.DrawFn) -> Variant:
    """A few damaged frames are left out, each with a sentence; a recording of them is refused."""
    name = draw(st.sampled_from([n for n in tiny_folders.LAYOUTS if n != "exr"]))
    layout = tiny_folders.LAYOUTS[name]
    kind, (what, damage) = draw(st.sampled_from([0, 1])), draw(st.sampled_from([*DAMAGES.items()]))
    bad = sorted(draw(st.sets(st.integers(0, COUNT - 1), min_size=0, max_size=5)))

    def check(folder: Path) -> None:
        layout.write(folder / "scan", layout.frames(count=COUNT, whole=True))
        pattern = layout.images[kind]
        for i in bad:
            found = sorted((folder / "scan").glob(pattern.format(i=i)))
            path = found[i if "*" in pattern else 0]
            path.write_bytes(damage(path.read_bytes()))

        def read() -> list[int]:
            raw = frames.open_frames(files.scan_files(folder, "scan")["frames"])
            entry = room.run(stage, {"every": 1}, raw=raw)
            rows = {entry[n].shape[0] for n in ("depth", "camera_to_world", "color_intrinsics")}
            assert rows == {entry["frame_id"].shape[0]} == {entry["color_offsets"].shape[0] - 1}
            assert entry.attrs["damaged"] == [raw.frame_ids[i] for i in bad]
            for row, frame_id in enumerate(entry["frame_id"][:].tolist()):
                whole = raw.read(frame_id)
                assert np.array_equal(entry["depth"][row], whole.depth)
            return [list(raw.frame_ids).index(i) for i in entry["frame_id"][:].tolist()]

        if len(bad) > COUNT / 2:
            with pytest.raises(BadInput) as sentence:
                read()
            raise sentence.value
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            kept = read()
        assert kept == [i for i in range(COUNT) if i not in bad], kept
        left_out = [str(each.message) for each in said if "left out" in str(each.message)]
        assert len(left_out) == len(bad), left_out

    refused = len(bad) >= COUNT / 2  # of two halves none is the odd one
    return Variant(f"{name}: {['colour', 'depth'][kind]} of {bad} {what}", check, refused)


VARIANTS = recordings()
