"""The table at the end: the scores of each step of the method, as text, json and csv."""

from collections.abc import Sequence
from pathlib import Path

from model.reports.lines import MEANS, Line, cell, csv_rows, lines, meanings, with_scores
from model.scoring import protocols
from model.scoring.results import Result
from pipeline import tables


def text_report(
    results: Sequence[Result],
    title: str,
    protocol: str = "scannet_official",
    simulated: bool = False,
    parts: Sequence[Result] = (),
) -> str:
    """The table as plain text, in percent; "mean ± standard deviation" where there are seeds.

    `parts` are results whose sum is `results`, such as those of the folds; only their means are
    reported. Raises `ValueError` where there is no result.
    """
    if not results:
        raise ValueError("there is no result to report")
    table, main = lines(results), ("points", protocol)
    sections = [
        "\n".join([title, *heading(table, protocol, simulated)]),
        tables.aligned(means(table, *main)),
    ]
    if parts:
        sections.append(tables.aligned(means(lines(parts), *main)))
    plain = [line for line in table if line.plain]
    sections += [
        tables.aligned(meanings(table)),
        *_grouped(table, *main),
        f"IoU by class, over {main[0]}, protocol {protocol}\n"
        + tables.aligned(by_class(plain, *main)),
        "All protocols, over points and over voxels\n" + tables.aligned(by_protocol(plain)),
    ]
    if len(plain) < len(table):
        sections.append("The other rows: by class and protocol in the csv file.")
    return "\n\n".join(sections) + "\n"


def write_report(
    results: Sequence[Result],
    out_prefix: Path,
    title: str,
    protocol: str = "scannet_official",
    simulated: bool = False,
    parts: Sequence[Result] = (),
) -> str:
    """Write `out_prefix`.txt, .json (the results with their scores) and .csv; return the text.

    `parts` are as in `text_report`; in the other two files they are results like any.
    """
    text = text_report(results, title, protocol, simulated, parts)
    every = [*results, *parts]
    report = {
        "title": title,
        "simulated": simulated,
        "protocol": protocol,
        "results": [with_scores(result) for result in every],
    }
    tables.write(out_prefix, text, report, csv_rows(every))
    return text


def heading(table: Sequence[Line], protocol: str, simulated: bool) -> list[str]:
    """What is said of the scans, the seeds and the protocol, a line each."""
    parts = []
    if simulated:
        parts.append("Simulated rooms: these are not results on a real dataset.")
    for split in sorted({line.split for line in table}):
        of_split = [line for line in table if line.split == split and line.plain]
        count = len(of_split[0].results[0]["scans"])
        names = ", ".join(line.name for line in of_split)
        parts.append(f"Scored on {count} {split} scan{'s' * (count != 1)}: {names}.")
    seeds = sorted({len(line.results) for line in table if "seed" in line.results[0]})
    if seeds and seeds[-1] > 1:
        parts.append(f"Networks: mean ± standard deviation over {seeds[-1]} seeds.")
    parts += _selections(table)
    parts.append(
        f"Percent, over all points of the scans, protocol {protocol}, unless stated otherwise."
    )
    return parts


def _selections(table: Sequence[Line]) -> list[str]:
    """How the step of each network was chosen, in one line if it is the same for all."""
    found: dict[str, list[str]] = {}
    for line in table:
        if line.plain:
            for result in line.results:
                if "selection" in result:
                    name = f"{line.name}, seed {result['seed']}"
                    found.setdefault(result["selection"], []).append(name)
    if len(found) == 1:
        return [f"Network used: {selection}." for selection in found]
    return [f"Network used in {'; '.join(names)}: {said}." for said, names in found.items()]


def means(table: Sequence[Line], over: str, protocol: str) -> list[list[str]]:
    """The mean scores of each line, below a row of headings."""
    rows = [
        [
            line.name,
            line.split,
            *(cell(line.values(over, protocol, m)) for m in MEANS),
            line.trained_on,
            line.needs,
        ]
        for line in table
    ]
    return [["", "scans", *MEANS, "trained on", "needs"], *rows]


def by_group(table: Sequence[Line], over: str, protocol: str) -> list[list[str]]:
    """The mean IoU of each group of classes, below a row of headings; no row without groups."""
    groups = table[0].groups if protocol in protocols.GROUPED else {}
    rows = [
        [
            line.name,
            line.split,
            cell(line.values(over, protocol, "mIoU")),
            *(cell(line.values(over, protocol, "groups", name)) for name in groups),
        ]
        for line in table
    ]
    of_groups = [f"{name} {count}" for name, count in groups.items()]
    return [["", "scans", f"all {len(table[0].classes)}", *of_groups], *rows] if groups else []


def _grouped(table: Sequence[Line], over: str, protocol: str) -> list[str]:
    """The section of groups of classes, where the protocol has groups."""
    if rows := by_group(table, over, protocol):
        return [f"mIoU by group of classes, over {over}\n" + tables.aligned(rows)]
    if protocol in protocols.GROUPED:
        return ["No mean IoU by group of classes: the column `group` of the classes is empty."]
    return []


def by_class(table: Sequence[Line], over: str, protocol: str) -> list[list[str]]:
    """The IoU of each class in a row, below two rows of headings."""
    rows = [
        [name, *(cell(line.values(over, protocol, "IoU", index)) for line in table)]
        for index, name in enumerate(table[0].classes)
    ]
    head = [["", *(line.name for line in table)], ["class", *(line.split for line in table)]]
    return [*head, *rows]


def by_protocol(table: Sequence[Line]) -> list[list[str]]:
    """The mean scores of each line by each protocol, below a row of headings."""
    rows = [
        [line.name, line.split, over, p, *(cell(line.values(over, p, m)) for m in MEANS)]
        for line in table
        for over in line.over
        for p in line.protocols
    ]
    head = ["", "scans", "over", "protocol", *MEANS]
    return [head, *rows]
