"""What can be asked for, and which datasets the targets of a command ask for."""

import re
from collections.abc import Iterable, Mapping, Sequence

from pipeline.plan.plan import Plan


def known(plans: Mapping[str, Plan]) -> list[str]:
    """What a user can ask for; all folds where scans have areas, rows where the config has."""
    more = [f"sixfold_{dataset}" for dataset, plan in plans.items() if plan.facts.areas]
    more += [f"ablation_{d}" for d, plan in plans.items() if plan.section.get("ablation")]
    return ["predict", *(f"train_{d}" for d in plans), *(f"clouds_{d}" for d in plans), *more]


def wanted(names: Iterable[str], arguments: Sequence[str], pairs: Mapping[str, str]) -> list[str]:
    """The datasets that a command asks for, by the names in its targets.

    A name counts as a whole (`train_demo_s3dis` asks for `demo_s3dis`, not for `demo` or `s3dis`),
    and not in the value of an option (`store=demo`) or in an absolute path (`/home/demo`).
    `pairs` are the config's `transfer`: `transfer_demo` asks for the other dataset, too.
    """
    found = {match["name"] for match in _mentions(names, arguments)}
    found |= {pairs[name] for name in transfers(pairs, arguments)}
    return [name for name in names if name in found]


def folded(names: Iterable[str], arguments: Iterable[str]) -> list[str]:
    """The datasets of which a command asks for all folds, or for one."""
    return _asked(names, arguments, "sixfold", "fold_")


def ablated(names: Iterable[str], arguments: Iterable[str]) -> list[str]:
    """The datasets of which a command asks for an ablation, or for a row of it."""
    return _asked(names, arguments, "ablation", "ablation")


def transfers(pairs: Mapping[str, str], arguments: Iterable[str]) -> list[str]:
    """The pairs of `transfer` in the config that a command asks for, by their first datasets.

    On a cluster a job's target is `transfer_demo:`, which wildcards would follow.
    """
    targets = {each.partition(":")[0] for each in arguments}
    rules = {name: {f"transfer_{name}", f"transfer_{name}_tables"} for name in pairs}
    return [name for name, own in rules.items() if own & targets]


def _asked(names: Iterable[str], arguments: Iterable[str], target: str, part: str) -> list[str]:
    """The datasets that arguments name after a target, or before the name of a part of them."""
    names, found = list(names), set()
    for match in _mentions(names, arguments):
        if match["before"] == target or (match["after"] or "").startswith(part):
            found.add(match["name"])
    return [name for name in names if name in found]


def _mentions(names: Iterable[str], arguments: Iterable[str]) -> list[re.Match[str]]:
    """Where arguments name datasets: <name>, sixfold_<name>, <name>_fold_<area> and so on."""
    known = sorted(names, key=len, reverse=True)  # of two that fit, the longer is meant
    after = r"(?:[_/](?P<after>fold_[A-Za-z0-9]+|ablation(?:_[a-z0-9_]+)?))?"
    name = rf"(?:(?P<before>sixfold|ablation)_)?(?P<name>{'|'.join(known)}){after}"
    pattern = re.compile(rf"(?<![a-z0-9]){name}(?![a-z0-9])")
    parts = [each.partition("=")[0] for each in arguments if not each.startswith("/")]
    return [match for part in parts for match in pattern.finditer(part)]
