"""`python -m pipeline.look.report DATASET`: what each form of the cache costs and keeps of the
embeddings of a few frames, and how many frames a second are read here.

The frames are read as a run would read them. Rates are of this machine, as busy as it is; entries
are written beside the report, read again from the system's cache, and removed.
"""

import csv
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pipeline.errors import BadInput
from pipeline.grids import forms
from pipeline.grids.reading import Grids
from pipeline.look import measure, sample
from pipeline.plan import config
from pipeline.store import filesystem, groups
from pipeline.tables import aligned, format_bytes

PIXELS = 4000  # of each frame, at which embeddings are compared
HEAD = ("form", "a frame", "a scan", "of fp16", "cosine", "its 1 %", "same class", "write", "read")


@dataclass(frozen=True)
class Form:
    """What a form costs and keeps."""

    form: str
    bytes_per_frame: float
    bytes_per_scan: float  # of as many frames as a run takes: the mean of the scans looked at
    cosine_mean: float
    cosine_1st_percentile: float
    same_class: float  # share of pixels
    write_mb_per_s: float  # MB of the vectors in fp16, whatever the form, so that forms compare
    read_mb_per_s: float


@dataclass(frozen=True)
class Costs:
    """What was found on some frames."""

    grids: dict[str, tuple[int, ...]]  # of each scan: frames, rows, columns, numbers to a vector
    taken: dict[str, int]  # how many frames a run takes of each scan
    classes: int
    frames_per_s: float  # of the whole stage: decoding, reading, writing
    forms: list[Form]
    left_out: dict[str, str]  # forms that cannot hold these embeddings, and why


def costs(reader: sample.Reader, samples: Sequence[sample.Sample], folder: Path) -> Costs:
    """Read the frames and hold them in all forms, in entries in `folder`.

    `reader` is one that writes the form fp16.
    """
    text, seconds = reader.classes(), 0.0
    grids: dict[str, tuple[int, ...]] = {}
    parts: dict[str, list[measure.Part]] = {form: [] for form in forms.FORMS}
    left_out: dict[str, str] = {}
    reader.embed(samples[0], sample.memory())  # what is done once is no part of the rate
    for number, one in enumerate(samples):
        path = folder / f"{one.scan}.zarr.zip"
        seconds += measure.write_entry(path, partial(reader.embed, one))
        made = Grids(groups.read(path))
        cells: list[NDArray[Any]] = [made.frame(index) for index in range(len(one.ids))]
        exact = measure.Exact(groups.read(path), reader.exact(one))
        grids[one.scan] = exact.shape
        uv = measure.pixels(one.color_size, PIXELS, number)
        for form in forms.FORMS:
            home = folder / f"{one.scan}.{form}.zarr.zip"
            try:
                parts[form].append(measure.part(form, home, cells, exact, uv, text))
            except BadInput as error:
                left_out[form] = str(error)
    taken = {one.scan: one.taken for one in samples}
    whole = [form for form in forms.FORMS if form not in left_out]
    found = [_mean(form, parts[form], list(taken.values())) for form in whole]
    rate = sum(len(one.ids) for one in samples) / seconds
    return Costs(grids, taken, len(text), rate, found, left_out)


def _mean(form: str, parts: Sequence[measure.Part], taken: Sequence[int]) -> Form:
    """The mean of what was found of a form on scans, of which a run takes `taken` frames."""
    cosine = np.concatenate([part.cosine for part in parts])
    megabytes = sum(part.megabytes for part in parts)
    scans = [
        part.bytes_once + count * part.bytes_per_frame
        for part, count in zip(parts, taken, strict=True)
    ]
    return Form(
        form,
        float(np.mean([part.bytes_per_frame for part in parts])),
        float(np.mean(scans)),
        float(cosine.mean()),
        float(np.percentile(cosine, 1)),
        float(np.concatenate([part.same for part in parts]).mean()),
        megabytes / sum(part.write_seconds for part in parts),
        megabytes / sum(part.read_seconds for part in parts),
    )


def told(found: Costs, title: str) -> str:
    """The report in words and as a table."""
    looked = sum(shape[0] for shape in found.grids.values())
    shapes = sorted({" x ".join(map(str, shape[1:])) for shape in found.grids.values()})
    fp16 = found.forms[0].bytes_per_scan
    rows = [
        [
            *(form.form, format_bytes(form.bytes_per_frame), format_bytes(form.bytes_per_scan)),
            f"{100 * form.bytes_per_scan / fp16:.1f} %",
            *(f"{form.cosine_mean:.5f}", f"{form.cosine_1st_percentile:.5f}"),
            f"{100 * form.same_class:.2f} %",
            *(f"{form.write_mb_per_s:.3g} MB/s", f"{form.read_mb_per_s:.3g} MB/s"),
        ]
        for form in found.forms
    ]
    lines = [
        title,
        f"{looked} frames of {len(found.grids)} scans, of which a run takes"
        f" {np.mean(list(found.taken.values())):.0f} frames each on average;"
        f" grids of {', '.join(shapes)}; {found.classes} classes.",
        "",
        aligned([HEAD, *rows], left=(0,)),
        "",
        f"Compared with fp32 at {PIXELS} random pixels of each frame: cosine in the mean and at the"
        " first percentile, and how often the same class is the best.",
        "Written and read: MB of the vectors in fp16, whatever the form; from the system's cache.",
        f"The stage reads {found.frames_per_s:.1f} frames/s here, of few frames at a time: more"
        " `--frames` fill more threads.",
        *(f"Left out is {form}: {why}" for form, why in found.left_out.items()),
    ]
    return "\n".join(lines)


def drawn(found: Costs, title: str) -> Figure:
    """Bytes of a scan against how often the same class is the best, a point for each form."""
    figure = Figure(figsize=(6.4, 4), layout="constrained", dpi=110)
    axis = figure.subplots()
    for form in found.forms:
        place = form.bytes_per_scan / 1e6, 100 * form.same_class
        axis.plot(*place, "o", color="C0")
        axis.annotate(form.form, place, (6, -12), textcoords="offset points")
    axis.set(
        xscale="log", xlabel="MB of a scan", ylabel="pixels with the same best class as fp32 [%]"
    )
    sizes = [form.bytes_per_scan / 1e6 for form in found.forms]
    axis.set_xticks(sizes, [f"{mb:.3g}" for mb in sizes])
    axis.set_xticks([], minor=True)
    axis.margins(0.2)
    axis.grid(alpha=0.3)
    figure.suptitle(title, fontsize=8)
    return figure


def write(found: Costs, title: str, facts: dict[str, Any], prefix: Path) -> None:
    """Write `prefix`.txt, .json, .csv and .png; `facts` says in .json what was looked at."""
    prefix.with_suffix(".txt").write_text(told(found, title) + "\n", encoding="utf-8")
    content = json.dumps(facts | asdict(found), indent=1, sort_keys=True)
    prefix.with_suffix(".json").write_text(content, encoding="utf-8")
    with prefix.with_suffix(".csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([Form.__annotations__, *map(astuple, found.forms)])
    drawn(found, title).savefig(prefix.with_suffix(".png"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the report and print it; 1 where something is missing."""
    parser = sample.parser("pipeline.look.report", __doc__, frames=4)
    given = parser.parse_args(arguments)
    try:
        plan = config.plan(given.dataset, given.config, wanted=False)
        samples = sample.take(plan, given.scan, given.frames)
        reader = sample.Reader(plan, form="fp16")
        title = sample.title(plan)
        prefix = Path(plan.facts["results"], plan.dataset, "look", "report")
        with filesystem.write_errors(prefix):
            prefix.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=prefix.parent) as folder:
                found = costs(reader, samples, Path(folder))
            facts = {
                "dataset": plan.dataset,
                "simulated": plan.simulated,
                "read_by": sample.made_by(plan),
                "frames": {one.scan: one.ids for one in samples},
                "pixels_per_frame": PIXELS,
            }
            write(found, title, facts, prefix)
    except BadInput as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{told(found, title)}\n{prefix}.txt, .json, .csv, .png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
