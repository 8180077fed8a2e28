"""The reason why an entry is absent names what was edited."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from pipeline.cli.main import main
from pipeline.errors import BadInput
from pipeline.facts import Facts
from pipeline.plan import config, provenance
from pipeline.plan.plan import Plan
from pipeline.store import damaged, lease, publish
from pipeline.upkeep import changes, inventory, why
from tests.helpers import tiny_store

SCAN = "scene0000_00"
STAGES = ("text", "frames", "voxels", "labels", "tags", "projections", "embeddings", "targets")


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """A plan whose store has all entries of its first scan except those of the last stages."""
    planned = tiny_store.plan(tmp_path)
    for stage in STAGES:
        tiny_store.make(planned, (stage, "classes" if stage == "text" else SCAN))
    return planned


def edited(plan: Plan, edit: Callable[[dict[str, Any]], object]) -> Plan:
    """A plan whose facts differ."""
    facts = plan.facts.to_json()
    edit(facts)
    return Plan(Facts.from_json(facts))


def with_code(monkeypatch: pytest.MonkeyPatch, **digests: str) -> None:
    """Let modules, by the last part of their names, have other code."""
    true = provenance.meaning_digest
    monkeypatch.setattr(
        provenance, "meaning_digest", lambda m: digests.get(m.rpartition(".")[2]) or true(m)
    )


def reasons(plan: Plan, stage: str, name: str = SCAN) -> list[str]:
    """The indented lines: what differs."""
    lines = why.explain(plan, stage, name)
    assert "is absent" in lines[0]
    return [line.strip() for line in lines if line.startswith(" ")]


def test_a_present_entry_is_reported_as_present(plan: Plan) -> None:
    (line,) = why.explain(plan, "embeddings", SCAN)
    assert re.search(r"embeddings of scene0000_00 is present: .*\.zarr\.zip", line)


def test_a_file_that_is_another_entry_is_reported(plan: Plan) -> None:
    home, other = plan.home("embeddings", SCAN), plan.home("targets", SCAN)
    home.unlink()
    home.write_bytes(other.read_bytes())
    with pytest.raises(BadInput, match="says that it is"):
        why.explain(plan, "embeddings", SCAN)


def test_a_parameter_is_reported_with_both_values(plan: Plan) -> None:
    new = edited(plan, lambda f: f["section"]["embeddings"].update(model="ViT-L-14"))
    lines, old = why.explain(new, "embeddings", SCAN), plan.keys["embeddings"]
    assert lines == [
        f"embeddings of {SCAN} is absent: there is no {new.home('embeddings', SCAN)}",
        f"The nearest recipe that has {SCAN} (key {old} of scannet) differs in:",
        '  params.model: "ViT-B-16" -> "ViT-L-14"',
    ]


def test_changed_code_is_reported_by_module(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    with_code(monkeypatch, fusion="new")
    assert reasons(edited(plan, lambda _: None), "targets") == [
        "pipeline.geometry.fusion (code changed)"
    ]


def test_a_package_and_the_format_are_reported(plan: Plan) -> None:
    now, home = plan.recipe("labels"), plan.home("labels", SCAN)
    older = now | {"packages": now["packages"] | {"numpy": "0.9"}, "format": 1}
    shutil.rmtree(home.parent)
    with publish.place(home.parents[1] / provenance.key(older) / home.name, older) as path:
        tiny_store.write(path, np.arange(3))
    version = now["packages"]["numpy"]
    expected = [f"package numpy: 0.9 -> {version}", f"format: 1 -> {provenance.FORMAT}"]
    assert reasons(plan, "labels") == expected


def test_an_edit_upstream_is_traced_to_its_cause_and_reported_once(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Targets read embeddings and projections, and both read frames."""
    with_code(monkeypatch, cameras="new", arrays="new")

    def edit(facts: dict[str, Any]) -> None:
        facts["section"]["frames"]["every"] = 5

    assert sorted(reasons(edited(plan, edit), "targets")) == [
        "pipeline.store.arrays (code changed)",
        "upstream frames: params.every: 1 -> 5",
        "upstream projections: pipeline.geometry.cameras (code changed)",
    ]


def test_an_upstream_recipe_that_was_pruned_is_reported_as_unknown(plan: Plan) -> None:
    gone = plan.home("frames", SCAN).parent
    (gone / publish.RECIPE).unlink()
    new = edited(plan, lambda f: f["section"]["frames"].update(every=5))
    expected = f"upstream frames: another recipe ({gone.name}), which the store lacks"
    assert reasons(new, "embeddings") == [expected]


def test_the_nearest_recipe_is_the_one_with_the_fewest_differences(plan: Plan) -> None:
    def far(facts: dict[str, Any]) -> None:
        facts["section"]["embeddings"].update(model="RN50", pretrained="yfcc15m", recipe="value")

    tiny_store.make(edited(plan, far), ("embeddings", SCAN))
    new = edited(plan, lambda f: f["section"]["embeddings"].update(recipe="naclip"))
    assert reasons(new, "embeddings") == ['params.recipe: none -> "naclip"']
    new = edited(
        new, lambda f: f["section"]["embeddings"].update(model="RN50", pretrained="yfcc15m")
    )
    assert reasons(new, "embeddings") == ['params.recipe: "value" -> "naclip"']


def test_a_recipe_that_has_the_entry_is_preferred_to_a_nearer_one(plan: Plan) -> None:
    nearer = edited(plan, lambda f: f["section"]["embeddings"].update(recipe="value"))
    tiny_store.make(nearer, ("embeddings", "scene0001_00"))

    def edit(facts: dict[str, Any]) -> None:
        facts["section"]["embeddings"].update(recipe="value", model="RN50")

    new = edited(plan, edit)
    expected = ['params.model: "ViT-B-16" -> "RN50"', 'params.recipe: none -> "value"']
    assert reasons(new, "embeddings") == expected
    plan.home("embeddings", SCAN).unlink()
    assert any(
        "No recipe in the store has" in line for line in why.explain(new, "embeddings", SCAN)
    )
    assert reasons(new, "embeddings") == ['params.model: "ViT-B-16" -> "RN50"']


def test_a_scan_that_was_just_not_made_yet_is_reported_so(plan: Plan) -> None:
    lines = why.explain(plan, "embeddings", "scene0001_00")
    assert "has made 1 others, but not this one yet" in lines[1]
    assert lines[2] == "No other recipe in the store has made it either."


def test_an_empty_store_has_nothing_to_compare_with(tmp_path: Path) -> None:
    lines = why.explain(tiny_store.plan(tmp_path / "none"), "embeddings", SCAN)
    assert "has no recipe of embeddings" in lines[1]


def test_another_dataset_with_the_same_recipe_is_named(plan: Plan, tmp_path: Path) -> None:
    lines = why.explain(tiny_store.plan(tmp_path, dataset="other"), "text", "classes")
    assert f"(key {plan.keys['text']} of scannet)" in lines[1]


def test_changed_raw_files_are_reported_by_group(plan: Plan) -> None:
    def edit(facts: dict[str, Any]) -> None:
        facts["raw_digests"][SCAN]["frames"] = "f" * 64

    new = edited(plan, edit)
    old = plan.digest("frames", SCAN)
    for stage in ("frames", "embeddings", "targets"):
        assert reasons(new, stage) == [f"frames of {SCAN}: {old} -> ffffffffffff"]
    assert "is present" in why.explain(new, "labels", SCAN)[0]


def test_raw_files_without_a_record_are_reported(plan: Plan) -> None:
    new = edited(plan, lambda f: f["raw_digests"].clear())
    expected = [f"frames of {SCAN}: neither here nor recorded in the store"]
    assert reasons(new, "embeddings") == expected


def test_a_training_on_other_scans_is_distinguished_from_one_on_other_files(plan: Plan) -> None:
    for stage in ("pseudo_labels", "train"):
        tiny_store.make(plan, (stage, "esgs-0" if stage == "train" else SCAN))
    more = edited(plan, lambda f: f["splits"]["train"].append("scene0002_00"))
    (line,) = reasons(
        edited(more, lambda f: f["raw_digests"].update(scene0002_00=f["raw_digests"][SCAN])),
        "train",
        "esgs-0",
    )
    assert "made from other scans" in line
    new = edited(plan, lambda f: f["raw_digests"][SCAN].update(cloud="c" * 64))
    expected = f"cloud of {SCAN}: {plan.digest('voxels', SCAN)} -> cccccccccccc"
    assert reasons(new, "train", "esgs-0") == [expected]


def test_many_scans_are_not_all_listed(tmp_path: Path) -> None:
    scans = [f"scene{number:04d}_00" for number in range(12)]
    old = tiny_store.plan(tmp_path, scans, raw="0")
    for scan in scans:
        tiny_store.make(old, ("voxels", scan))
    tiny_store.make(old, ("train", "esgs-0"))
    expected = reasons(tiny_store.plan(tmp_path, scans, raw="1"), "train", "esgs-0")
    assert len(expected) == why.MOST + 1
    assert expected[-1] == f"and {12 - why.MOST} more"


def test_a_lease_and_a_damaged_entry_are_mentioned(plan: Plan) -> None:
    home = plan.home("embeddings", SCAN)
    aside = damaged.move_aside(home)
    lease.path_for(home).parent.mkdir(exist_ok=True)
    lease.path_for(home).write_text("")
    lines = why.explain(plan, "embeddings", SCAN)
    assert any("lease" in line for line in lines)
    assert any(str(aside) in line for line in lines)


@pytest.mark.parametrize(
    ("stage", "name", "message"),
    [
        ("embedings", SCAN, "the stages are frames, labels, text"),
        ("frames", "x", f"name one like {SCAN}"),
    ],
)
def test_an_entry_that_is_not_planned_is_refused(
    plan: Plan, stage: str, name: str, message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        why.explain(plan, stage, name)


def test_the_command_prints_the_reason(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "plan", lambda dataset, path: plan)
    done = CliRunner().invoke(main, ["store", "why", "scannet", "embeddings", SCAN])
    assert done.exit_code == 0
    assert done.stdout.startswith(f"embeddings of {SCAN} is present: ")
    refused = CliRunner().invoke(main, ["store", "why", "scannet", "embeddings", "a\x1b[31m"])
    assert refused.exit_code == 1
    assert refused.stderr.rstrip("\n").isprintable()
    assert "has no 'embeddings'" in refused.stderr


@pytest.mark.parametrize("text", ["", "[]", "{}", "[" * 100_000, '{"code": 1}', "\xff"])
def test_a_file_that_is_no_recipe_is_ignored(plan: Plan, text: str) -> None:
    recipe = plan.home("embeddings", SCAN).parent / publish.RECIPE
    recipe.chmod(0o644)
    recipe.write_text(text, encoding="latin-1")
    new = edited(plan, lambda f: f["section"]["embeddings"].update(model="RN50"))
    assert "has no recipe of embeddings" in why.explain(new, "embeddings", SCAN)[1]


def test_a_recipe_under_the_wrong_key_is_ignored(plan: Plan) -> None:
    recipe = plan.home("embeddings", SCAN).parent / publish.RECIPE
    content = json.loads(recipe.read_text())
    content["params"]["model"] = "lie"
    recipe.chmod(0o644)
    recipe.write_text(json.dumps(content))
    assert not why.Comparison(plan).recipes["embeddings"]


def test_nothing_from_a_store_controls_the_terminal() -> None:
    assert inventory.printable("a\x1b[31m\nb\u202e\x9bé") == r"a\x1b[31m\nb\u202e\x9bé"


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 1.0}, ["p.a: 1 -> 1.0"]),
        ({"a": 1}, {"b": None}, ["p.a: 1 -> none", "p.b: none -> null"]),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3]}}, ["p.a.b: [1, 2] -> [1, 3]"]),
        ([[0] * 50, [1] * 50], [[0] * 50, [1] * 49 + [2]], ["p[1]: with 2"]),
        ([*"abcdefghijklmnopqrst"], [*"abcdefghijklmnopqrsu"], ['p: without "t"', 'p: with "u"']),
        ([*range(30)], [*range(29, -1, -1)], ["p: in another order"]),
        ("x" * 99, "y", [f'p: "{"x" * 29}...{"x" * 19}" -> "y"']),
    ],
)
def test_values_are_compared_down_to_what_differs(old: Any, new: Any, lines: list[str]) -> None:
    assert list(changes.of_values("p", old, new)) == lines


def test_added_and_removed_code_and_inputs_are_reported() -> None:
    old = {"code": {"a": "1", "b": "1"}, "packages": {"n": "1"}, "params": {},
           "upstream": {"labels": "k"}, "format": 1}  # fmt: skip
    new = {"code": {"b": "1", "c": "1"}, "packages": {}, "params": {}, "upstream": {}, "format": 1}
    assert changes.of_recipes(old, new) == [
        "a (code removed)", "c (code added)", "package n: 1 -> none", "upstream labels removed",
    ]  # fmt: skip
