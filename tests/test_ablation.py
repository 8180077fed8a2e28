"""An ablation: rows of changed settings, which share all that these do not reach."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import BadInput
from pipeline.facts import FUSED
from pipeline.plan import ablation, registered, rules, targets
from pipeline.plan.plan import Plan
from tests.helpers.tiny_ablation import ROOT, ROWS, Overrides, planned

RESULTS = {"clouds", "report", "page"}
LABELLED = {"pseudo_labels", "adapter", "refined_labels", "train", "evaluate", *RESULTS}
OF_FRAMES = {"frames", "projections", "embeddings", "targets"} | LABELLED


@pytest.fixture(autouse=True)
def checkout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("SCAN_STORE", str(tmp_path / "store"))


def different(one: Plan, other: Plan) -> set[str]:
    return {stage for stage in one.keys if one.keys[stage] != other.keys.get(stage)}


def test_rows_are_in_the_order_of_the_config_behind_the_dataset_itself(tmp_path: Path) -> None:
    assert list(ablation.rows(planned(tmp_path))) == ["as configured", *ROWS]


def test_an_ablation_changes_no_key_of_the_dataset(tmp_path: Path) -> None:
    plan = planned(tmp_path / "with")
    assert plan.keys == planned(tmp_path / "without", rows=None).keys
    assert ablation.rows(plan)["as configured"].keys == plan.keys


@pytest.mark.parametrize(
    ("row", "stages"),
    [
        ("No text loss", {"train", "evaluate", *RESULTS}),
        ("ESGS", set()),
        ("half the frames", OF_FRAMES),
        ("no vote", LABELLED),
        ("18A", {"train", "supervised", "evaluate", *RESULTS}),
    ],
)
def test_a_row_has_other_keys_where_its_settings_reach(
    tmp_path: Path, row: str, stages: set[str]
) -> None:
    plan = planned(tmp_path)
    assert different(plan, ablation.rows(plan)[row]) == stages


def test_a_row_without_variants_has_the_last_that_is_not_supervised(tmp_path: Path) -> None:
    train = {"variants": ["ess_esgs", "esgs", "supervised"], "seeds": [0, 4]}
    scored = ablation.scores(ablation.rows(planned(tmp_path, train=train)))
    assert scored["18A"] == ["esgs-0", "esgs-4"]
    assert scored["as configured"][:2] == ["esgs-0", "esgs-4"]
    everything = {"all": {"train": {"variants": ["supervised", "esgs"]}}}
    rows = ablation.rows(planned(tmp_path, rows=everything, train=train))
    assert ablation.scores(rows)["all"] == ["esgs-0", "esgs-4", "supervised-0", "supervised-4"]


def test_pseudo_labels_are_scored_where_a_row_changes_them(tmp_path: Path) -> None:
    scored = ablation.scores(ablation.rows(planned(tmp_path)))
    with_labels = {name for name, what in scored.items() if "pseudo_labels" in what}
    assert with_labels == {"as configured", "half the frames", "no vote"}
    assert not any(FUSED in what for what in scored.values())
    only = {"18A": ROWS["18A"]}
    assert ablation.scores(ablation.rows(planned(tmp_path, rows=only))) == {
        "as configured": ["ess_esgs-0"],
        "18A": ["ess_esgs-0"],
    }


def test_the_counts_of_labels_are_the_same_whatever_networks_learn_them(tmp_path: Path) -> None:
    labels: dict[str, Any] = {"tags": {"source": "none"}}
    rows = {"one": labels, "other": {**labels, "train": {"variants": ["esgs"], "seeds": [0, 1]}}}
    one, other = [*ablation.rows(planned(tmp_path, rows=rows)).values()][1:]
    counts = ("evaluate", "pseudo_labels")
    assert one.link(*counts) == other.link(*counts)
    assert one.home(*counts) == other.home(*counts)
    assert "refined_labels-0" in one.facts.scores
    assert not any(name.startswith("refined_labels") for name in other.facts.scores)


SETTINGS: list[Mapping[str, Any]] = [
    {"frames": {"every": 2}},
    {"voxels": {"voxel_size": 0.1}},
    {"tags": {"source": "none"}},
    {"projections": {"border": 3}},
    {"embeddings": {"recipe": "value", "regions": None}},
    {"text": {"templates": ["the {}"]}},
    {"targets": {"segments": 0.5}},
    {"pseudo_labels": {"keep_share": 0.5}},
    {"train": {"loss": {"text": 0}}},
    {"train": {"variants": ["esgs", "supervised"], "seeds": [0, 1]}},
    {"train": {"inputs": ["color", "height"]}},
    {"train": {"labels": {"source": "text"}}},
    {"train": {"self_training": {"rounds": 1}}},
]


@settings(max_examples=15, deadline=None)
@given(st.lists(st.lists(st.sampled_from(SETTINGS), max_size=3), max_size=5))
def test_each_entry_of_each_row_is_made_by_one_rule(
    tmp_path_factory: pytest.TempPathFactory, chosen: list[list[Mapping[str, Any]]]
) -> None:
    overrides: dict[str, Any] = {}
    for number, parts in enumerate(chosen):
        overrides[f"row {number}"] = {}
        for part in parts:
            overrides[f"row {number}"] = ablation.merged(overrides[f"row {number}"], part)
    plan = planned(tmp_path_factory.mktemp("rows"), rows=overrides or {"row": {}})
    rows = ablation.rows(plan)
    own = [*rules.rules_of_scans(plan), *rules.rules_of_split(plan)]
    makers = [(plan, own), *rules.rules_of_rows(plan, rows)]
    patterns = [
        (maker, re.compile(re.escape(output).replace(r"\{name\}", "[^/]+")))
        for maker, its in makers
        for rule in its
        for output in rule.output
    ]
    for row in rows.values():
        needed = {
            above
            for s in ablation.scores({ablation.BASE: row})[ablation.BASE]
            for above in ancestors(row, (row.facts.evaluator(s), s))
        }
        for what in needed:
            found = [m for m, pattern in patterns if pattern.fullmatch(str(row.link(*what)))]
            assert len(found) == 1, what
            assert found[0].home(*what) == row.home(*what), "whoever makes it, it is the same"
            assert found[0].inputs(*what) == row.inputs(*what)


def ancestors(plan: Plan, what: tuple[str, str]) -> set[tuple[str, str]]:
    """An entry and all that it is made from."""
    found, todo = set(), [what]
    while todo:
        each = todo.pop()
        if each not in found:
            found.add(each)
            todo += plan.inputs(*each)
    return found


def test_rows_have_plans_and_registrations_of_their_own(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    rows = ablation.rows(plan)
    plans = [plan, *rows.values()]
    assert len({each.path for each in plans}) == len(plans)
    assert rows["No text loss"].path == plan.work / "ablation_no_text_loss" / "plan.json"
    for each in plans:
        registered.register(each)
    there = {user.plan.keys["train"] for user in registered.registered(Path(plan.facts.store))}
    assert there == {each.keys["train"] for each in plans}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ({"a": {"pseudo_lables": {}}}, "demo: row 'a' of `ablation:`: .*'pseudo_lables' was unexp"),
        ({"a": {"train": {"loss": {"text": -1}}}}, r"row 'a' .*: train\.loss\.text: -1 is less"),
        ({"b": {}, "a": {"train": 3}}, "row 'a' .*: train: 3 is not of type 'object'"),
        ({"a": {"embeddings": None}}, "row 'a' .*'embeddings' is a required property"),
        ({"a": {"scans": "few.csv"}}, "row 'a' .*changes scans, which is the same in all rows"),
        ({"a": {"simulate": {}}}, "row 'a' .*changes simulate, which is the same in all rows"),
        ({"a": {"ablation": {}}}, "row 'a' .*changes ablation, which is the same in all rows"),
        ({"a": {"tags": {"source": "file"}}}, "row 'a': tags: has `source: file` and names no"),
        ({"18 A": {}, "18-a": {}}, "two rows have names of the same letters"),
        ({"As configured": {}}, "two rows have names of the same letters"),
        ({"a": 3}, r"demo\.ablation\.a: 3 is not of type 'object'"),
        ({18: {}}, r"demo\.ablation: 18 is not of type 'string'"),
        ({"-": {}}, r"demo\.ablation: '-' does not match"),
    ],
)
def test_a_bad_row_is_named_in_one_sentence(tmp_path: Path, rows: Overrides, said: str) -> None:
    with pytest.raises(BadInput, match=said) as error:
        planned(tmp_path, rows=rows)
    assert "\n" not in str(error.value)


def test_rows_do_not_change_the_features_of_the_dataset(tmp_path: Path) -> None:
    rows = {"others": {"embeddings": {"features": "elsewhere"}}}
    with pytest.raises(BadInput, match=r"row 'others' .*changes embeddings\.features"):
        planned(tmp_path, rows=rows, embeddings={"features": "here"})


def test_a_dataset_with_nothing_to_score_on_has_no_ablation(tmp_path: Path) -> None:
    (tmp_path / "scans.csv").write_text("scan,split,seed\na,train,1\n")
    plan = planned(tmp_path, scans=str(tmp_path / "scans.csv"))
    with pytest.raises(BadInput, match="of demo: has no labelled scans to score"):
        ablation.rows(plan)


def test_sections_are_merged_and_everything_else_is_replaced() -> None:
    section = {"a": {"b": 1, "c": {"d": [1, 2]}}, "e": {"f": 1}, "g": 1}
    override = {"a": {"c": {"d": [3]}}, "e": None, "g": None}
    found = ablation.merged(section, override)
    assert found == {"a": {"b": 1, "c": {"d": [3]}}, "g": None}
    assert list(ablation.changes(section, found)) == ["a.c.d = [3]", "e = null", "g = null"]
    assert section["e"] == {"f": 1}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("No text loss", ["train.loss.text = 0"]),
        ("ESGS", ['train.variants = ["esgs"]']),
        ("no vote", ["pseudo_labels.superpoints = none"]),
        ("as configured", []),
    ],
)
def test_what_a_row_changes_is_what_the_config_says(
    tmp_path: Path, row: str, said: list[str]
) -> None:
    rows = ablation.rows(planned(tmp_path))
    assert list(ablation.changes(rows["as configured"].section, rows[row].section)) == said


@pytest.mark.parametrize(
    ("argument", "found"),
    [
        ("ablation_demo", ["demo"]),
        ("ablation_demo_s3dis", ["demo_s3dis"]),
        ("demo_ablation_no_s3dis_rows_train:name=esgs-0", ["demo"]),
        ("results/demo/ablation/latest/table.txt", ["demo"]),
        ("train_demo", []),
        ("sixfold_demo_s3dis", []),
        ("demo_ablations", []),
    ],
)
def test_rows_are_planned_if_a_command_asks_for_them(argument: str, found: list[str]) -> None:
    names = ["demo", "s3dis", "demo_s3dis"]
    assert targets.ablated(names, ["snakemake", argument]) == found
    assert set(found) <= set(targets.wanted(names, ["snakemake", argument], {}))


def test_the_target_exists_where_the_config_has_rows(tmp_path: Path) -> None:
    assert "ablation_demo" in targets.known({"demo": planned(tmp_path)})
    assert "ablation_demo" not in targets.known({"demo": planned(tmp_path, rows=None)})
