"""What each codec costs and keeps of the embeddings of a few frames, and how fast they are read.

The frames are read as a run would read them. Rates are of this machine, as busy as it is; entries
are written beside the report, read again from the system's cache, and removed.
"""

import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict, astuple, dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pipeline import tables
from pipeline.errors import BadInput
from pipeline.grids import codecs
from pipeline.grids.reading import Grids
from pipeline.look import measure, sample
from pipeline.plan.plan import Plan
from pipeline.store import filesystem, groups
from pipeline.tables import aligned, format_bytes

PIXELS = 4000  # of each frame, at which embeddings are compared
HEAD = (
    "codec",
    "a frame",
    "a scan",
    "of fp16",
    "cosine",
    "1st percentile",
    "same class",
    "write",
    "read",
)


@dataclass(frozen=True)
class Cost:
    """What a codec costs and keeps."""

    codec: str
    bytes_per_frame: float
    bytes_per_scan: float  # of as many frames as a run takes: the mean of the scans looked at
    cosine_mean: float
    cosine_1st_percentile: float
    same_class: float  # share of pixels
    write_mb_per_s: float  # MB of the vectors in fp16, so that codecs compare
    read_mb_per_s: float


@dataclass(frozen=True)
class Costs:
    """What was found on some frames."""

    grids: dict[str, tuple[int, ...]]  # of each scan: frames, rows, columns, numbers per vector
    taken: dict[str, int]  # how many frames a run takes of each scan
    classes: int
    frames_per_s: float  # of the whole stage: decoding, reading, writing
    codecs: list[Cost]
    left_out: dict[str, str]  # codecs that cannot store these embeddings, and why


def write_report(plan: Plan, scans: Iterable[str] | None, frames: int) -> str:
    """Write `results/<dataset>/look/codecs.txt`, .json, .csv and .png; return the text.

    `frames` frames of each of the `scans`, or of a few if none are named. Raises `BadInput` where
    raw files or weights are missing.
    """
    samples = sample.take(plan, scans, frames)
    reader = sample.Reader(plan, codec="fp16")
    title = sample.title(plan)
    prefix = Path(plan.facts.results, plan.dataset, "look", "codecs")
    with filesystem.write_errors(prefix):
        prefix.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=prefix.parent) as folder:
            found = costs(reader, samples, Path(folder))
        facts = {
            "dataset": plan.dataset,
            "simulated": plan.facts.simulated,
            "read_by": sample.made_by(plan),
            "frames": {one.scan: one.ids for one in samples},
            "pixels_per_frame": PIXELS,
        }
        write(found, title, facts, prefix)
    return f"{format_report(found, title)}\n{prefix}.txt, .json, .csv, .png"


def costs(
    reader: sample.Reader,
    samples: Sequence[sample.Sample],
    folder: Path,
    names: Sequence[str] | None = None,
) -> Costs:
    """Read the frames and store them in the codecs `names` (all by default), below `folder`.

    `reader` writes the codec fp16.
    """
    names = codecs.names() if names is None else names
    text, seconds = reader.classes(), 0.0
    grids: dict[str, tuple[int, ...]] = {}
    parts: dict[str, list[measure.Part]] = {name: [] for name in names}
    left_out: dict[str, str] = {}
    reader.embed(samples[0], sample.memory())  # what is done once is no part of the rate
    for number, one in enumerate(samples):
        path = folder / f"{one.scan}.zarr.zip"
        seconds += measure.write_entry(path, partial(reader.embed, one))
        made = Grids(groups.read(path), reader.codec)
        cells: list[NDArray[Any]] = [made.frame(index) for index in range(len(one.ids))]
        exact = measure.Exact(groups.read(path), reader.codec, reader.exact(one))
        grids[one.scan] = exact.shape
        uv = measure.pixels(one.color_size, PIXELS, number)
        for name in names:
            codec = import_module(codecs.module_name(name))
            home = folder / f"{one.scan}.{name}.zarr.zip"
            try:
                parts[name].append(measure.part(codec, home, cells, exact, uv, text))
            except BadInput as error:
                left_out[name] = str(error)
    taken = {one.scan: one.taken for one in samples}
    whole = [name for name in names if name not in left_out]
    found = [_mean(name, parts[name], list(taken.values())) for name in whole]
    rate = sum(len(one.ids) for one in samples) / seconds
    return Costs(grids, taken, len(text), rate, found, left_out)


def _mean(codec: str, parts: Sequence[measure.Part], taken: Sequence[int]) -> Cost:
    """The mean of what was found of a codec on scans, from which a run takes `taken` frames."""
    cosine = np.concatenate([part.cosine for part in parts])
    megabytes = sum(part.megabytes for part in parts)
    scans = [
        part.bytes_once + count * part.bytes_per_frame
        for part, count in zip(parts, taken, strict=True)
    ]
    return Cost(
        codec,
        float(np.mean([part.bytes_per_frame for part in parts])),
        float(np.mean(scans)),
        float(cosine.mean()),
        float(np.percentile(cosine, 1)),
        float(np.concatenate([part.same for part in parts]).mean()),
        megabytes / sum(part.write_seconds for part in parts),
        megabytes / sum(part.read_seconds for part in parts),
    )


def format_report(found: Costs, title: str) -> str:
    """The report in words and as a table."""
    sampled = sum(shape[0] for shape in found.grids.values())
    shapes = sorted({" x ".join(map(str, shape[1:])) for shape in found.grids.values()})
    fp16 = found.codecs[0].bytes_per_scan
    rows = [
        [
            *(cost.codec, format_bytes(cost.bytes_per_frame), format_bytes(cost.bytes_per_scan)),
            f"{100 * cost.bytes_per_scan / fp16:.1f} %",
            *(f"{cost.cosine_mean:.5f}", f"{cost.cosine_1st_percentile:.5f}"),
            f"{100 * cost.same_class:.2f} %",
            *(f"{cost.write_mb_per_s:.3g} MB/s", f"{cost.read_mb_per_s:.3g} MB/s"),
        ]
        for cost in found.codecs
    ]
    lines = [
        title,
        f"{sampled} frames of {len(found.grids)} scans, from which a run takes"
        f" {np.mean(list(found.taken.values())):.0f} frames each on average;"
        f" grids of {', '.join(shapes)}; {found.classes} classes.",
        "",
        aligned([HEAD, *rows], left=(0,)),
        "",
        f"Compared with fp32 at {PIXELS} random pixels of each frame: cosine in the mean and at the"
        " first percentile, and how often the same class is the best.",
        "Written and read: MB of the vectors in fp16, whatever the codec; from the system's cache.",
        f"This machine embeds {found.frames_per_s:.1f} frames/s; with more `--frames` that is"
        " closer to the rate of a run.",
        *(f"Left out is {codec}: {why}" for codec, why in found.left_out.items()),
    ]
    return "\n".join(lines)


def draw(found: Costs, title: str) -> Figure:
    """Bytes of a scan against how often the same class is the best, a point for each codec."""
    figure = Figure(figsize=(6.4, 4), layout="constrained", dpi=110)
    axis = figure.subplots()
    for cost in found.codecs:
        place = cost.bytes_per_scan / 1e6, 100 * cost.same_class
        axis.plot(*place, "o", color="C0")
        axis.annotate(cost.codec, place, (6, -12), textcoords="offset points")
    axis.set(
        xscale="log", xlabel="MB of a scan", ylabel="pixels with the same best class as fp32 [%]"
    )
    sizes = [cost.bytes_per_scan / 1e6 for cost in found.codecs]
    axis.set_xticks(sizes, [f"{mb:.3g}" for mb in sizes])
    axis.set_xticks([], minor=True)
    axis.margins(0.2)
    axis.grid(alpha=0.3)
    figure.suptitle(title, fontsize=8)
    return figure


def write(found: Costs, title: str, facts: dict[str, Any], prefix: Path) -> None:
    """Write `prefix`.txt, .json, .csv and .png; `facts` says in .json what was looked at."""
    rows = [list(Cost.__annotations__), *map(astuple, found.codecs)]
    tables.write(prefix, format_report(found, title) + "\n", facts | asdict(found), rows)
    draw(found, title).savefig(prefix.with_suffix(".png"))
