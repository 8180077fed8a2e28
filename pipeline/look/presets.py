"""Presets side by side on a few frames: what they see, and what they cost on this machine."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, astuple, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import zarr
from numpy.typing import NDArray

from pipeline import tables
from pipeline.errors import BadInput
from pipeline.grids.reading import Grids
from pipeline.look import measure, picture, sample
from pipeline.look.drawing import Row, draw
from pipeline.plan import presets
from pipeline.plan.plan import Plan
from pipeline.store import filesystem
from pipeline.tables import aligned, format_bytes

HEAD = ("preset", "read by", "grid", "time a frame", "bytes a frame", "a scan")
NOTE = "Times are of this machine, as busy as it is; bytes of a scan are of all frames of a run."
RANGE = "share of the preset's range of cosines"


@dataclass(frozen=True)
class Cost:
    """What a preset costs."""

    preset: str
    read_by: str
    grid: tuple[int, ...]  # rows, columns, numbers per vector
    seconds_per_frame: float
    bytes_per_frame: float  # in the codec of the config
    bytes_per_scan: float  # of as many frames as a run takes: the mean of the scans looked at


def write_report(
    plan: Plan,
    names: Sequence[str],
    scans: Iterable[str] | None,
    frames: int,
    queries: Sequence[str],
) -> str:
    """Write `results/<dataset>/look/presets.png`, .txt, .json and .csv; return the text.

    `frames` frames of each of the `scans`, or of a few if none are named. A preset whose weights
    are not to be had is left out, and said to be. Raises `BadInput` where none is left, for a word
    that is no preset, and where raw files are missing.
    """
    samples = sample.take(plan, scans, frames)
    found: dict[str, tuple[Cost, list[Row]]] = {}
    left_out: dict[str, BadInput] = {}
    for name in names or presets.presets():
        chosen = with_preset(plan, name)
        try:
            found[name] = _read(chosen, name, samples, queries)
        except BadInput as error:
            left_out[name] = error
    if not found:
        raise next(iter(left_out.values()))
    prefix = Path(plan.facts.results, plan.dataset, "look", "presets")
    costs = [cost for cost, _ in found.values()]
    title = f"{plan.dataset}{' (simulated rooms)' * plan.facts.simulated}: presets"
    lines = [title, "", _table(costs), "", NOTE]
    lines += [f"Left out is {n}: {e}" for n, e in left_out.items()]
    facts: dict[str, Any] = {
        "dataset": plan.dataset,
        "frames": {one.scan: one.ids for one in samples},
    }
    facts |= {"presets": [asdict(cost) for cost in costs]}
    drawn = [made for _, made in found.values()]
    rows = [row for same in zip(*drawn, strict=True) for row in same]
    with filesystem.write_errors(prefix):
        prefix.parent.mkdir(parents=True, exist_ok=True)
        tables.write(
            prefix, "\n".join(lines), facts, [list(Cost.__annotations__), *map(astuple, costs)]
        )
        figure = draw(rows, plan.facts.classes, queries, title, RANGE)
        figure.savefig(prefix.with_suffix(".png"))
    return "\n".join([*lines, f"{prefix}.png, .txt, .json, .csv"])


def with_preset(plan: Plan, name: str) -> Plan:
    """The plan with the settings of a preset in the place of its own, and of its features."""
    section = dict(plan.section)
    for part, settings in presets.settings(name, "the command").items():
        own = {key: value for key, value in section[part].items() if key != "features"}
        section[part] = {**own, **settings}
    for key, value in (("codec", "fp16"), ("batch", 16)):  # which features do without
        section["embeddings"].setdefault(key, value)
    return Plan(replace(plan.facts, section=section, weights=None, keys=None))


class _Timed(sample.Reader):
    """A reader that says what it has cost."""

    seconds, sizes = 0.0, list[tuple[int, int]]()
    grid: tuple[int, ...] = ()

    def embed(self, sample: sample.Sample, out: zarr.Group) -> None:
        begin = time.perf_counter()
        super().embed(sample, out)
        self.seconds += time.perf_counter() - begin
        self.sizes = [*self.sizes, measure.nbytes(out, self.codec)]
        self.grid = Grids(out, self.codec).frame(0).shape


def _read(
    plan: Plan, name: str, samples: Sequence[sample.Sample], queries: Sequence[str]
) -> tuple[Cost, list[Row]]:
    reader = _Timed(plan)
    if torch.cuda.is_available():  # what is done once is no part of the rate
        sample.Reader.embed(reader, samples[0], sample.memory())
    rows = picture.rows(reader, samples, queries)
    count = sum(len(one.ids) for one in samples)
    scans = [
        once + one.taken * each for (each, once), one in zip(reader.sizes, samples, strict=True)
    ]
    cost = Cost(
        name,
        sample.made_by(plan),
        reader.grid,
        reader.seconds / count,
        float(np.mean([each for each, _ in reader.sizes])),
        float(np.mean(scans)),
    )
    shown = [replace(row, title=f"{name}\n{row.title}") for row in rows]
    if queries:
        low, high = _range([row.near for row in rows])
        shown = [replace(row, near=(row.near - low) / (high - low)) for row in shown]
    return cost, shown


def _range(near: Sequence[NDArray[np.float32]]) -> tuple[NDArray[Any], NDArray[Any]]:
    """The lowest and highest cosines (Q, 1, 1) of each query, but for a few: towers differ."""
    flat = np.concatenate([each.reshape(*each.shape[:1], -1) for each in near], axis=1)
    low, high = np.percentile(flat, (0.5, 99.8), axis=1).astype(np.float32)
    return low[:, None, None], np.maximum(high, low + 1e-6)[:, None, None]


def _table(costs: Sequence[Cost]) -> str:
    rows = [
        [
            *(cost.preset, cost.read_by, " x ".join(map(str, cost.grid))),
            *(f"{cost.seconds_per_frame:.3g} s", format_bytes(cost.bytes_per_frame)),
            format_bytes(cost.bytes_per_scan),
        ]
        for cost in costs
    ]
    return aligned([HEAD, *rows], left=(0, 1))
