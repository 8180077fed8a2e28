"""What is kept of a run beside its tables: what was asked, and what it cost."""

import copy
import json
from pathlib import Path

import pytest

from pipeline.errors import BadInput
from pipeline.jobs import asked, costs, pages
from pipeline.plan import config
from pipeline.plan.plan import Plan
from pipeline.store import links, publish

DATASETS = config.datasets(config.load())


@pytest.mark.parametrize("dataset", DATASETS)
def test_only_what_the_config_says_differs_from_the_defaults(dataset: str) -> None:
    section = config.load()[dataset]
    found = dict(change.split(" = ", 1) for change in asked.changes(section))
    assert "embeddings.model" in found
    assert not any(name.startswith("ablation") for name in found)
    changed = copy.deepcopy(section)
    changed["train"]["loss"]["absent"] = 0.125
    more = dict(change.split(" = ", 1) for change in asked.changes(changed))
    assert {*more.items()} - {*found.items()} == {("train.loss.absent", "0.125")}
    assert section == config.load()[dataset], "nothing is written into the settings"


def test_a_default_is_no_difference() -> None:
    found = [change.split(" = ")[0] for change in asked.changes(config.load()["scannet"])]
    assert "voxels.voxel_size" not in found
    assert "train.optimiser.steps" not in found


def test_run_json_has_keys_versions_and_the_machine() -> None:
    plan = config.plan("demo", wanted=False)
    said = json.loads(json.dumps(asked.asked(plan)))
    assert said["keys"] == {stage: plan.keys[stage] for stage in plan.stages}
    assert {"python", "torch", "numpy", "snakemake"} <= said["versions"].keys()
    assert said["section"]["train"]["optimiser"]["steps"] == 1500
    assert int(said["machine"]["cores"]) > 0


def test_costs_are_those_of_the_records_the_files_and_the_benchmarks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCAN_STORE", str(tmp_path / "store"))
    plan = config.plan("demo", wanted=False)
    homes = [plan.home("tags", scan) for stage, scan in plan.entries if stage == "tags"]
    for home in homes[:2]:
        with publish.place(home, None) as path:
            path.write_bytes(b"x" * 100)
    measured = tmp_path / "benchmarks" / "demo"
    head = "s\th:m:s\tmax_rss\n"
    for stage, rows in (("tags", "2.5\t0:00:02\t80.5\n"), ("simulate", "3.0\t0:00:03\t500\n")):
        (measured / stage).mkdir(parents=True)
        (measured / stage / "0.tsv").write_text(head + rows)
        (measured / stage / "1.tsv").write_text(head + "1.0\t0:00:01\t-\n")
    found = {row["stage"]: row for row in costs.by_stage(plan, tmp_path / "benchmarks")}
    assert found["tags"]["entries"] == len(homes)
    assert found["tags"]["bytes"] == 200
    assert found["tags"]["memory_mb"] == 80.5
    assert found["tags"]["seconds"] >= found["tags"]["longest"] >= 0
    assert found["simulate"]["seconds"] == 4.0
    assert found["simulate"]["memory_mb"] == 500
    assert found["frames"]["memory_mb"] is None
    assert found["frames"]["bytes"] == 0


def test_the_links_to_a_page_follow_the_code_that_makes_pages(tmp_path: Path) -> None:
    results, page = tmp_path / "results" / "x", tmp_path / "results" / "pages" / "y" / "index.html"
    links.show_page(results, page)
    assert not (results / "index.html").is_symlink()
    results.mkdir(parents=True)
    page.parent.mkdir(parents=True)
    for name in links.PAGE:
        page.with_name(name).write_text(name)
    links.show_page(results, page)
    assert (results / "index.html").read_text() == "index.html"
    assert (results / "run.json").read_text() == "run.json"
    links.show_page(results, page.parents[1] / "z" / "index.html")
    assert not (results / "index.html").is_symlink(), "a page of other code is not shown"


def test_a_page_is_named_by_its_tables_and_by_the_code_of_pages(tmp_path: Path) -> None:
    plan = config.plan("demo", wanted=False)
    path = plan.page(plan.results)
    assert path.parents[1] == plan.results.parent / "pages"
    assert path != plan.page(plan.results.with_name("other"))
    facts = plan.facts.to_json() | {"keys": {**plan.keys, "page": "0" * 12}}
    assert Plan(type(plan.facts).from_json(facts)).page(plan.results) != path


def test_a_page_of_another_plan_is_refused(tmp_path: Path) -> None:
    plan = config.plan("demo", wanted=False)
    with pytest.raises(BadInput, match="is not of this plan"):
        pages._write(plan, plan.results, tmp_path / "index.html", lambda path, said: None)
