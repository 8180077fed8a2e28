"""Float depth of renderers and casts: what they write where a ray meets nothing."""

import io
from functools import partial
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from PIL import Image

from pipeline.readers.folder.depth_files import decode
from tests.other_files import Variant

NOTHING = (1e10, 65504.0, 65535.0, 3.4e38, -1.0, 0.0, np.inf, -np.inf, np.nan)
SIZE = (12, 9)  # (width, height)


def check(folder: Path, unit: float, nothing: float, share: float, ending: str) -> None:
    """The depth is that of the surfaces, and 0 elsewhere, however few pixels see one."""
    rng = np.random.default_rng(0)
    metres = rng.uniform(0.4, 6.0, SIZE[::-1])
    seen = rng.random(SIZE[::-1]) >= share
    seen[0, 0] = True
    values = np.where(seen, metres * unit, nothing).astype(np.float32)
    path, file = folder / f"0.{ending}", io.BytesIO()
    if ending == "npy":
        np.save(file, values)
    else:
        Image.fromarray(values).save(file, "TIFF")
    path.write_bytes(file.getvalue())
    depth = decode(path.read_bytes(), SIZE, str(path))
    assert np.abs(depth.astype(int) - np.where(seen, metres * 1000, 0)).max() <= 1


@st.composite
def variants(draw: st.DrawFn) -> Variant:
    unit, nothing = draw(st.sampled_from([1.0, 1000.0])), draw(st.sampled_from(NOTHING))
    share = draw(st.sampled_from([0.0, 0.3, 0.6, 0.95]))
    ending = draw(st.sampled_from(["npy", "tiff"]))
    made = partial(check, unit=unit, nothing=nothing, share=share, ending=ending)
    return Variant(f"{ending}, {unit:g} a metre, {nothing:g} in {share:.0%}", made)


VARIANTS = variants()
