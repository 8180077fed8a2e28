"""The lines of a table of scores: results grouped over seeds, with scores computed from counts."""

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from model.scoring import protocols
from model.scoring.results import ENSEMBLE, RULES, VOTED, Result
from pipeline.facts import ROUNDS

# What is scored: its short name and what it is.
ROWS = {
    "fused": ("(a) fused 2D", "fused 2D embeddings, best text of all classes"),
    "pseudo_labels_open": ("(b) open", "pseudo-labels before the filter by scene tags"),
    "pseudo_labels": ("(b) filtered", "pseudo-labels after the filter by scene tags"),
    "refined_labels": ("(b) refined", "labels that (d) learns, where it has one"),
    "esgs": ("(c) ESGS", "3D network guided by the fused 2D embeddings"),
    "ess_esgs": ("(d) ESS+ESGS", "3D network guided by the specialised embeddings"),
    **{
        f"ess_esgs_round{n}": (f"(d) round {n}", f"ESS + ESGS after self-training, round {n}")
        for n in range(1, ROUNDS + 1)
    },
    "paper_esgs": ("(c) as published", "ESGS by the published recipe"),
    "paper_ess_esgs": ("(d) as published", "ESS + ESGS by the published recipe"),
    "supervised": ("supervised", "fully supervised upper bound: same network, same budget"),
}
# What comes after it where the name of a row ends in one of `results.ENDS`, and what that is.
_RULES = {"": "", RULES["last"]: ", last step", RULES["tags"]: ", by tags"}
_VOTES = {"": "", VOTED: ", voted", ENSEMBLE: " + 2D", ENSEMBLE + VOTED: " + 2D, voted"}
ENDS = {r + v: _RULES[r] + _VOTES[v] for r in _RULES for v in _VOTES}
WORDS = {
    "last step": "weights after the last step",
    "by tags": "weights of the step that agrees best with scene tags of held-out training scans",
    "voted": "class probabilities averaged over each superpoint of the scan",
    "+ 2D": "class probabilities combined, fused 2D ^ 0.7 x network ^ 0.3",
}
MEANS = ("mIoU", "mAcc", "OA")
Scored = dict[str, dict[str, dict[str, Any]]]  # over -> protocol -> metric -> value


@dataclass(frozen=True)
class Line:
    """One line of the table: the results of one kind on one split, over seeds."""

    row: str
    split: str
    results: list[Result]

    @property
    def kind(self) -> tuple[str, str]:
        """What was scored, mostly a key of `ROWS`, and how, a key of `ENDS`."""
        return _kind(self.row)

    @property
    def plain(self) -> bool:
        """Whether it is neither voted nor combined with 2D, and has the weights that it should."""
        return not self.kind[1]

    @property
    def name(self) -> str:
        """Its short name."""
        row, end = self.kind
        return about(row)[0] + ENDS[end]

    @property
    def needs(self) -> str:
        """What it needs of a scan besides its points, in words."""
        return ", ".join(self.results[0]["needs"]) or "points only"

    @property
    def trained_on(self) -> str:
        """How many scans its networks were trained on, in words; - for what is no network."""
        count = self.results[0].get("trained_on")
        return "-" if count is None else f"{count} scan{'s' * (count != 1)}"

    @property
    def classes(self) -> list[str]:
        """The names of the K classes."""
        return list(self.results[0]["classes"])

    @property
    def over(self) -> list[str]:
        """What was counted: points, voxels."""
        return list(self.results[0]["over"])

    @property
    def protocols(self) -> tuple[str, ...]:
        """By which it is scored."""
        return protocols.names(grouped="groups" in self.results[0])

    @cached_property
    def groups(self) -> dict[str, int]:
        """How many classes each group has, if the classes come in groups."""
        groups = self.results[0].get("groups", {})
        return dict(Counter(groups[name] for name in self.classes if groups.get(name)))

    @cached_property
    def scores(self) -> list[Scored]:
        """The scores of each result."""
        return [scores(result) for result in self.results]

    def values(
        self, over: str, protocol: str, metric: str, index: int | str | None = None
    ) -> list[float]:
        """A metric in percent for every seed that has it; `index` is of a class, or a group."""
        found = [each[over][protocol][metric] for each in self.scores]
        if index is not None:
            found = [of_class[index] for of_class in found]
        return [100 * value for value in found if value is not None]


def scores(result: Result) -> Scored:
    """All scores of a result of counts, by every protocol, as plain JSON."""
    classes, groups = result["classes"], result.get("groups")
    return {
        over: {
            name: protocols.score(name, np.asarray(counts, np.int64), classes, groups).as_json()
            for name in protocols.names(grouped=groups is not None)
        }
        for over, counts in zip(result["over"], result["total"], strict=True)
    }


def grouped(results: Iterable[Result], groups: Mapping[str, str] | None) -> list[Result]:
    """Results with the group of each of their classes; as they are where classes have none."""
    return [*results] if groups is None else [{**each, "groups": groups} for each in results]


def with_scores(result: Result) -> Result:
    """A result of counts and its scores, as it is written into the json file of a report."""
    return {**result, "scores": scores(result)}


def lines(results: Sequence[Result]) -> list[Line]:
    """Results grouped by row and split, in the order of `ROWS` and `ENDS`, others last."""
    groups: dict[tuple[int, str], list[Result]] = {}
    order = [row + end for row in ROWS for end in ENDS]
    others = {result["row"] for result in results}.difference(order)
    order += sorted(others, key=lambda row: (_kind(row)[0], [*ENDS].index(_kind(row)[1])))
    for result in results:
        key = (order.index(result["row"]), result["split"])
        groups.setdefault(key, []).append(result)
    return [
        Line(order[row], split, sorted(found, key=lambda r: r.get("seed", 0)))
        for (row, split), found in sorted(groups.items())
    ]


def meanings(table: Sequence[Line]) -> list[list[str]]:
    """The words in the names of lines, and what they mean."""
    rows = dict.fromkeys(line.kind[0] for line in table)
    said = [[word, about] for word, about in WORDS.items() if any(word in e.name for e in table)]
    return [*(list(about(row)) for row in rows), *said]


def _kind(row: str) -> tuple[str, str]:
    end = max((end for end in ENDS if row.endswith(end)), key=len)
    return row.removesuffix(end), end


def about(row: str) -> tuple[str, str]:
    """The short name of what was scored, and what it is: a network by name is not in `ROWS`."""
    return ROWS.get(row, (f"(e) {row}", "3D network trained elsewhere: `networks` in the config"))


def csv_rows(results: Sequence[Result]) -> list[list[str]]:
    """Every number as one row, below a row of headings."""
    names = ["row", "scans", "over", "protocol", "metric", "class"]
    rows = [[*names, "mean", "std", "seeds"]]
    for line in lines(results):
        kind = [line.row, line.split]
        for by in [(over, protocol) for over in line.over for protocol in line.protocols]:
            wanted = [(metric, "", line.values(*by, metric)) for metric in MEANS]
            if by[1] in protocols.GROUPED:
                wanted += [(f"mIoU of {n}", "", line.values(*by, "groups", n)) for n in line.groups]
            for index, name in enumerate(line.classes):
                wanted.append(("IoU", name, line.values(*by, "IoU", index)))
            for metric, name, values in wanted:
                found = spread(values)
                numbers = ["", ""] if found is None else [f"{number:.4f}" for number in found]
                rows.append([*kind, *by, metric, name, *numbers, str(len(values))])
    return rows


def cell(values: Sequence[float]) -> str:
    """Percent of one seed, "mean ± standard deviation" of more, `-` of none."""
    found = spread(values)
    if found is None:
        return "-"
    return f"{found[0]:.1f}" + (f" ± {found[1]:.1f}" if len(values) > 1 else "")


def spread(values: Sequence[float]) -> tuple[float, float] | None:
    """Mean and sample standard deviation (0 of a single value); None of no value."""
    if not values:
        return None
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else 0.0


def gain(before: Sequence[float], after: Sequence[float]) -> float | None:
    """By how much the mean of values exceeds that of others; None if either has none."""
    means = spread(before), spread(after)
    return None if means[0] is None or means[1] is None else means[1][0] - means[0][0]
