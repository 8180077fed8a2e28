"""Absent entries that are needed come from remotes, in parallel, before anything is planned."""

import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.errors import BadInput
from pipeline.plan import config, making, missing
from pipeline.plan.plan import Plan
from pipeline.progress import Progress
from pipeline.remotes.caches import Caches, say
from pipeline.remotes.connection import Unreachable
from pipeline.remotes.described import Remote
from pipeline.remotes.fetch import Fetching, GivenUp, Refused
from pipeline.remotes.signed import Record
from pipeline.remotes.wanted import Wanted
from pipeline.stages.declaration import Entry
from pipeline.store import entry
from pipeline.store.lease import Leases
from pipeline.tables import format_bytes

FAILURES = 3  # of a remote, after which it is asked for nothing more
POLL = 1.0  # seconds between two looks at what another process fetches or makes


class Found(NamedTuple):
    """An entry that a remote has and the store lacks."""

    plan: Plan
    what: Entry
    remote: Remote
    record: Record

    @property
    def home(self) -> Path:
        """Where the store will have it."""
        return self.plan.home(*self.what)


def planned(dataset: str, path: Path, caches: Caches) -> Plan:
    """The plan of a config, with what remotes know of raw files. Raises `BadInput`."""
    described = config.load(path)
    if dataset in config.datasets(described):
        store = Path(making.store_of(described))
        caches.bring_weights(described[dataset]["embeddings"], store)
    plan = config.plan(dataset, path)
    if set(plan.facts.scans) <= plan.facts.raw_digests.keys():
        return plan
    caches.bring_digests(plan)
    return config.plan(dataset, path)


def asked(plan: Plan, stages: Sequence[str], everything: bool) -> list[Wanted]:
    """What the tables need, all of some stages, or everything. Raises `BadInput`."""
    for stage in stages:
        if stage not in plan.stages:
            what = f"{stage!r} is no stage of {plan.dataset}"
            raise BadInput("--stage", what, f"name one of {', '.join(plan.stages)}")
    if everything or stages:
        own = [what for what in plan.entries if not stages or what[0] in stages]
        return [Wanted(plan, own, or_made=False)]
    return [Wanted(plan, missing.tables(plan))]


def look(caches: Caches, wanted: Iterable[Wanted]) -> list[Found]:
    """What is to be taken from where, for what is wanted."""
    found: dict[Path, Found] = {}
    for plan, roots, or_made in wanted:
        here: dict[Entry, bool] = {}

        def there(what: Entry, plan: Plan = plan, here: dict[Entry, bool] = here) -> bool:
            here[what] = missing.present(plan, what)
            return here[what] or caches.has(plan, what)

        known = missing.divide(plan, roots, there)[0] if or_made else filter(there, roots)
        for what in known:
            place = None if here[what] else caches.find(plan, what)
            if place:
                found.setdefault(plan.home(*what), Found(plan, what, *place))
    caches.say_refused()
    return [*found.values()]


def told(found: Iterable[Found]) -> str:
    """How many entries and bytes come from where."""
    counts, sizes = Counter[str](), Counter[str]()
    for each in found:
        counts[each.remote.url] += 1
        sizes[each.remote.url] += each.record.bytes
    parts = [f"{n} entries ({format_bytes(sizes[url])}) from {url}" for url, n in counts.items()]
    return ", ".join(parts)


def take(caches: Caches, wanted: Iterable[Wanted]) -> int:
    """Bring all that is wanted and to be had; the number of entries.

    What cannot be taken from one remote is looked for in the next, and then what it is made from.
    Raises `BadInput` where the store cannot be written to or its disk is too small.
    """
    wanted, count = [*wanted], 0
    while found := look(caches, wanted):
        _require_space(found)
        say(f"{_datasets(found)}: fetching {told(found)}")
        begin = time.monotonic()
        fetched = _fetch_all(caches, found)
        size, seconds = sum(each.record.bytes for each in fetched), time.monotonic() - begin
        rate = f"{size / 1e6 / seconds:.1f} MB/s" if seconds else ""
        what = f"fetched {len(fetched)} of {len(found)} entries, {format_bytes(size)}"
        say(f"{_datasets(found)}: {what} in {seconds:.1f} s ({rate})")
        count += len(fetched)
    return count


def _datasets(found: Iterable[Found]) -> str:
    return ", ".join(dict.fromkeys(each.plan.dataset for each in found))


def _require_space(found: list[Found]) -> None:
    store = Path(found[0].plan.facts.store)
    store.mkdir(parents=True, exist_ok=True)
    size, free = sum(each.record.bytes for each in found), shutil.disk_usage(store).free
    if size > free:
        what = f"has {format_bytes(free)} left, and {format_bytes(size)} are to be fetched"
        raise BadInput(store, what, "free space there, or set `store` to another folder")


def _fetch_all(caches: Caches, found: list[Found]) -> list[Found]:
    stop, leases, done = threading.Event(), Leases(), list[Found]()
    failures: Counter[Remote] = Counter()
    total = sum(each.record.bytes for each in found)
    # In this thread: two at once cannot read code as a key does (Python 3.11, gh-106905).
    plans = {(each.plan, each.what[0]): None for each in found}
    recipes = {(plan, stage): plan.own_recipe(stage) for plan, stage in plans}
    pool = ThreadPoolExecutor(caches.limits.at_once)
    with Progress(desc="fetching", total=total, unit="B", unit_scale=True) as bar:
        lock = threading.Lock()

        def tell(count: int) -> None:
            with lock:
                bar.update(count)

        def one(each: Found) -> None:
            connection = caches.connection(each.remote)
            if connection is None:
                raise Unreachable("it has failed before")
            fetching = Fetching(connection, caches.limits.tries, tell, stop)
            recipe = recipes[each.plan, each.what[0]]
            _fetch(fetching, leases, each, recipe, stop)

        jobs = {pool.submit(one, each): each for each in found}
        try:
            for job in as_completed(jobs):
                each = jobs[job]
                try:
                    job.result()
                    done.append(each)
                except (Refused, Unreachable) as error:
                    if caches.connection(each.remote) is not None:
                        caches.refuse(each.remote, each.record.path, str(error))
                    failures[each.remote] += isinstance(error, Unreachable)
                    if failures[each.remote] == FAILURES:
                        caches.leave(each.remote, "it has failed too often")
        finally:
            stop.set()  # after an interruption or a full disk; otherwise all is done
            pool.shutdown(wait=True, cancel_futures=True)
    return done


def _fetch(
    fetching: Fetching,
    leases: Leases,
    each: Found,
    recipe: Mapping[str, Any] | None,
    stop: threading.Event,
) -> None:
    """Fetch an entry, unless another process does so or makes it: then wait for that."""
    home = each.home
    while not entry.present(home):
        with leases.take(home) as mine:
            if mine and not entry.present(home):
                fetching.fetch(each.record, home, recipe)
                return
        if stop.wait(POLL):
            raise GivenUp
