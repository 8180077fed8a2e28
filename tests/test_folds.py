"""Each room is scored once, by networks not trained on its area, and all counts are pooled."""

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from model.reports.folds import pool
from model.reports.lines import scores
from model.scoring.results import Result, as_result
from pipeline.errors import BadInput
from pipeline.jobs import results
from pipeline.plan import config, folds, graph, registered, targets
from pipeline.plan.plan import Plan
from pipeline.store import entry, publish

ROOMS = {"Area_1_a": "1", "Area_1_b": "1", "Area_2_a": "2", "Area_5_a": "5", "Area_6_a": "6"}
CLASSES = ["wall", "floor", "chair"]
counts = arrays(np.int64, (2, 3, 4), elements=st.integers(0, 9))


def planned(folder: Path, rows: Iterable[str]) -> Plan:
    """A plan of simulated rooms; nothing of it is computed."""
    (folder / "scans.csv").write_text("scan,split,area\n" + "\n".join(rows) + "\n")
    described = config.load()
    described["store"], described["results"] = str(folder / "store"), str(folder / "results")
    described["demo_s3dis"]["scans"] = str(folder / "scans.csv")
    (folder / "config.yaml").write_text(yaml.safe_dump(described))
    return config.plan("demo_s3dis", folder / "config.yaml", wanted=False)


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    split = {"5": "val"}
    return planned(tmp_path, [f"{s},{split.get(a, 'train')},{a}" for s, a in ROOMS.items()])


def result(rooms: Iterable[str], seed: int = 0) -> Result:
    """A result on some rooms with different counts."""
    known = list(ROOMS)
    found = {s: np.full((2, 3, 4), known.index(s) + 1) + 7 * np.eye(3, 4, dtype=int) for s in rooms}
    return as_result("esgs", "val", CLASSES, found, ["superpoints"]) | {"seed": seed}


@settings(max_examples=25)
@given(st.lists(st.lists(counts, min_size=1, max_size=3), min_size=2, max_size=6))
def test_pooled_scores_are_those_of_all_points_of_all_folds(
    given_counts: list[list[NDArray[np.int64]]],
) -> None:
    of_folds = {
        str(area): [
            as_result("esgs", "val", CLASSES, {f"{area}_{i}": c for i, c in enumerate(rooms)})
            | {"seed": 3}
        ]
        for area, rooms in enumerate(given_counts)
    }
    (pooled,) = pool(of_folds)
    matrix = [[0] * 4 for _ in range(3)]
    for rooms in given_counts:
        for c in rooms:
            for truth in range(3):
                for label in range(4):
                    matrix[truth][label] += int(c[0, truth, label])
    ious = []
    for k in range(3):
        union = sum(matrix[k]) + sum(matrix[t][k] for t in range(3)) - matrix[k][k]
        ious.append(matrix[k][k] / union if union else 0.0)  # as this protocol has it
    found = scores(pooled)["points"]["s3dis"]
    assert found["IoU"] == pytest.approx(ious)
    all_points = sum(map(sum, matrix))
    right = sum(matrix[k][k] for k in range(3))
    assert found["OA"] == (pytest.approx(right / all_points) if all_points else None)
    assert pooled["seed"] == 3
    assert len(pooled["scans"]) == sum(map(len, given_counts))


def test_each_seed_is_pooled_separately() -> None:
    both = {"1": [result(["Area_1_a"], s) for s in (0, 1)]}
    both["2"] = [result(["Area_2_a"], s) for s in (1, 0)]
    assert [p["seed"] for p in pool(both)] == [0, 1]
    assert all(p["needs"] == ["superpoints"] for p in pool(both))
    assert all(p["scans"].keys() == {"Area_1_a", "Area_2_a"} for p in pool(both))


@pytest.mark.parametrize("second", [[result(["Area_1_a"])], []])
def test_a_room_scored_twice_or_a_fold_without_scores_is_refused(second: list[Result]) -> None:
    with pytest.raises(ValueError, match="not scored once"):
        pool({"1": [result(["Area_1_a"])], "2": second})


def test_every_room_is_held_out_once_and_not_trained_on_in_that_fold(plan: Plan) -> None:
    found = folds.folds(plan)
    assert list(found) == ["1", "2", "5", "6"]
    held_out = [scan for fold in found.values() for scan in fold.splits["val"]]
    assert sorted(held_out) == sorted(ROOMS)
    for area, fold in found.items():
        trained = {name for stage, name in fold.entries if stage == "pseudo_labels"}
        assert trained == {scan for scan, of in ROOMS.items() if of != area}
        inputs = {name for _, name in fold.inputs("train", "esgs-0")}
        assert inputs - {"classes"} == trained


def test_folds_share_the_entries_of_scans_and_no_network(plan: Plan) -> None:
    found = folds.folds(plan)
    assert found["5"] is plan, "the usual split is one of the folds"
    own = [s for s in graph.modules() if not graph.per_split(s) and graph.stage(s).stored]
    for stage in own:
        for scan in ROOMS:
            assert len({f.home(stage, scan) for f in found.values()}) == 1
            assert len({f.link(stage, scan) for f in found.values()}) == 1
    for stage, name in [("train", "esgs-0"), ("evaluate", "esgs-0"), ("evaluate", "fused")]:
        assert len({f.home(stage, name) for f in found.values()}) == len(found)
        assert len({f.link(stage, name) for f in found.values()}) == len(found)
    assert len({f.path for f in found.values()}) == len(found)


def test_parts_of_one_area_are_one_fold(tmp_path: Path) -> None:
    rows = ["a,train,1", "b,val,5a", "c,val,5b"]
    found = folds.folds(planned(tmp_path, rows))
    assert {area: fold.splits["val"] for area, fold in found.items()} == {
        "1": ["a"],
        "5": ["b", "c"],
    }


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["a,train,1", "b,val,"], "gives b no area to hold out"),
        (["a,train,1", "b,val,../2"], "gives b no area to hold out"),
        (["a,train,1", "b,val,1"], "fewer than two areas"),
        (["Area_1_a_1,train,1", "Area_2_b_1,val,3"], "gives Area_2_b_1 the area 3; write 2"),
    ],
)
def test_scans_without_two_areas_are_refused(tmp_path: Path, rows: list[str], message: str) -> None:
    with pytest.raises(BadInput, match=message) as error:
        folds.folds(planned(tmp_path, rows))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("argument", "found"),
    [
        ("sixfold_demo_s3dis", ["demo_s3dis"]),
        ("sixfold_demo_s3dis_tables:", ["demo_s3dis"]),
        ("sixfold_s3dis", ["s3dis"]),
        ("demo_s3dis_fold_1_train:name=esgs-0", ["demo_s3dis"]),
        ("work/s3dis/fold_5a/train/x.safetensors", ["s3dis"]),
        ("train_s3dis", []),
        ("demo_evaluate", []),
    ],
)
def test_folds_are_planned_if_a_command_asks_for_them(argument: str, found: list[str]) -> None:
    names = ["demo", "s3dis", "demo_s3dis", "scannet"]
    assert targets.folded(names, ["snakemake", argument]) == found
    assert set(found) <= set(targets.wanted(names, ["snakemake", argument], {}))


def test_folds_are_registered_beside_the_plan(plan: Plan) -> None:
    found = folds.folds(plan)
    for each in found.values():
        registered.register(each)
    there = registered.registered(Path(plan.facts.store))
    assert {r.plan.home("train", "esgs-0") for r in there} == {
        fold.home("train", "esgs-0") for fold in found.values()
    }


def test_the_table_has_the_pooled_scores_and_those_of_each_area(plan: Plan) -> None:
    found = folds.folds(plan)
    for fold in found.values():
        for name in folds.scores(fold):
            row = {"fused": "fused"}.get(name, name.rpartition("-")[0])
            home = fold.home("evaluate", name)
            with publish.place(home, None) as path:
                counted = result(fold.splits["val"]) | {"row": row}
                path.write_text(json.dumps({"entry": entry.identity(path), "results": [counted]}))
    table = folds.results(plan, found) / "table.txt"
    text = results.sixfold(plan, table)
    assert text == table.read_text()
    assert "4-fold: of the areas 1, 2, 5, 6" in text
    assert "protocol s3dis" in text
    assert f"Scored on {len(ROOMS)} held-out scans" in text
    assert (table.parent.parent / "latest" / "table.csv").is_file()
    written = json.loads(table.with_suffix(".json").read_text())["results"]
    pooled = [r for r in written if r["split"] == "held-out"]
    assert {r["row"] for r in pooled} == {"fused", "esgs", "ess_esgs", "supervised"}
    assert all(r["scans"].keys() == ROOMS.keys() for r in pooled)
    assert {r["split"] for r in written} == {"held-out", *(f"area {area}" for area in found)}
