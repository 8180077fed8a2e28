"""The page about an ablation: its tables, and what each row gains or loses, class by class."""

from collections.abc import Mapping, Sequence
from typing import Any

from model.pages import charts
from model.pages.page import shown, template
from model.pages.sections import OVER
from model.reports import ablation
from model.reports.ablation import Row, Scored
from model.reports.lines import gain


def render(table: Mapping[str, Any], asked: Mapping[str, Any] | None = None) -> str:
    """One HTML page which needs no other file.

    `table` is the content of the table.json of an ablation, and `asked` that of the run.json of its
    first row.
    """
    rows = [Row(row["name"], row["changes"], row["results"]) for row in table["rows"]]
    protocol, simulated = table["protocol"], table["simulated"]
    scored = ablation.scored(rows)
    title, _, about = str(table["title"]).partition(":")
    of_class = ablation.by_class(scored, OVER, protocol)
    return template("ablation.html.j2").render(
        title=title,
        about=about.strip(),
        heading=ablation.heading(scored, protocol, simulated),
        simulated=simulated,
        means=ablation.means(scored, OVER, protocol),
        changes=[["row", "setting"], *ablation.changed_settings(rows)],
        of_class=of_class,
        gains=_gains(scored, protocol),
        asked=shown(asked) if asked else None,
    )


def _gains(scored: Sequence[Scored], protocol: str) -> list[str]:
    """A chart of the mIoU of all rows less that of the first, and one of the classes for each."""
    first, others = scored[0], list(enumerate(scored[1:], start=2))
    in_all = {
        f"{number} {each.row.name}": ablation.difference(first.line, each.line, protocol)
        for number, each in others
    }
    drawn = [charts.differences("mIoU less that of row 1", in_all)] if in_all else []
    for number, each in others:
        lines = (first.line, each.line)
        found = {
            name: gain(*(line.values(OVER, protocol, "IoU", index) for line in lines))
            for index, name in enumerate(first.line.classes)
        }
        drawn.append(charts.differences(f"{number} {each.row.name}", found))
    return drawn
