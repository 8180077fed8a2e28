"""What the remotes of a config have: each folder is listed once, when it is first asked about."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.plan import digests, weights
from pipeline.plan.plan import Plan
from pipeline.remotes.connection import Connection, Limits, Unreachable
from pipeline.remotes.described import Remote
from pipeline.remotes.listing import Listing
from pipeline.remotes.signed import Record
from pipeline.stages.declaration import Entry
from pipeline.store import entry


def say(sentence: str) -> None:
    """Print a sentence in which others may have written, without what controls a terminal."""
    print("".join(c if c.isprintable() else "?" for c in sentence), file=sys.stderr, flush=True)


class Caches:
    """Remotes in their order, each left alone from when it fails on."""

    def __init__(self, remotes: Iterable[Remote], limits: Limits | None = None) -> None:
        self.remotes, self.limits = [*remotes], limits or Limits()
        self._connections: dict[Remote, Connection | None] = {}
        self._listings: dict[tuple[Remote, str], Listing | None] = {}
        self._forbidding: set[Remote] = set()
        self._refused: set[tuple[Remote, str]] = set()

    def find(self, plan: Plan, what: Entry) -> tuple[Remote, Record] | None:
        """The first remote that has an entry, with its record; None if none has."""
        folder = folder_of(plan, what[0])
        path = f"{folder}/{plan.home(*what).name}"
        for remote in self.remotes:
            listing = self.listing(remote, folder)
            record = listing.first(path) if listing else None
            if record and record.groups is None and (remote, path) not in self._refused:
                return remote, record
        return None

    def has(self, plan: Plan, what: Entry) -> bool:
        """Whether a remote has an entry."""
        return self.find(plan, what) is not None

    def refuse(self, remote: Remote, path: str, why: str) -> None:
        """Take an entry from this remote no more, and say why."""
        self._refused.add((remote, path))
        say(f"{remote.url}: {path} is not taken: {why}.")

    def leave(self, remote: Remote, why: str) -> None:
        """Ask a remote for nothing more, and say why."""
        if remote not in self._connections or self._connections[remote] is not None:
            say(f"{remote.url}: is not used: {why}.")
        self._connections[remote] = None

    def connection(self, remote: Remote) -> Connection | None:
        """The connection to a remote; None where it has failed."""
        if remote not in self._connections:
            try:
                self._connections[remote] = Connection(remote, self.limits)
            except Unreachable as error:
                self.leave(remote, str(error))
        return self._connections[remote]

    def listing(self, remote: Remote, folder: str) -> Listing | None:
        """What a remote says that it has in a folder; None where it has failed."""
        connection = self.connection(remote)
        if connection is None:
            return None
        if (remote, folder) not in self._listings:
            found = None
            try:
                found = Listing(connection, folder, remote.public_key, self.limits)
            except Unreachable as error:
                self.leave(remote, str(error))
            self._listings[remote, folder] = found
            if found and found.forbidden and remote not in self._forbidding:
                self._forbidding.add(remote)
                say(f"{remote.url}: what it refuses to show, such as {folder}, counts as absent.")
        return self._listings[remote, folder]

    def say_refused(self) -> None:
        """Say of which remotes records are not taken because their key has not signed them."""
        for (remote, folder), listing in self._listings.items():
            if listing and listing.refused:
                what = f"{listing.refused} records of {folder} are not signed by its key"
                say(f"{remote.url}: {what}, and are not taken.")
                listing.refused = 0

    def bring_digests(self, plan: Plan) -> None:
        """Put the digests of raw files that remotes know into the store, where it knows none."""
        count = 0
        for folder, names in digest_records(plan).items():
            count += self._bring(Path(plan.facts.store), folder, names)
        if count:
            say(f"{plan.dataset}: took what is known of raw files, of {count} scans")

    def bring_weights(self, tower: Mapping[str, Any], store: Path) -> None:
        """Put the digest of weights into a store that lacks it."""
        if name := weights.record_name(tower):
            self._bring(store, "weights", [name])

    def _bring(self, store: Path, folder: str, names: Iterable[str]) -> int:
        """Write records of digests that the store lacks in a folder; the number of those known."""
        count = 0
        lacking = [n for n in names if not entry.present(store / folder / f"{n}.json")]
        for name in lacking:
            for remote in self.remotes:
                listing = self.listing(remote, folder)
                record = listing.last(f"{folder}/{name}") if listing else None
                if record and record.groups:
                    digests.write_combined(store / folder / f"{name}.json", record.groups)
                    count += 1
                    break
        self.say_refused()
        return count


def folder_of(plan: Plan, stage: str) -> str:
    """The folder of a remote that has the entries of a stage."""
    return f"{plan.dataset}/{stage}/{plan.keys[stage]}"


def digest_records(plan: Plan) -> dict[str, Sequence[str]]:
    """The folders of a store that have digests of the raw files of a plan -> their names there."""
    folder, scans = f"{plan.dataset}/{plan.records.name}", plan.facts.scans
    found: dict[str, Sequence[str]] = {folder: scans}
    if plan.facts.features:
        found[f"{folder}/{weights.records_of(plan.facts.features)}"] = scans
    return found
