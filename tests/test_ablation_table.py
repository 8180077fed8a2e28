"""The tables of an ablation, from known counts."""

import csv
import json
from pathlib import Path

import pytest

from model.reports.ablation import Row, text_report, write_ablation
from pipeline.errors import BadInput
from pipeline.jobs import results
from pipeline.plan import ablation, provenance
from pipeline.plan.plan import Plan
from pipeline.store import entry, publish
from tests.helpers.tiny_ablation import ROOT, ROWS, lines_of, planned, result

TABLE = [
    Row(
        "as configured",
        [],
        [
            result("ess_esgs", 5, 0),
            result("ess_esgs", 7, 1),
            result("pseudo_labels", 8, split="train"),
            result("pseudo_labels_open", 2, split="train"),
        ],
    ),
    Row("no vote", ["a.b = 1", "c = 2"], [result("ess_esgs", 4, 0), result("ess_esgs", 4, 1)]),
    Row(
        "other labels",
        ["d = 3"],
        [result("esgs", 9, 0), result("ess_esgs", 1, 0), result("pseudo_labels", 3, split="train")],
    ),
]


def test_the_table_has_mean_spread_and_difference_of_each_row_and_variant() -> None:
    text = text_report(TABLE, "demo", "scannet_official", simulated=True)
    found = lines_of(text)
    values = ["60.0 ± 14.1"] * 3
    assert ["1", "as configured", "(d) ESS+ESGS", "2", *values, "80.0"] in found
    values = ["40.0 ± 0.0"] * 3
    assert ["2", "no vote", "(d) ESS+ESGS", "2", *values, "-20.0"] in found
    assert ["3", "other labels", "(c) ESGS", "1", *["90.0"] * 3, "+30.0", "30.0"] in found
    assert ["4", "other labels", "(d) ESS+ESGS", "1", *["10.0"] * 3, "-50.0", "30.0"] in found
    assert ["no vote", "a.b = 1"] in found
    assert ["c = 2"] in found
    assert ["wall", "60.0", "40.0", "90.0", "10.0"] in found
    assert "scored on 1 val scan, in percent" in text
    assert "pseudo-labels of 1 training scan," in text
    assert "Simulated rooms" in text
    assert "voted" not in text


def test_rows_that_are_voted_in_superpoints_are_a_column() -> None:
    voted = result("ess_esgs", 9, 0) | {"row": "ess_esgs_voted"}
    ensemble = result("ess_esgs", 1, 0) | {"row": "ess_esgs_2d"}
    plain = Row("as configured", [], [result("ess_esgs", 5, 0), voted, ensemble])
    other = Row("other", ["a = 1"], [result("ess_esgs", 6, 0)])
    found = lines_of(text_report([plain, other], "demo", "scannet_official"))
    assert ["1", "as configured", "(d) ESS+ESGS", "1", *["50.0"] * 3, "90.0"] in found
    assert ["2", "other", "(d) ESS+ESGS", "1", *["60.0"] * 3, "+10.0"] in found


def test_a_row_without_networks_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing has no networks"):
        text_report([Row("nothing", [], [result("fused", 3)])], "demo", "scannet_official")


def test_the_json_and_the_csv_file_have_every_number(tmp_path: Path) -> None:
    text = write_ablation(TABLE, tmp_path / "table", "demo", "scannet_official")
    assert (tmp_path / "table.txt").read_text() == text
    written = json.loads((tmp_path / "table.json").read_text())
    assert [row["name"] for row in written["rows"]] == [row.name for row in TABLE]
    assert written["rows"][1]["changes"] == ["a.b = 1", "c = 2"]
    scores = written["rows"][1]["results"][0]["scores"]
    assert scores["points"]["scannet_official"]["mIoU"] == pytest.approx(0.4)
    with (tmp_path / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    (diff,) = [r for r in rows if r["metric"] == "mIoU diff" and r["name"] == "no vote"]
    assert (diff["row"], diff["mean"], diff["seeds"]) == ("ess_esgs", "-20.0000", "2")
    assert diff["changes"] == "a.b = 1; c = 2"
    (wall,) = [
        r
        for r in rows
        if (r["name"], r["row"], r["class"]) == ("as configured", "ess_esgs", "wall")
        and (r["over"], r["protocol"]) == ("points", "scannet_official")
    ]
    assert (wall["mean"], wall["std"]) == ("60.0000", "14.1421")


@pytest.fixture(autouse=True)
def checkout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("SCAN_STORE", str(tmp_path / "store"))


def written(plan: Plan) -> tuple[list[Path], dict[str, Plan]]:
    """The plans of rows whose counts are all in the store: the n-th row has n points right."""
    rows = ablation.rows(plan)
    for number, (name, scored) in enumerate(ablation.scores(rows).items(), start=1):
        rows[name].write()
        for each in scored:
            row = each.rpartition("-")[0] or each
            seed = {} if row == each else {"seed": 0}
            home = rows[name].home("evaluate", each)
            if not home.exists():
                with publish.place(home, None) as path:
                    counted = [result(row, number) | seed]
                    content = {"entry": entry.identity(path), "results": counted}
                    path.write_text(json.dumps(content))
    return [row.path for row in rows.values()], rows


def test_the_job_writes_the_tables_of_the_rows_in_their_order(tmp_path: Path) -> None:
    plans, rows = written(planned(tmp_path))
    table = ablation.results(rows) / "table.txt"
    text = results.ablation(plans, table)
    assert text == table.read_text()
    found = [line[1:] for line in lines_of(text) if line[0].isdigit()]
    assert [line[0] for line in found] == ["as configured", *ROWS]
    assert [line[3] for line in found] == ["10.0", "20.0", "30.0", "40.0", "50.0", "60.0"]
    assert ["18A", "train.network.arch = 18A"] in lines_of(text)
    assert (table.parent.parent / "latest" / "table.csv").is_file()


def test_the_job_refuses_plans_that_are_not_those_of_its_table(tmp_path: Path) -> None:
    plans, rows = written(planned(tmp_path))
    with pytest.raises(BadInput, match="is not of these plans"):
        results.ablation(plans[:-1], ablation.results(rows) / "table.txt")


def test_tables_are_renamed_when_anything_they_depend_on_changes(tmp_path: Path) -> None:
    marks = [
        ablation.results(ablation.rows(planned(tmp_path, rows=rows)))
        for rows in (
            ROWS,
            {name: ROWS[name] for name in [*ROWS][:-1]},
            {name: ROWS[name] for name in reversed(ROWS)},
            {("sixteen" if name == "18A" else name): row for name, row in ROWS.items()},
            {**ROWS, "18A": {"train": {"network": {"arch": "34C"}}}},
        )
    ]
    assert len(set(marks)) == len(marks)
    assert ablation.results(ablation.rows(planned(tmp_path))) == marks[0]


def test_tables_are_renamed_by_an_edit_of_self_training_where_a_row_has_rounds(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    round_ = {"a round": {"train": {"self_training": {"rounds": 1}}}}
    plans = [planned(tmp_path / name, rows) for name, rows in (("no", ROWS), ("one", round_))]
    before = [ablation.results(ablation.rows(plan)) for plan in plans]
    true, edited = provenance.meaning_digest, "model.training.self_training"
    monkeypatch.setattr(
        provenance, "meaning_digest", lambda m: "edited" if m == edited else true(m)
    )
    after = [ablation.results(ablation.rows(plan)) for plan in plans]
    assert [one == other for one, other in zip(before, after, strict=True)] == [True, False]
