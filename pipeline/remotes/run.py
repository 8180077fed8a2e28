"""What a run takes from remotes, before it plans jobs."""

import atexit
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pipeline.plan import missing, moved_store, rawdata
from pipeline.plan.missing import Elsewhere
from pipeline.plan.plan import Plan
from pipeline.plan.transfer import Transfer
from pipeline.remotes.described import remotes
from pipeline.store import links

if TYPE_CHECKING:
    from pipeline.remotes.taking import Found


class Brought:
    """The remotes of a config for one run: nothing, and no import, where it names none."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        """Raises `BadInput` for a remote that must not be used. None is connected to yet."""
        described = remotes(config)
        self.caches: Elsewhere = missing.NOWHERE
        self._found: list[Found] = []  # that a dry run leaves where they are
        if described:
            from pipeline.remotes.caches import Caches

            self.caches = Caches(described)

    def take(
        self,
        plans: Mapping[str, Plan],
        of_folds: Mapping[str, Mapping[str, Plan]],
        of_rows: Mapping[str, Mapping[str, Plan]],
        transfers: Iterable[Transfer],
        arguments: Sequence[str],
    ) -> None:
        """Take what the targets need; a dry run only says what that is.

        Raises `BadInput` as `taking.take`, and where raw files are needed after all and missing.
        """
        if self.caches is missing.NOWHERE:
            return
        from pipeline.remotes import taking, wanted
        from pipeline.remotes.caches import Caches

        assert isinstance(self.caches, Caches)
        asked = wanted.of_run(plans, of_folds, of_rows, transfers, arguments)
        if not moved_store.is_dry_run(arguments):
            taking.take(self.caches, asked)
            for plan in plans.values():
                rawdata.require(plan, self.caches)
            return
        self._found = taking.look(self.caches, asked)
        if self._found:
            store = self._found[0].plan.facts.store
            print(f"would fetch {taking.told(self._found)}, into {store}", file=sys.stderr)

    def show(self) -> None:
        """Let a dry run plan as if everything had come, by links that go when it ends."""
        for each in self._found:
            link = each.plan.link(*each.what)
            if not link.is_symlink():
                links.point(link, each.home)
                atexit.register(_unlink, link)


def _unlink(link: Any) -> None:
    with suppress(OSError):
        if not link.exists():
            link.unlink()
