"""The table at the end: what each step of the method earned, as text, json and csv."""

import csv
import json
import re
from collections.abc import Sequence
from pathlib import Path

from model.reports.lines import MEANS, Line, cell, csv_rows, lines, with_scores
from model.scoring import protocols
from model.scoring.results import Result
from pipeline.tables import aligned

_NUMBER = re.compile(r"\d[\d,]*(\.\d)?( ± \d+\.\d)?$")


def text_report(
    results: Sequence[Result],
    title: str,
    protocol: str = "scannet_official",
    simulated: bool = False,
    parts: Sequence[Result] = (),
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
        for over in line.over
        for p in protocols.names()
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


def write_report(
    results: Sequence[Result],
    out_prefix: Path,
    title: str,
    protocol: str = "scannet_official",
    simulated: bool = False,
    parts: Sequence[Result] = (),
) -> str:
    """Write `out_prefix`.txt, .json (the results with their scores) and .csv; return the text.

    `parts` are as in `text_report`, and as good as results in the other two.
    """
    text = text_report(results, title, protocol, simulated, parts)
    out_prefix.parent.mkdir(parents=True, exist_ok=True)
    out_prefix.with_name(out_prefix.name + ".txt").write_text(text, encoding="utf-8")
    report = {
        "title": title,
        "simulated": simulated,
        "protocol": protocol,
        "results": [with_scores(result) for result in (*results, *parts)],
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


def align(rows: Sequence[Sequence[str]]) -> str:
    """Columns side by side: numbers to the right, words to the left."""
    columns = enumerate(zip(*rows, strict=True))
    words = {i for i, column in columns if not any(_NUMBER.match(cell) for cell in column)}
    return aligned(rows, left=words)
