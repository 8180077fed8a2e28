"""Which parts of a store are in use: paths relative to it, each including all below it."""

import os
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from pipeline.errors import BadInput
from pipeline.plan import config, graph, keys, registered
from pipeline.plan.plan import Plan
from pipeline.plan.registered import Registered
from pipeline.store import filesystem


class Plans:
    """What the registered plans of a store need, read anew whenever one has come or changed."""

    def __init__(self, root: Path) -> None:
        self._root, self._seen = root, set[tuple[str, int, int]]()
        self._used: set[Path] | None = None

    def need(self, path: Path) -> bool:
        """Whether a path of the store is in use now. Raises `BadInput` if a plan is unreadable."""
        seen = set(self._files())
        if self._used is None or seen != self._seen:
            users = registered.registered(self._root)
            self._used = {path for user in users for path in of_plan(user.plan)}
            self._seen = seen
        return contains(self._used, path.relative_to(self._root))

    def _files(self) -> Iterator[tuple[str, int, int]]:
        with filesystem.scan(self._root / registered.PLANS) as found:
            for item in found:
                with suppress(FileNotFoundError):  # taken away just now
                    status = item.stat(follow_symlinks=False)
                    yield item.name, status.st_ino, status.st_mtime_ns


def of_plan(plan: Plan) -> set[Path]:
    """What a plan uses: its entries, or else the folders of all its keys.

    The latter if the entries' names are unknown, because some raw files are, or because the plan
    was made by other code or packages, which may have other stages or name other entries.
    """
    with suppress(LookupError, TypeError, ValueError, AttributeError, BadInput):
        raw, groups = plan.facts.raw_digests, {"features"} if plan.facts.features else set()
        known = all(scan in raw and groups <= raw[scan].keys() for scan in plan.facts.scans)
        if known and _stored(keys.all_keys(plan.facts)) == _stored(plan.keys):
            homes = (plan.home(*what) for what in plan.entries)
            return {home.relative_to(plan.facts.store) for home in homes}
    return {Path(plan.dataset, str(stage), str(key)) for stage, key in plan.keys.items()}


def _stored(keys_: Mapping[str, str]) -> dict[str, str]:
    """The keys less those of stages that this code knows and that make no entries."""
    unstored = {name for name in graph.modules() if not graph.stage(name).stored}
    return {name: key for name, key in keys_.items() if name not in unstored}


def of_config(path: Path, users: Iterable[Registered]) -> tuple[set[Path], dict[str, str]]:
    """What a config uses, and why some of its datasets cannot be planned.

    All of such a dataset is in use, unless this work tree has registered a plan of it. Raises
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


def contains(used: set[Path], path: Path) -> bool:
    """Whether a path relative to the store is in use."""
    return not used.isdisjoint((path, *path.parents))
