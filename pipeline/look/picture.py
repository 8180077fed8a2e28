"""What the image tower sees in a few frames, as a PNG.

For each frame: the image, the best class at each pixel, and how near each pixel is to a typed
query, all read as a run would read them.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from pipeline.grids.reading import Grids
from pipeline.images import decoded
from pipeline.look import sample
from pipeline.look.drawing import Row, draw
from pipeline.plan.plan import Plan
from pipeline.store import filesystem

WIDTH = 480  # pixels that an image is shown with, at most


def write_picture(
    plan: Plan, scans: Iterable[str] | None, frames: int, queries: Sequence[str], out: Path | None
) -> str:
    """Write the picture to `out`, or `results/<dataset>/look/picture.png`; say where.

    `frames` frames of each of the `scans`, or of a few if none are named. Raises `BadInput` where
    raw files or weights are missing.
    """
    samples = sample.take(plan, scans, frames)
    found = rows(sample.Reader(plan), samples, queries)
    path = out or Path(plan.facts.results, plan.dataset, "look", "picture.png")
    with filesystem.write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        draw(found, plan.facts.classes, queries, sample.title(plan)).savefig(path)
    return f"{len(found)} frames of {len(samples)} scans: {path}"


def rows(
    reader: sample.Reader, samples: Sequence[sample.Sample], queries: Sequence[str]
) -> list[Row]:
    """The frames of all samples, read densely and compared with the classes and the queries."""
    text = reader.classes()
    count = len(text)
    if queries:
        text = np.concatenate([text, reader.queries(queries)])
    made = []
    for one in samples:
        entry = sample.memory()
        reader.embed(one, entry)
        grids = Grids(entry, reader.codec)
        for index, (frame_id, blob) in enumerate(zip(one.ids, one.blobs, strict=True)):
            image = _shown(blob)
            cells = grids.frame(index).astype(np.float32)
            score = _at_pixels(cells @ text.T, image.shape[:2])
            best = np.where(score[:count].any(0), score[:count].argmax(0), -1)
            title = f"{one.scan}  frame {frame_id}"
            made.append(Row(title, image, best, score[count:]))
    return made


def _shown(blob: bytes) -> NDArray[np.uint8]:
    image = decoded(blob)
    image.thumbnail((WIDTH, 4 * WIDTH), Image.Resampling.BICUBIC)
    return np.asarray(image)


def _at_pixels(cells: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """What cells (h, w, K) are at the pixels of an image of `size` (H, W), as (K, H, W).

    Bilinear between their centres, as embeddings are read: of a product the two are the same.
    """
    values = torch.from_numpy(cells).permute(2, 0, 1)[None]
    return torch.nn.functional.interpolate(values, size, mode="bilinear")[0].numpy()
