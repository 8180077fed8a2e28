"""`compare` shows what differs between runs, and what that did to every score."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from model.pages.compare import read_run, render, run_of
from model.reports.lines import lines
from pipeline.cli.compare import compare
from pipeline.errors import BadInput
from tests.helpers import scored
from tests.helpers.parsed_page import ParsedPage


def other_settings() -> dict[str, Any]:
    section = {"voxels": {"voxel_size": 0.04}, "train": {"loss": {"text": 1}, "seeds": [0, 1]}}
    keys = {"train": "9" * 12, "evaluate": "1" * 12}
    return scored.asked(section=section, keys=keys)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> ParsedPage:
    folder = tmp_path_factory.mktemp("results")
    one = scored.write_run(folder / "rooms" / "one", 0, scored.asked())
    two = scored.write_run(folder / "rooms" / "two", 3, other_settings())
    return ParsedPage(render([read_run(one), read_run(two)]))


def test_the_page_names_the_settings_and_keys_that_differ_and_no_others(page: ParsedPage) -> None:
    assert page.table("setting", "A", "B")[1:] == [["voxels.voxel_size", "0.02", "0.04"]]
    assert page.table("stage", "A", "B")[1:] == [["train", "0" * 12, "9" * 12]]
    assert not any(rows[0][0] == "package" for rows in page.tables)
    assert "rooms/one" in page.text
    assert "rooms/two" in page.text


def test_every_score_is_beside_that_of_the_other_run_with_its_spread(page: ParsedPage) -> None:
    tables = [rows for rows in page.tables if rows[0] == ["", "scans", "A", "B", "B - A"]]
    assert len(tables) == 3 + 8, "three means, and mIoU over points and voxels by four protocols"
    rows = {row[0]: row[2:] for row in tables[0][1:]}
    assert rows["(a) fused 2D"][2] == "+0.0"
    one, two, gain = rows["(d) ESS+ESGS"]
    before, after = (
        next(line for line in lines(scored.results(g)) if line.row == "ess_esgs") for g in (0, 3)
    )
    means = [
        sum(v) / 2
        for v in (e.values("points", "scannet_official", "mIoU") for e in (before, after))
    ]
    assert one.startswith(f"{means[0]:.1f} ± ")
    assert two.startswith(f"{means[1]:.1f} ± ")
    assert gain == f"{means[1] - means[0]:+.1f}"


def test_each_class_has_its_difference_in_a_table_and_a_chart(page: ParsedPage) -> None:
    tables = [rows for rows in page.tables if rows[0] == ["class", "A", "B", "B - A"]]
    assert len(tables) == 5, "one of each row that is neither voted nor combined"
    assert all([row[0] for row in rows[1:]] == scored.NAMES for rows in tables)
    assert all(rows[-1][1:] == ["-", "-", "-"] for rows in tables), "a class that does not occur"
    assert len(page.pictures) == 5
    assert page.outside == []
    assert "script" not in page.elements


def test_what_makes_a_comparison_unfair_is_said(tmp_path: Path) -> None:
    one = run_of("one", scored.table(), scored.asked())
    fewer = scored.table() | {"results": [scored.result("fused", 4, scans=["a"])]}
    other = scored.table() | {"protocol": "s3dis"}
    for result in (names := scored.table())["results"]:
        result["classes"] = ["a", "b", "c", "d"]
    page = ParsedPage(render([one, run_of("x", fewer), run_of("y", other), run_of("z", names)]))
    assert "B is not scored on the same scans as A." in page.text
    assert "C has another main protocol: s3dis." in page.text
    assert "D has other classes than A." in page.text
    assert "B has no run.json: its settings and keys are not known." in page.text
    assert "A has" not in page.text


def test_rows_that_a_run_lacks_are_left_open() -> None:
    fewer = scored.table() | {"results": [scored.result("fused", 4)]}
    page = ParsedPage(render([run_of("one", scored.table()), run_of("two", fewer)]))
    rows = {row[0]: row for row in page.table("", "scans", "A", "B")}
    assert rows["(c) ESGS"][3:] == ["-", "-"]


def test_the_command_writes_one_page_and_says_where(tmp_path: Path) -> None:
    runs = [scored.write_run(tmp_path / name, gain) for name, gain in (("one", 0), ("two", 2))]
    out = tmp_path / "new" / "page.html"
    done = CliRunner().invoke(compare, [*map(str, runs), "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert done.output == f"page: {out}\n"
    assert "No setting is known to differ." in ParsedPage(out.read_text()).text


@pytest.mark.parametrize("content", [None, "x", "[]", "{}", '{"results": [], "protocol": "s3dis"}'])
def test_a_folder_without_scores_is_named(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "table.json").write_text(content)
    with pytest.raises(BadInput, match=str(tmp_path)) as error:
        read_run(tmp_path)
    assert "\n" not in str(error.value)


def test_a_single_run_is_compared_with_nothing() -> None:
    with pytest.raises(BadInput, match="cannot be compared"):
        render([run_of("one", scored.table())])
