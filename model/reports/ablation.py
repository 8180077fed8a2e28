"""The tables of an ablation: the scores of each row, and what they lose or gain by its settings."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from model.reports.lines import MEANS, Line, cell, csv_rows, gain, lines, spread, with_scores
from model.scoring.results import VOTED, Result
from pipeline import tables
from pipeline.facts import PSEUDO_LABELS


@dataclass(frozen=True)
class Row:
    """The results of the dataset with some settings changed."""

    name: str
    changes: Sequence[str]  # such as `train.loss.text = 0`
    results: Sequence[Result]


@dataclass(frozen=True)
class Scored:
    """A row of the table: networks of one variant, and what belongs to them."""

    row: Row
    line: Line
    voted: Line | None
    labels: Line | None  # the pseudo-labels, of the training scans


def scored(rows: Sequence[Row]) -> list[Scored]:
    """Each variant of each row. Raises `ValueError` where a row has no networks."""
    found = []
    for row in rows:
        known = {line.kind: line for line in lines(row.results)}
        networks = [n for n in known.values() if n.plain and "seed" in n.results[0]]
        if not networks:
            raise ValueError(f"{row.name} has no networks")
        labels = known.get((PSEUDO_LABELS, ""))
        found += [Scored(row, n, known.get((n.row, VOTED)), labels) for n in networks]
    return found


def text_report(rows: Sequence[Row], title: str, protocol: str, simulated: bool = False) -> str:
    """The tables as text, in percent over points; "mean ± standard deviation" over seeds.

    The first row is what the others are compared with. Raises `ValueError` as `scored` does.
    """
    table = scored(rows)
    main = ("points", protocol)
    parts = [
        "\n".join([f"{title}.", *heading(table, protocol, simulated)]),
        tables.aligned(means(table, *main), left={1, 2}),
    ]
    changed = changed_settings(rows)
    if changed:
        parts.append("Settings that the rows change\n" + tables.aligned(changed))
    of_class = f"IoU by class, over {main[0]}, protocol {protocol}, means of the rows above"
    parts.append(f"{of_class}\n" + tables.aligned(by_class(table, *main), left={0}))
    return "\n\n".join(parts) + "\n"


def changed_settings(rows: Sequence[Row]) -> list[list[str]]:
    """The settings that rows change, the name of each row beside the first of its own."""
    return [
        [row.name if number == 0 else "", change]
        for row in rows
        for number, change in enumerate(row.changes)
    ]


def write_ablation(
    rows: Sequence[Row], out_prefix: Path, dataset: str, protocol: str, simulated: bool = False
) -> str:
    """Write `out_prefix`.txt, .json (the results with their scores) and .csv; return the text.

    Raises `ValueError` as `scored` does.
    """
    title = f"{dataset}, ablation: the dataset as configured, and with some of its settings changed"
    text = text_report(rows, title, protocol, simulated)
    content = {
        "title": title,
        "simulated": simulated,
        "protocol": protocol,
        "rows": [
            {
                "name": row.name,
                "changes": list(row.changes),
                "results": [with_scores(result) for result in row.results],
            }
            for row in rows
        ],
    }
    tables.write(out_prefix, text, content, _csv_rows(rows, protocol))
    return text


def difference(first: Line, line: Line, protocol: str) -> float | None:
    """Percent of mIoU over points by which the mean of `line` exceeds that of `first`."""
    return gain(*(each.values("points", protocol, "mIoU") for each in (first, line)))


def heading(table: Sequence[Scored], protocol: str, simulated: bool) -> list[str]:
    """What is said of the scans, the protocol and the columns, a line or two each."""
    parts = []
    if simulated:
        parts.append("Simulated rooms: these are not results on a real dataset.")
    first = table[0]
    count = len(first.line.results[0]["scans"])
    parts.append(
        f"Networks scored on {count} {first.line.split} scan{'s' * (count != 1)}, in percent, over "
        f"all points, protocol {protocol};\nmean ± standard deviation over seeds. diff: mIoU less "
        f"that of row 1."
    )
    if any(each.voted for each in table):
        parts.append("voted: mIoU of labels averaged over superpoints.")
    if first.labels:
        count = len(first.labels.results[0]["scans"])
        parts.append(
            f"labels: mIoU of the filtered pseudo-labels of {count} training "
            f"scan{'s' * (count != 1)}, where a row changes them."
        )
    return parts


def means(table: Sequence[Scored], over: str, protocol: str) -> list[list[str]]:
    """The mean scores of each row, below a row of headings."""
    voted, labels = (any(getattr(s, name) for s in table) for name in ("voted", "labels"))
    head = ["", "row", "network", "seeds", *MEANS, "diff"]
    head += ["voted"] * voted + ["labels"] * labels
    rows = [head]
    for number, each in enumerate(table, start=1):
        change = difference(table[0].line, each.line, protocol)
        cells = [cell(each.line.values(over, protocol, metric)) for metric in MEANS]
        shown = [each.voted] * voted + [each.labels] * labels
        cells += [
            "" if number == 1 or change is None else f"{round(change, 1) + 0:+.1f}",
            *(cell(line.values(over, protocol, "mIoU")) if line else "" for line in shown),
        ]
        name = each.line.name
        rows.append([str(number), each.row.name, name, str(len(each.line.results)), *cells])
    return rows


def by_class(table: Sequence[Scored], over: str, protocol: str) -> list[list[str]]:
    """The IoU of each class in a row, below a row of headings, which are the numbers of rows.

    Means alone: with their spread the columns would be too wide for many rows.
    """
    rows = []
    for index, name in enumerate(table[0].line.classes):
        found = [spread(each.line.values(over, protocol, "IoU", index)) for each in table]
        rows.append([name, *("-" if mean is None else f"{mean[0]:.1f}" for mean in found)])
    head = ["class", *(str(number) for number in range(1, len(table) + 1))]
    return [head, *rows]


def _csv_rows(rows: Sequence[Row], protocol: str) -> Iterator[list[str]]:
    """Every number as one row, below a row of headings; differences have the metric `mIoU diff`."""
    table = scored(rows)
    yield ["name", "changes", *csv_rows(rows[0].results)[0]]
    for row in rows:
        known = [row.name, "; ".join(row.changes)]
        yield from ([*known, *numbers] for numbers in csv_rows(row.results)[1:])
        for each in table:
            change = difference(table[0].line, each.line, protocol)
            if each.row is row and change is not None:
                kind = [each.line.row, each.line.split, "points", protocol, "mIoU diff", ""]
                yield [*known, *kind, f"{change:.4f}", "", str(len(each.line.results))]
