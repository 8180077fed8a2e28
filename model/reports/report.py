"""The table at the end: what each step of the method earned, as text, json and csv."""

import csv
import json
import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.tables import aligned

# What can be scored: its short name and what it is.
ROWS = {
    "fused": ("(a) fused 2D", "fused 2D embeddings, best text of all classes"),
    "pseudo_labels_open": ("(b) open", "pseudo-labels without the scene-level filter"),
    "pseudo_labels": ("(b) filtered", "pseudo-labels with the scene-level filter"),
    "esgs": ("(c) ESGS", "3D network guided by the fused 2D embeddings"),
    "ess_esgs": ("(d) ESS+ESGS", "3D network guided by the specialised embeddings"),
    "paper_ess_esgs": ("(d) as published", "the same with the published adapter"),
    "supervised": ("supervised", "the same network and budget, taught by dense labels"),
}
MEANS = ("mIoU", "mAcc", "OA")
_NUMBER = re.compile(r"\d[\d,]*(\.\d)?( ± \d+\.\d)?$")


@dataclass(frozen=True)
class Line:
    """One line of the table: the results of one kind on one split, over seeds."""

    row: str
    split: str
    rotations: int
    results: list[dict[str, Any]]

    @property
    def name(self) -> str:
        """Its short name."""
        return ROWS[self.row][0] + (f" x{self.rotations}" if self.rotations > 1 else "")

    @property
    def meaning(self) -> str:
        """What it is, in words."""
        return ROWS[self.row][1]

    def values(
        self, over: str, protocol: str, metric: str, index: int | None = None
    ) -> list[float]:
        """A metric of every seed in percent (`index`: of one class), less those that have none."""
        found = [result["scores"][over][protocol][metric] for result in self.results]
        if index is not None:
            found = [of_class[index] for of_class in found]
        return [100 * value for value in found if value is not None]


def lines(results: Sequence[dict[str, Any]]) -> list[Line]:
    """Results grouped by row, split and test-time rotations, in the order of `ROWS`."""
    groups: dict[tuple[int, str, int], list[dict[str, Any]]] = {}
    order = list(ROWS)
    for result in results:
        key = (order.index(result["row"]), result["split"], result.get("rotations", 1))
        groups.setdefault(key, []).append(result)
    return [
        Line(order[row], split, rotations, sorted(found, key=lambda r: r.get("seed", 0)))
        for (row, split, rotations), found in sorted(groups.items())
    ]


def spread(values: Sequence[float]) -> tuple[float, float] | None:
    """Mean and sample standard deviation (0 of a single value); None of no value."""
    if not values:
        return None
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else 0.0


def text_report(
    results: Sequence[dict[str, Any]],
    title: str,
    protocol: str = "scannet_official",
    simulated: bool = False,
    parts: Sequence[dict[str, Any]] = (),
) -> str:
    """The table as plain text, in percent; "mean ± standard deviation" where there are seeds.

    Of `parts`, the results whose sum the others are, the means alone are told. Raises `ValueError`
    where there is no result.
    """
    if not results:
        raise ValueError("there is no result to report")
    table, main = lines(results), ("points", protocol)
    by_protocol = [
        [line.name, line.split, over, p, *(cell(line.values(over, p, m)) for m in MEANS)]
        for line in table
        for over, scores in line.results[0]["scores"].items()
        for p in scores
    ]
    by_class = [
        [name, *(cell(line.values(*main, "IoU", index)) for line in table)]
        for index, name in enumerate(results[0]["classes"])
    ]
    return (
        "\n\n".join(
            [
                _heading(table, title, protocol, simulated),
                _means(table, *main),
                *([_means(lines(parts), *main)] if parts else []),
                f"IoU by class, over points, protocol {protocol}\n"
                + align(
                    [
                        ["", *(line.name for line in table)],
                        ["class", *(line.split for line in table)],
                        *by_class,
                    ]
                ),
                "All protocols, over points and over voxels\n"
                + align([["", "scans", "over", "protocol", *MEANS], *by_protocol]),
            ]
        )
        + "\n"
    )


def csv_rows(results: Sequence[dict[str, Any]]) -> list[list[str]]:
    """Every number as one row, under a row of headings."""
    names = ["row", "scans", "rotations", "over", "protocol", "metric", "class"]
    rows = [[*names, "mean", "std", "seeds"]]
    for line in lines(results):
        what = [line.row, line.split, str(line.rotations)]
        scores = line.results[0]["scores"]
        for by in [(over, protocol) for over in scores for protocol in scores[over]]:
            wanted = [(metric, "", line.values(*by, metric)) for metric in MEANS]
            for index, name in enumerate(line.results[0]["classes"]):
                wanted.append(("IoU", name, line.values(*by, "IoU", index)))
            for metric, name, values in wanted:
                found = spread(values)
                numbers = ["", ""] if found is None else [f"{number:.4f}" for number in found]
                rows.append([*what, *by, metric, name, *numbers, str(len(values))])
    return rows


def write_report(
    results: Sequence[dict[str, Any]],
    out_prefix: Path,
    title: str,
    protocol: str = "scannet_official",
    simulated: bool = False,
    parts: Sequence[dict[str, Any]] = (),
) -> str:
    """Write `out_prefix`.txt, .json (the results themselves) and .csv; return the text.

    `parts` are as in `text_report`, and as good as results in the other two.
    """
    text = text_report(results, title, protocol, simulated, parts)
    out_prefix.parent.mkdir(parents=True, exist_ok=True)
    out_prefix.with_name(out_prefix.name + ".txt").write_text(text, encoding="utf-8")
    report = {
        "title": title,
        "simulated": simulated,
        "protocol": protocol,
        "results": [*results, *parts],
    }
    with out_prefix.with_name(out_prefix.name + ".json").open("w", encoding="utf-8") as file:
        json.dump(report, file, indent=1, sort_keys=True)
    with out_prefix.with_name(out_prefix.name + ".csv").open(
        "w", encoding="utf-8", newline=""
    ) as file:
        csv.writer(file).writerows(csv_rows([*results, *parts]))
    return text


def _means(table: Sequence[Line], over: str, protocol: str) -> str:
    rows = [
        [
            line.name,
            line.split,
            *(cell(line.values(over, protocol, m)) for m in MEANS),
            line.meaning,
        ]
        for line in table
    ]
    return align([["", "scans", *MEANS, ""], *rows])


def _heading(table: Sequence[Line], title: str, protocol: str, simulated: bool) -> str:
    """What was measured, how and on what."""
    parts = [title]
    if simulated:
        parts.append("Simulated rooms: these figures are of no real data set.")
    for split in sorted({line.split for line in table}):
        of_split = [line for line in table if line.split == split]
        count = len(of_split[0].results[0]["scans"])
        names = ", ".join(line.name for line in of_split)
        parts.append(f"Scored on {count} {split} scan{'s' * (count != 1)}: {names}.")
    seeds = sorted({len(line.results) for line in table if "seed" in line.results[0]})
    if seeds and seeds[-1] > 1:
        parts.append(f"Networks: mean ± standard deviation over {seeds[-1]} seeds.")
    for selection in sorted({r["selection"] for t in table for r in t.results if "selection" in r}):
        parts.append(f"Network taken: {selection}.")
    parts.append(
        f"Percent, over all points of the scans, protocol {protocol}, unless others are named."
    )
    return "\n".join(parts)


def cell(values: Sequence[float]) -> str:
    """Percent of one seed, "mean ± standard deviation" of more, `-` of none."""
    found = spread(values)
    if found is None:
        return "-"
    return f"{found[0]:.1f}" + (f" ± {found[1]:.1f}" if len(values) > 1 else "")


def align(rows: Sequence[Sequence[str]]) -> str:
    """Columns side by side: numbers to the right, words to the left."""
    columns = enumerate(zip(*rows, strict=True))
    words = {i for i, column in columns if not any(_NUMBER.match(cell) for cell in column)}
    return aligned(rows, left=words)
