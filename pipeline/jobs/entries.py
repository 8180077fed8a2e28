"""How the entry of any stage is found or made: from the entries and raw files that a plan names."""

import sys
import warnings
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from pipeline.errors import BadInput
from pipeline.facts import Facts
from pipeline.jobs import ranks
from pipeline.plan import graph, rawdata, weights
from pipeline.plan.plan import Plan
from pipeline.stages.declaration import Entry, Request
from pipeline.store import damaged, entry, first_use, groups, links, notes, publish
from pipeline.store.lease import Leases

Job = Callable[[str, Path], None]  # makes the entry of that name at that path


def maker(stage: str, plan: Plan) -> Callable[[Path], str | None]:
    """What finds or makes the entry behind a link: None while somebody else makes that one.

    The stage's code is loaded when it is first needed.
    """
    loaded: list[Job] = []
    leases = Leases()

    def run(link: Path) -> str | None:
        name = link.name.partition(".")[0]
        if link != plan.link(stage, name):
            what = f"{link} is not of this plan, which another run has replaced"
            raise BadInput(plan.path, what, "run snakemake again")
        home = plan.home(stage, name)
        done = "found"
        if not entry.present(home):
            require_inputs(plan, stage, name)
            with leases.take(home) as mine:
                if not mine:
                    return None
                if not entry.present(home):
                    make(name, home)
                    done = "made"
        links.point(link, home)
        return done

    def make(name: str, home: Path) -> None:
        nodes, each = ranks.processes(stage, plan)
        if nodes * each == 1 and not loaded:
            loaded.append(load(stage, plan))
        with damaged.moving_aside(), publish.place(home, plan.own_recipe(stage)) as path:
            if loaded:
                loaded[0](name, path)
            else:
                ranks.run(stage, plan, name, path, nodes, each)

    return run


def require_inputs(plan: Plan, stage: str, name: str) -> None:
    """Raise `NotMade` where some of what an entry is made from has failed in this run."""
    inputs = plan.inputs(stage, name)
    if plan.facts.simulated and graph.stage(stage).raw:
        inputs = [*inputs, ("simulate", name)]
    found = (notes.read(path) for source in inputs for path in plan.places(*source)[:1])
    failed = [note for note in found if note]
    if failed:
        raise notes.NotMade(f"{stage} of {plan.dataset}", failed)


def load(stage: str, plan: Plan) -> Job:
    """A stage, loaded once for all the entries that it is to make."""
    weights.require_planned(plan, stage)
    declared, worker = graph.stage(stage), load_worker(stage, plan.facts)

    def make(name: str, path: Path) -> None:
        sources = {source: plan.home(*source) for source in plan.inputs(stage, name)}
        with sound(sources.values()), warnings_of(f"{stage} of {name}"):
            if declared.suffix != "zarr.zip":
                worker(path, request(plan, stage, name, path, sources))
                return
            inputs: dict[str, Any] = {
                upstream: groups.read(home) for (upstream, _), home in sources.items()
            }
            if declared.wants_name:
                inputs["scan"] = name
            with groups.create(path) as out:
                worker(out, **inputs, **rawdata.opened(plan, stage, name))

    return make


@contextmanager
def warnings_of(who: str) -> Iterator[None]:
    """Say each warning in one line, with what it is about, however often it is said of others."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        usual = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
            if category is UserWarning:
                print(f"{who}: {message}", file=sys.stderr, flush=True)
            else:
                usual(message, category, *where, **more)

        warnings.showwarning = show
        yield


def load_worker(stage: str, facts: Facts) -> Any:
    """The worker of a stage, given its parameters and the modules that these choose."""
    declared = graph.stage(stage)
    params = declared.params(facts)
    parts = {role: import_module(module) for role, module in declared.parts(facts).items()}
    worker = import_module(declared.module(facts)).Worker
    return worker(params, parts) if parts else worker(params)


def request(
    plan: Plan, stage: str, name: str, path: Path, sources: Mapping[Entry, Path]
) -> Request:
    """What the worker of a stage that writes the file `path` is given."""
    own, log = entry.identity(path), plan.training_log(stage, name)
    return Request(plan.facts, name, own, sources, plan.scratch(stage, name), log)


@contextmanager
def sound(homes: Iterable[Path]) -> Iterator[None]:
    """Say which of some entries is damaged, if one is: now, or when a part of it is read."""
    homes = list(homes)
    for home in homes:
        entry.check(home)
        first_use.check(home)
    try:
        yield
    except (zipfile.BadZipFile, EOFError):  # zip raises the latter past a file's end
        for home in homes:
            entry.check_bytes(home)
        raise
