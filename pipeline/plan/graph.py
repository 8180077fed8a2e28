"""The stages that there are, found by their modules, and which entries each is made from."""

from functools import cache
from importlib import import_module

from pipeline.facts import Facts, in_rounds, round_of
from pipeline.plan.provenance import ROOT
from pipeline.stages.declaration import ONLY, Entry, Over, Stage

PACKAGES = ("pipeline.stages", "model.stages")


@cache
def modules() -> dict[str, str]:
    """Stage -> module: those modules `name` of `PACKAGES` that have a class `NameStage`.

    A module `name_round` has a stage for each round of self-training, from `name_round1` on.
    """
    found: dict[str, str] = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package.replace(".", "/")).glob("*.py")):
            if f"class {_class_name(path.stem)}(" in path.read_text(encoding="utf-8"):
                name = path.stem.removesuffix("_round")
                names = [name] if name == path.stem else in_rounds(name)
                found |= dict.fromkeys(names, f"{package}.{path.stem}")
    return found


@cache
def stage(name: str) -> Stage:
    """The declaration of a stage. Raises KeyError where there is none of that name."""
    module = modules()[name]
    declared: type[Stage] = getattr(import_module(module), _class_name(module))
    return declared(round_of(name))


def about(name: str) -> str:
    """What a stage makes, in a line; nothing is imported."""
    module = modules()[name]
    text = (ROOT / module.replace(".", "/")).with_suffix(".py").read_text(encoding="utf-8")
    said = text.partition(f"class {_class_name(module)}(")[2].partition('"""')[2]
    return said.partition('"""')[0].partition("\n")[0]


def _class_name(module: str) -> str:
    return "".join(word.title() for word in module.rpartition(".")[2].split("_")) + "Stage"


@cache
def order() -> tuple[str, ...]:
    """All stages, upstream before downstream: by the longest way from a raw file, then by name."""
    return tuple(sorted(modules(), key=lambda name: (_depth(name), name)))


@cache
def _depth(name: str) -> int:
    if name == "simulate":  # it writes the raw files
        return -1
    return max((1 + _depth(above) for above in stage(name).reads), default=0)


def stages(facts: Facts) -> list[str]:
    """The stages of a dataset, upstream before downstream."""
    return [name for name in order() if stage(name).active(facts)]


def raw_stages(facts: Facts) -> list[str]:
    """The stages that read raw files and that a training needs: labels only to make scene tags."""
    found = [name for name in stages(facts) if stage(name).raw]
    return [name for name in found if name != "labels" or facts.dense_tags]


@cache
def after_gpu(name: str) -> bool:
    """Whether a stage is made, directly or not, from what a GPU makes."""
    return any(stage(above).gpu or after_gpu(above) for above in stage(name).reads)


def inputs(facts: Facts, name: str, entry: str) -> list[Entry]:
    """The entries that the entry of a stage is made from."""
    return list(dict.fromkeys(map(_named, stage(name).sources(facts, entry))))


def per_split(name: str) -> bool:
    """Whether entries of a stage depend on which scans are trained on, and not on one scan."""
    return stage(name).over in (Over.RUN, Over.SCORE)


def _named(entry: Entry) -> Entry:
    """An entry by its own name: a stage over the dataset has one for all scans."""
    return (entry[0], ONLY) if stage(entry[0]).over is Over.DATASET else entry
