"""What of a store is in use: paths relative to the store, each of which stands for all below it."""

import os
import socket
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from pipeline.errors import BadInput
from pipeline.plan import config
from pipeline.plan.config import Registered
from pipeline.plan.plan import Plan


def of_plan(plan: Plan) -> set[Path]:
    """What a plan reaches: entries, or the folders of all its keys.

    The latter where the entries' names are not known, as some raw files are not, or as the plan was
    made by other code or packages, which may have other stages or name other entries.
    """
    with suppress(LookupError, TypeError, ValueError, AttributeError):
        raw, groups = plan.facts.raw_digests, {"features"} if plan.facts.features else set()
        known = all(scan in raw and groups <= raw[scan].keys() for scan in plan.facts.scans)
        if known and Plan(plan.facts).keys == plan.keys:
            homes = (plan.home(*what) for what in plan.entries)
            return {home.relative_to(plan.facts.store) for home in homes}
    return {Path(plan.dataset, str(stage), str(key)) for stage, key in plan.keys.items()}


def of_config(path: Path, users: Iterable[Registered]) -> tuple[set[Path], dict[str, str]]:
    """What a config reaches, and the datasets that cannot be planned from it, and why.

    All of such a dataset is reached, unless this work tree has registered a plan of it. Raises
    `BadInput` for a bad config.
    """
    found: set[Path] = set()
    faults: dict[str, str] = {}
    described = config.load(path)
    here = (socket.gethostname(), os.path.abspath(described["work"]))
    own = {user.plan.dataset for user in users if (user.host, user.work) == here}
    for dataset in config.datasets(described):
        try:
            found |= of_plan(config.plan(dataset, path))
        except BadInput as error:
            if dataset not in own:
                found.add(Path(dataset))
                faults[dataset] = str(error)
    return found, faults


def is_in(reached: set[Path], place: Path) -> bool:
    """Whether a path relative to the store is reached."""
    return not reached.isdisjoint((place, *place.parents))
