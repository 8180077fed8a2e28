"""The tables of networks scored on another dataset, beside the networks trained on it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.reports.lines import MEANS, cell, csv_rows, lines, with_scores
from model.scoring.results import Result
from pipeline import tables

Classes = Sequence[Mapping[str, Any]]  # name and prompts of each


@dataclass(frozen=True)
class Group:
    """Results of the networks of one dataset on the scans of another or the same dataset."""

    trained_on: str
    scored_on: str
    classes: str  # which of them are counted: all, or common
    results: Sequence[Result]


def class_rows(sets: Mapping[str, Classes]) -> list[list[str]]:
    """The classes of two datasets, mapped by name, with their prompts; those in both first.

    `sets` maps the names of the two datasets to their classes. A row has the class name in each
    dataset (`-`: none), `mapped` or `only in <dataset>`, and the prompts in each dataset.
    """
    prompts = [{c["name"]: "|".join(c["prompts"]) for c in classes} for classes in sets.values()]
    first, second = prompts
    only = [f"only in {dataset}" for dataset in sets]
    rows = [[n, n, "mapped", first[n], second[n]] for n in first if n in second]
    rows += [[n, "-", only[0], first[n], "-"] for n in first if n not in second]
    return rows + [["-", n, only[1], "-", second[n]] for n in second if n not in first]


def text_report(
    sets: Mapping[str, Classes],
    groups: Sequence[Group],
    protocols: Mapping[str, str],
    simulated: Sequence[str] = (),
) -> str:
    """The tables as text, in percent over points; "mean ± standard deviation" over seeds.

    `protocols` maps a dataset to the protocol of its scans; `simulated` are the datasets of
    simulated rooms.
    """
    one, other = sets
    heading = [f"Transfer between {one} and {other}"]
    if simulated:
        names = " and ".join(simulated)
        heading.append(f"Simulated rooms ({names}): these are not results on a real dataset.")
    heading += [
        "A network sees the points of the other dataset in voxels of the size it was trained on, "
        "and finds that dataset's classes by their text embeddings.",
        "On common classes, points of other classes are not counted, and predictions of other "
        "classes are misses.",
        "Percent, over all points of the scans.",
    ]
    head = [one, other, "", f"prompts of {one}", f"prompts of {other}"]
    mapping = tables.aligned([head, *class_rows(sets)])
    parts = ["\n".join(heading), f"Classes, mapped by name\n{mapping}"]
    for dataset in dict.fromkeys(group.scored_on for group in groups):
        of_it = [group for group in groups if group.scored_on == dataset]
        parts += _tables(dataset, of_it, protocols[dataset])
    return "\n\n".join(parts) + "\n"


def _tables(dataset: str, groups: Sequence[Group], protocol: str) -> list[str]:
    """The mean scores on the scans of one dataset, and the IoU of each of its classes."""
    found = [(group, line) for group in groups for line in lines(group.results)]
    found.sort(key=lambda each: (each[1].name, each[0].classes))
    scans = len(found[0][1].results[0]["scans"])
    means = [
        [
            line.name,
            group.trained_on,
            f"{group.classes} {len(line.classes)}",
            *(cell(line.values("points", protocol, metric)) for metric in MEANS),
        ]
        for group, line in found
    ]
    whole = [(g, line) for g, line in found if g.classes == "all" and line.plain]
    of_class = [
        [name, *(cell(line.values("points", protocol, "IoU", k)) for _, line in whole)]
        for k, name in enumerate(whole[0][1].classes)
    ]
    head = [["", *(line.name for _, line in whole)]]
    head += [["class", *(group.trained_on for group, _ in whole)]]
    return [
        f"Scored on {scans} val scan{'s' * (scans != 1)} of {dataset}, protocol {protocol}\n"
        + tables.aligned([["", "trained on", "classes", *MEANS], *means]),
        f"IoU by class of {dataset}, all classes\n" + tables.aligned([*head, *of_class]),
    ]


def write_report(
    out_prefix: Path,
    sets: Mapping[str, Classes],
    groups: Sequence[Group],
    protocols: Mapping[str, str],
    simulated: Sequence[str] = (),
) -> str:
    """Write `out_prefix`.txt, .json (classes, results, scores) and .csv; return the text."""
    text = text_report(sets, groups, protocols, simulated)
    report = {
        "simulated": list(simulated),
        "protocols": dict(protocols),
        "mapping": class_rows(sets),
        "groups": [
            {**vars(group), "results": [with_scores(result) for result in group.results]}
            for group in groups
        ],
    }
    heading = csv_rows(groups[0].results)[0]
    rows = [["trained_on", "scored_on", "classes", *heading]]
    for group in groups:
        known = (group.trained_on, group.scored_on, group.classes)
        rows += [[*known, *row] for row in csv_rows(group.results)[1:]]
    tables.write(out_prefix, text, report, rows)
    return text
