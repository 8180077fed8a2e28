"""A key changes with the meaning of the code, and with nothing else."""

import ast
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.plan import graph, provenance
from pipeline.plan.making import GROUPS

ROOT = Path(__file__).parent.parent
READERS = ("scannet", "s3dis", "folder")
STATEMENTS = ["x = 1", "y = x + 2", "def f(a):\n    return a * 3", "class C:\n    z = 4"]
programs = st.lists(st.sampled_from(STATEMENTS), min_size=1, max_size=5)


@given(programs, st.text("abc #'", max_size=9), st.integers(1, 4))
def test_layout_comments_and_docstrings_have_no_meaning(
    lines: list[str], note: str, gap: int
) -> None:
    noisy = ['"""About."""', *(f"# {note}\n{line}" for line in lines)]
    documented = ("\n" * gap).join(noisy).replace("    return", '    """Why."""\n    return')
    assert provenance.meaning("\n".join(lines)) == provenance.meaning(documented)


@given(programs, st.integers(5, 99))
def test_any_changed_constant_has_meaning(lines: list[str], value: int) -> None:
    plain = "\n".join(lines)
    number = re.search(r"\d+", plain)
    assert number
    changed = plain[: number.start()] + str(value) + plain[number.end() :]
    assert provenance.meaning(plain) != provenance.meaning(changed)


def test_only_modules_of_stages_declare_and_a_stage_of_a_network_has_meaning() -> None:
    sources = [f"class ResidualStage:\n    width = {width}" for width in (1, 2)]
    assert len({provenance.meaning(source) for source in sources}) == 2
    assert len({provenance.meaning(source, of_a_stage=True) for source in sources}) == 1


def test_what_a_package_offers_to_others_is_in_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "from model.inference.network import" in (provenance._source("model") or "")
    found = provenance.closure("model.stages.train")
    assert "model" in found
    assert not [name for name in found if name.startswith("model.inference.network")]
    before = provenance.meaning_digest("model")
    provenance.meaning_digest.cache_clear()
    monkeypatch.setattr(provenance, "_source", lambda module: '"""Empty."""')
    assert provenance.meaning_digest("model") == before
    provenance.meaning_digest.cache_clear()


def test_a_key_covers_parameters_upstream_and_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    def key(**change: Any) -> str:
        given: dict[str, Any] = {
            "params": {"a": 1},
            "upstream": {"frames": "k"},
            "declared": ["numpy"],
        } | change
        return provenance.key(provenance.recipe("targets", ["pipeline.stages.targets"], **given))

    plain = key()
    assert key() == plain
    assert key(params={"a": 2}) != plain
    assert key(upstream={"frames": "l"}) != plain
    assert key(declared=["numpy", "scipy"]) != plain
    monkeypatch.setattr(provenance, "installed_version", lambda package: "0")
    assert key() != plain


def stages() -> list[str]:
    """Every module that does the work of a stage, or is chosen by a parameter to do a part."""
    special = [f"pipeline.readers.features.{stage}" for stage in ("embeddings", "text")]
    special += ["pipeline.simulate.scan", "pipeline.simulate.s3dis_scan", "pipeline.clip.regions"]
    return [*dict.fromkeys(graph.modules().values()), *special]


def covered() -> dict[str, list[str]]:
    readers = [f"pipeline.readers.{r}.{group}" for r in READERS for group in GROUPS]
    names = [*stages(), *readers]
    return {name: sorted(provenance.closure(name)) for name in names}


def test_what_stands_behind_each_key_is_as_reviewed() -> None:
    """After a change that is meant: `python -m tests.test_provenance`, and review the diff."""
    golden = {}
    for line in GOLDEN.read_text().splitlines():
        name, _, modules = line.partition(": ")
        golden[name] = modules.split(" ")
    assert covered() == golden


@pytest.mark.parametrize("stage", stages())
def test_no_stage_imports_what_its_source_does_not_show(stage: str) -> None:
    """What is imported dynamically would not be in the key."""
    for module in provenance.closure(stage):
        tree = ast.parse(provenance._source(module) or "")
        names = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)} | {
            n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)
        }
        imported = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
        forbidden = {"__import__", "import_module", "exec", "eval_code", "run_path", "run_module"}
        assert not names & forbidden, module
        assert not {"importlib", "runpy"} & {name.split(".")[0] for name in imported}, module


@pytest.mark.parametrize("module", provenance.SHOWN)
def test_what_a_run_shows_of_itself_is_in_no_key_and_brings_nothing_along(module: str) -> None:
    assert all(module not in modules for modules in covered().values())
    assert not provenance._imports(module)


@pytest.mark.parametrize("stage", [s for s in stages() if s.startswith("pipeline.")])
def test_no_stage_knows_the_store_or_the_plan(stage: str) -> None:
    known = provenance.closure(stage)
    assert not known & {
        "pipeline.store.publish",
        "pipeline.store.groups",
        "pipeline.store.links",
        "pipeline.plan.plan",
        "pipeline.plan.graph",
        "pipeline.plan.provenance",
    }


GOLDEN = Path(__file__).with_name("closures.txt")

if __name__ == "__main__":
    text = "".join(f"{name}: {' '.join(modules)}\n" for name, modules in covered().items())
    GOLDEN.write_text(text)
