"""Name what a stage makes after everything that determines it.

A recipe is the list of those things: the meaning of the stage's code and of all first-party code it
imports, its parameters, the versions of the packages that matter to it, the keys of the stages
upstream and the format of the store. A key is the hash of a recipe. Layout, comments and docstrings
have no meaning; any other change has.
"""

import ast
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FIRST_PARTY = ("pipeline", "model")
# In no key: what declarations say is in a recipe by value, and what modules are found by name are
# in it by name.
DECLARATIONS = ("pipeline.facts", "pipeline.stages.declaration", "pipeline.stages.parts")
FINDERS = (
    "pipeline.readers",
    "pipeline.clip.recipes",
    "pipeline.grids.codecs",
    "model.scoring.protocols",
)
# In no key, since they cannot change an entry: what a run shows of itself.
SHOWN = ("pipeline.progress", "model.training.watch")
STAGES = ("pipeline.stages.", "model.stages.")  # whose modules declare stages
_IN_NO_KEY = {*DECLARATIONS, *FINDERS, *SHOWN}
# Packages whose `__init__` is for users alone, and used by no stage: it is hashed as if empty.
FRONT_DOORS = ("model",)
# Packages of which a parameter chooses a module.
CHOSEN = (*FINDERS, "pipeline.clip.towers", "model.training.losses")
FORMAT = 2  # of the entries in the store; raised when old entries can no longer be read


def recipe(
    stage: str,
    modules: Sequence[str],
    params: Mapping[str, Any],
    upstream: Mapping[str, str] | None = None,
    declared: Sequence[str] = (),
) -> dict[str, Any]:
    """Everything that determines what `stage` makes from given raw files, as plain JSON.

    `modules` are the modules that do the work (what they import is found from the sources),
    `upstream` maps the stages it reads to their keys, and `declared` are distributions whose
    versions matter, besides those that a module lists as `PACKAGES`.
    """
    covered = sorted(set().union(*(closure(m) for m in modules)))
    distributions = [*declared, *(p for m in modules for p in packages(m))]
    return {
        "format": FORMAT,
        "stage": stage,
        "code": {name: meaning_digest(name) for name in covered},
        "packages": {name: installed_version(name) for name in distributions},
        "params": params,
        "upstream": dict(upstream or {}),
    }


def key(recipe: Mapping[str, Any]) -> str:
    """The name of a recipe: 12 hexadecimal digits of its SHA-256."""
    return digest(json.dumps(recipe, sort_keys=True))


def digest(*parts: str) -> str:
    """12 hexadecimal digits of the SHA-256 of some texts; their borders count."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]


@cache
def closure(module: str) -> frozenset[str]:
    """The module and every first-party module it imports, directly or not.

    Raises ValueError where the module does not exist.
    """
    if _source(module) is None:
        raise ValueError(f"there is no module {module} below {ROOT}")
    seen: set[str] = set()
    todo = [module]
    while todo:
        name = todo.pop()
        if name in seen or name in _IN_NO_KEY or _source(name) is None:
            continue
        seen.add(name)
        todo += _imports(name) if name not in FRONT_DOORS else ()
        if "." in name:  # importing a.b runs a/__init__.py
            todo.append(name.rpartition(".")[0])
    return frozenset(seen)


@cache
def packages(module: str) -> tuple[str, ...]:
    """The distributions that a stage's module declares as `PACKAGES`, read without importing it."""
    for node in ast.parse(_source(module) or "").body:
        if isinstance(node, ast.Assign) and any(
            isinstance(t, ast.Name) and t.id == "PACKAGES" for t in node.targets
        ):
            return tuple(ast.literal_eval(node.value))
    return ()


@cache
def meaning_digest(module: str) -> str:
    """Hash of the meaning of one module's source."""
    source = '"""Front door."""' if module in FRONT_DOORS else _source(module) or ""
    return digest(meaning(source, module.startswith(STAGES)))


def meaning(source: str, of_a_stage: bool = False) -> str:
    """The source without comments, layout and docstrings, and the declaration of a stage."""
    tree = ast.parse(source)
    if of_a_stage:
        tree.body = [node for node in tree.body if not _declares_a_stage(node)]
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(tree):
        if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)


def _declares_a_stage(node: ast.stmt) -> bool:
    return isinstance(node, ast.ClassDef) and node.name.endswith("Stage")


@cache
def _imports(name: str) -> tuple[str, ...]:
    return tuple(_imported(name))


def _imported(name: str) -> Iterator[str]:
    is_package = (ROOT / name.replace(".", "/") / "__init__.py").exists()
    package = name.split(".") if is_package else name.split(".")[:-1]
    for node in ast.walk(ast.parse(_source(name) or "")):
        found: Iterable[str] = ()
        if isinstance(node, ast.Import):
            found = [a.name for a in node.names]
        elif isinstance(node, ast.ImportFrom):
            parents = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*parents, *([node.module] if node.module else [])])
            found = [base, *(f"{base}.{a.name}" for a in node.names)]
        yield from (f for f in found if f.split(".")[0] in FIRST_PARTY)


@cache
def _source(module: str) -> str | None:
    base = ROOT / module.replace(".", "/")
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path.read_text(encoding="utf-8")
    return None


@cache
def installed_version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"
