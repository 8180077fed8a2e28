"""Entries that a config reaches are given to a remote that lacks them; the first one wins."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pipeline.errors import BadInput
from pipeline.plan import weights
from pipeline.plan.plan import Plan
from pipeline.progress import Progress
from pipeline.remotes import keys
from pipeline.remotes.caches import digest_records, folder_of, say
from pipeline.remotes.connection import Connection, Limits, Unreachable
from pipeline.remotes.described import Remote
from pipeline.remotes.listing import Listing
from pipeline.remotes.signed import Record, encode
from pipeline.store import entry, filesystem, records

BATCH = 64  # entries, after which those given are listed: what an interrupted push has given stays
TRIES = 20  # to add to a listing to which others add, too


@dataclass(frozen=True)
class Gift:
    """An entry of the store, and what the remote calls it."""

    home: Path
    folder: str  # <dataset>/<stage>/<key>
    bytes: int

    @property
    def path(self) -> str:
        """The path of its record."""
        return f"{self.folder}/{self.home.name}"


def reachable(plans: Iterable[Plan], stages: Sequence[str] = ()) -> list[Gift]:
    """The entries of plans that the store has; of some stages only, where any are named."""
    found: dict[Path, Gift] = {}
    for plan in plans:
        for stage, name in plan.entries:
            home = plan.home(stage, name)
            if (not stages or stage in stages) and entry.present(home):
                gift = Gift(home, folder_of(plan, stage), home.stat().st_size)
                found.setdefault(home, gift)
    return [*found.values()]


class Giver:
    """Gives entries to one remote, signed if there is a private key."""

    def __init__(
        self, remote: Remote, private: Ed25519PrivateKey | None, limits: Limits | None = None
    ) -> None:
        """Raises `BadInput` where nothing can be given there, or not with this key."""
        where = f"remotes: {remote.url}"
        if not remote.can_be_given_to:
            what = "is a web server, which only shows what it has"
            raise BadInput(where, what, "give to the folder or bucket that it shows")
        if remote.public_key and (not private or keys.public(private) != remote.public_key):
            what = "has a `public_key:` that is not that of your key"
            raise BadInput(where, what, "name the private key with --key")
        self._remote, self._private, self._limits = remote, private, limits or Limits()
        self._connection = self._asking(Connection, remote, self._limits, True)
        self._listings: dict[str, Listing] = {}

    def absent(self, gifts: Iterable[Gift]) -> list[Gift]:
        """Those that the remote lacks. Raises `BadInput` where it cannot be asked."""
        return [each for each in gifts if not self._listing(each.folder).first(each.path)]

    def give(self, gifts: Sequence[Gift]) -> int:
        """Give all of them; the number given. A damaged entry is named and left out.

        Raises `BadInput` where the remote fails: what is listed by then stays.
        """
        count, total = 0, sum(each.bytes for each in gifts)
        by_folder: dict[str, list[Gift]] = defaultdict(list)
        for each in gifts:
            by_folder[each.folder].append(each)
        with (
            ThreadPoolExecutor(self._limits.at_once) as pool,
            Progress(desc="giving", total=total, unit="B", unit_scale=True) as bar,
        ):
            for folder, own in by_folder.items():
                for first in range(0, len(own), BATCH):
                    batch = own[first : first + BATCH]
                    found = self._asking(lambda b=batch: [*pool.map(self._put, b)])
                    found = [record for record in found if record]
                    bar.update(sum(each.bytes for each in batch))
                    count += self._asking(self._add, folder, found)
        return count

    def give_digests(self, plan: Plan) -> int:
        """Give what plans need to know of raw files and weights, as far as it is not there."""
        known: dict[str, dict[str, Mapping[str, str]]] = {}
        if not plan.facts.simulated:
            for folder in digest_records(plan):
                own = folder.endswith("/raw")
                known[folder] = {
                    scan: {n: d for n, d in groups.items() if (n == "features") != own}
                    for scan, groups in plan.facts.raw_digests.items()
                }
        if (name := weights.record_name(plan.section["embeddings"])) and plan.facts.weights:
            known["weights"] = {name: {"weights": plan.facts.weights}}
        return sum(self._give_digests(folder, names) for folder, names in known.items())

    def _give_digests(self, folder: str, names: Mapping[str, Mapping[str, str]]) -> int:
        listing, found = self._listing(folder), []
        for name, groups in names.items():
            said = listing.last(f"{folder}/{name}")
            if groups and not (said and said.groups == groups):
                found.append(Record(f"{folder}/{name}", groups=groups))
        return int(self._asking(self._add, folder, found))

    def _put(self, gift: Gift) -> Record | None:
        """Put the bytes of an entry there; None where they are not those that were made."""
        try:
            entry.check(gift.home)
            sha256 = records.digest(gift.home)
            said = records.path_for(gift.home, sha256)
            if not entry.present(said):
                raise entry.Damaged(gift.home, entry.MISMATCH)
        except BadInput as error:
            say(f"not given: {error}")
            return None
        path = f"{gift.path}.{sha256}"
        if self._connection.size(path) != gift.bytes:
            self._connection.put(path, gift.home)
        return Record(gift.path, sha256, gift.bytes, _seconds(said))

    def _add(self, folder: str, found: Sequence[Record]) -> int:
        """List records; the number of those that nobody else listed meanwhile."""
        for _ in range(TRIES):
            if not found:
                return 0
            listing = self._listing(folder)
            content = b"".join(encode(record, self._private) for record in found)
            if self._connection.put_new(listing.part(listing.next), content):
                listing.next += 1
                return len(found)
            del self._listings[folder]  # another one was faster
            if found[0].groups is None:
                known = self._listing(folder)
                found = [record for record in found if not known.first(record.path)]
        raise Unreachable(f"{folder}/list cannot be added to")

    def _listing(self, folder: str) -> Listing:
        if folder not in self._listings:
            key = self._remote.public_key
            found = self._asking(Listing, self._connection, folder, key, self._limits)
            self._listings[folder] = found
        return self._listings[folder]

    def _asking(self, ask: Callable[..., Any], *arguments: Any) -> Any:
        """What `ask` returns. Raises `BadInput` where the remote fails."""
        try:
            return ask(*arguments)
        except Unreachable as error:
            what = f"cannot be given to ({error})"
            raise BadInput(self._remote.url, what, "run again, which goes on from there") from error


def _seconds(record: Path) -> float:
    """The time that making an entry took; 0 where its record does not say."""
    try:
        return float(json.loads(filesystem.read_text(record))["seconds"])
    except (OSError, ValueError, LookupError, TypeError):
        return 0.0
