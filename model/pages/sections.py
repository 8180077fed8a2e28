"""What a page says of scores: tables as in table.txt, bars, confusion matrices, and labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import matplotlib
import numpy as np
from matplotlib.colors import to_hex

from model.pages import charts
from model.pages.charts import Bar
from model.reports import report
from model.reports.folds import HELD_OUT
from model.reports.lines import Line, lines, meanings
from model.scoring import protocols
from model.scoring.results import Result

Rows = Sequence[Sequence[str]]
OVER = "points"
# Labels of training scans, of which pages also say how much they cover.
LABELS = ("pseudo_labels_open", "pseudo_labels", "refined_labels")


@dataclass(frozen=True)
class Scores:
    """The scores on one set of scans; the first row of a table has its headings."""

    title: str
    about: Sequence[str]
    means: Rows
    meanings: Rows
    by_group: Rows
    of_class: Rows
    by_protocol: Rows
    by_scan: Rows
    bars: Sequence[str]  # data URIs
    confusions: Sequence[str]
    of_folds: Rows = ()
    labels: Rows = ()
    protocol: str = ""
    simulated: bool = False
    notes: Sequence[str] = field(default_factory=tuple)


def scores(results: Sequence[Result], title: str, protocol: str, simulated: bool = False) -> Scores:
    """All that a page shows of results; of several folds, what they are together.

    Raises `ValueError` where there is no result.
    """
    if not results:
        raise ValueError("there is no result to show")
    pooled = [result for result in results if result["split"] == HELD_OUT]
    table = lines(pooled or results)
    folds = lines([r for r in results if r["split"] != HELD_OUT]) if pooled else []
    plain = [line for line in table if line.plain]
    return Scores(
        title=title,
        about=report.heading(table, protocol, simulated),
        means=report.means(table, OVER, protocol),
        meanings=meanings(table),
        by_group=report.by_group(table, OVER, protocol),
        of_class=_headed(report.by_class(plain, OVER, protocol)),
        by_protocol=report.by_protocol(table),
        by_scan=_by_scan(plain, protocol),
        bars=bars(table, protocol),
        confusions=[confusion(line) for line in plain],
        of_folds=report.means(folds, OVER, protocol) if folds else (),
        labels=_labels(plain),
        protocol=protocol,
        simulated=simulated,
    )


def bars(table: Sequence[Line], protocol: str) -> list[str]:
    """A chart of each class, with a bar of IoU for each line; one kind of rows has one colour."""
    kinds = [*dict.fromkeys(line.kind[0] for line in table)]
    colors = {
        kind: to_hex(matplotlib.colormaps["tab10"](number % 10))
        for number, kind in enumerate(kinds)
    }
    return [
        charts.bars(
            name,
            [
                Bar(
                    line.name,
                    line.values(OVER, protocol, "IoU", index),
                    colors[line.kind[0]],
                    faint=not line.plain,
                )
                for line in table
            ],
        )
        for index, name in enumerate(table[0].classes)
    ]


def confusion(line: Line) -> str:
    """The confusion matrix of a line over points, summed over seeds."""
    return charts.confusion(f"{line.name} ({line.split})", _total(line), line.classes)


def score_of_scan(result: Mapping[str, Any], scan: str, protocol: str) -> float | None:
    """mIoU of a scan in percent, over points; None where it has none."""
    counts = np.asarray(result["scans"][scan][result["over"].index(OVER)], np.int64)
    groups = result.get("groups")
    found = protocols.score(protocol, counts, result["classes"], groups).mean_iou
    return None if np.isnan(found) else 100 * float(found)


def _by_scan(table: Sequence[Line], protocol: str) -> Rows:
    """mIoU of each scan that networks are scored on, by the first seed of each line."""
    splits = [line.split for line in table if line.kind[0] not in LABELS]
    shown = [line for line in table if splits and line.split == splits[0]]
    if not shown:
        return ()
    rows = [["scan", *(line.name for line in shown)]]
    for scan in shown[0].results[0]["scans"]:
        found = [score_of_scan(line.results[0], scan, protocol) for line in shown]
        rows.append([scan, *("-" if score is None else f"{score:.1f}" for score in found)])
    return rows


def _labels(table: Sequence[Line]) -> Rows:
    """Of the labels that networks learn, by class: how many points have one, and are right.

    Points without a label are known from the first kind of labels: of refined labels they are not
    counted.
    """
    found = [line for line in table if line.kind[0] in LABELS]
    if not found:
        return ()
    present = _total(found[0]).sum(axis=1) / len(found[0].results)
    head = ["class", "% of points"]
    for line in found:
        head += [f"{line.name}: labelled", "right", "found"]
    rows, share = [head], 100 * present / max(1, present.sum())
    for index, name in enumerate(found[0].classes):
        cells = [f"{share[index]:.1f}"]
        for line in found:
            counts = _total(line)[:, :-1] / len(line.results)
            hits = counts[index, index]
            cells += [
                _percent(counts[index].sum(), present[index]),
                _percent(hits, counts[:, index].sum()),
                _percent(hits, counts[index].sum()),
            ]
        rows.append([name, *cells])
    return rows


def _total(line: Line) -> Any:
    index = line.over.index(OVER)
    return np.sum([np.asarray(each["total"][index], np.int64) for each in line.results], axis=0)


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f}" if whole > 0 else "-"


def _headed(rows: Rows) -> Rows:
    """Rows below two rows of headings, with these in one."""
    names, splits, *rest = rows
    first = [f"{name} ({split})" for name, split in zip(names[1:], splits[1:], strict=True)]
    return [[splits[0], *first], *rest]
