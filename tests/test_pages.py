"""The page about a run says what its tables say, and needs nothing but itself."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from model.network import files
from model.pages import ablation, curves, sections
from model.pages.page import legend_of, render
from model.pages.pictures import Shown, ShownScan
from model.reports.lines import lines
from model.reports.report import means
from pipeline.palette import palette
from tests.helpers import scored
from tests.helpers.parsed_page import ParsedPage

PIXEL = "data:image/png;base64,aGVsbG8="
HOSTILE = "room<script>alert('x')</script>\"'&"


@pytest.fixture(scope="module")
def page() -> ParsedPage:
    """The page about a run, with a scan whose name is hostile."""
    scan = ShownScan(HOSTILE, f"best of 3 in {HOSTILE}", [Shown(HOSTILE, [PIXEL, PIXEL])], [0, 2])
    legend = legend_of(scored.NAMES, palette(scored.NAMES), [0, 2], judged=True)
    table = scored.table(title=f"rooms {HOSTILE}")
    return ParsedPage(render(table, scored.asked(), [PIXEL], [scan], legend, HOSTILE))


def test_the_page_has_the_table_of_scores(page: ParsedPage) -> None:
    expected = means(lines(scored.results()), "points", "scannet_official")
    assert page.table("", "scans", "mIoU") == expected
    assert ["(d) ESS+ESGS", "val"] in [row[:2] for row in expected]
    assert "±" in page.table("", "scans", "mIoU")[-1][2], "two seeds have a spread"


def test_the_page_has_every_protocol_and_every_class(page: ParsedPage) -> None:
    by_protocol = page.table("", "scans", "over", "protocol")[1:]
    assert {row[3] for row in by_protocol} == {
        "foreground",
        "openscene",
        "s3dis",
        "scannet_official",
    }
    assert {row[2] for row in by_protocol} == {"points", "voxels"}
    assert len(by_protocol) == 6 * 2 * 4, "voted rows too"
    assert [row[0] for row in page.table("class", "(a) fused 2D (val)")[1:]] == scored.NAMES


def test_the_page_has_the_score_of_each_scan(page: ParsedPage) -> None:
    rows = page.table("scan", "(a) fused 2D")
    assert [row[0] for row in rows[1:]] == ["a", "b", "c"]
    fused = [float(row[1]) for row in rows[1:]]
    assert fused == sorted(fused), "a scan of which more is right has a higher score"


def test_there_is_a_chart_of_each_class_and_a_matrix_of_each_plain_row() -> None:
    found = sections.scores(scored.results(), "Scores", "scannet_official")
    assert len(found.bars) == scored.K
    assert len(found.confusions) == 5, "voted rows have none"
    assert len(set(found.bars)) == scored.K
    assert len(set(found.confusions)) == 5


def test_the_page_says_how_many_points_have_a_label_and_how_many_labels_are_right(
    page: ParsedPage,
) -> None:
    rows = page.table("class", "% of points", "(b) open: labelled", "right", "found")
    wall = dict(zip(rows[0], rows[1], strict=False))
    assert wall["% of points"] == "33.3"
    counts = sum(np.array(c)[0] for c in scored.result("pseudo_labels_open", 3)["scans"].values())
    labelled = counts[0, :-1].sum() / counts[0].sum()
    assert wall["(b) open: labelled"] == f"{100 * labelled:.1f}"
    assert rows[-1][1:] == ["0.0", *["-"] * 6], "a class that does not occur has no shares"


def test_labels_that_are_not_counted_where_they_lack_cover_less() -> None:
    refined = scored.result("refined_labels", 5, seed=0, split="train")
    for counts in refined["scans"].values():
        for over in counts:
            for row in over:
                row[-1] = 0
    refined["total"] = np.sum([*map(np.array, refined["scans"].values())], axis=0).tolist()
    found = sections.scores([*scored.results(), refined], "Scores", "scannet_official").labels
    wall = dict(zip(found[0], found[1], strict=False))
    assert 0 < float(wall["(b) refined: labelled"]) < 100


def test_the_page_says_what_was_asked_and_what_it_cost(page: ParsedPage) -> None:
    assert ["voxels.voxel_size", "0.02"] in [row for table in page.tables for row in table]
    assert ["processor", "a <b>fast</b> one"] in [row for table in page.tables for row in table]
    cost = page.table("stage", "entries", "time", "longest", "peak memory", "disk")
    assert cost[1] == ["train", "4", "2.0 h", "60 min", "1.5 GB", "2 MB"]
    assert cost[-1][:3] == ["in all", "4", "2.0 h"]


def test_names_stay_text(page: ParsedPage) -> None:
    assert "script" not in page.elements
    assert "b" not in page.elements
    assert f"rooms {HOSTILE}" in page.headings
    assert HOSTILE in page.headings
    assert "<script>alert(1)</script>" in page.text


def test_the_page_refers_to_nothing_outside(page: ParsedPage) -> None:
    assert page.outside == []
    assert len(page.pictures) == scored.K + 5 + 1 + 2
    anchors = [each for each in page.references if each.startswith("#")]
    assert anchors, "the sections can be reached from the top"
    content = render(scored.table(), scored.asked())
    for place in {*(each for each in ParsedPage(content).references if each.startswith("#"))}:
        assert f'id="{place[1:]}"' in content
    assert "http" not in content
    assert "url(" not in content
    assert "@import" not in content


def test_folds_are_shown_together_and_one_by_one() -> None:
    pooled = [scored.result("fused", 5, split="held-out")]
    folds = [scored.result("fused", n, split=f"area {n}", scans=[str(n)]) for n in (3, 7)]
    title = "rooms, 2-fold: of the areas 3, 7 each is held out once"
    page = ParsedPage(render(scored.table(title=title) | {"results": pooled + folds}))
    assert page.headings[0] == "rooms, 2-fold"
    tables = [rows for rows in page.tables if rows[0][:3] == ["", "scans", "mIoU"]]
    assert [[row[1] for row in rows[1:]] for rows in tables] == [["held-out"], ["area 3", "area 7"]]
    assert len(page.pictures) == scored.K + 1


def test_each_direction_of_a_transfer_has_its_scores() -> None:
    groups = [
        {
            "trained_on": a,
            "scored_on": b,
            "classes": "all",
            "results": [scored.result("esgs", 5, 0)],
        }
        for a, b in (("rooms", "offices"), ("offices", "rooms"))
    ]
    protocols = {"rooms": "scannet_official", "offices": "s3dis"}
    page = ParsedPage(render({"groups": groups, "protocols": protocols, "simulated": ["rooms"]}))
    assert "Trained on rooms, scored on offices: all classes" in page.headings
    assert page.text.count("Simulated rooms") == 1, "of those that are"


def test_an_ablation_shows_what_each_row_changes_and_gains() -> None:
    rows = [
        {"name": "as configured", "changes": [], "results": [scored.result("ess_esgs", 4, 0)]},
        {"name": HOSTILE, "changes": ["a = 0", "b = 1"], "results": [scored.result("esgs", 6, 0)]},
    ]
    table = scored.table(title="rooms, ablation: some settings changed") | {"rows": rows}
    page = ParsedPage(ablation.render(table, scored.asked()))
    means = page.table("", "row", "network")
    assert [row[1:4] for row in means[1:]] == [
        ["as configured", "(d) ESS+ESGS", "1"],
        [HOSTILE, "(c) ESGS", "1"],
    ]
    assert means[2][-1].startswith("+"), "networks of other variants are compared too"
    assert page.table("row", "setting")[1:] == [[HOSTILE, "a = 0"], ["", "b = 1"]]
    assert len(page.pictures) == 2, "mIoU, and the classes of the second row"
    assert page.outside == []
    assert "script" not in page.elements


def test_scans_without_labels_show_what_was_seen_in_place_of_scores() -> None:
    scan = {"scan": HOSTILE, "split": "train", "points": 12345, "voxels": 99, "frames": 7}
    scan |= {"seen": 0.5, "classes": {"labels": {"wall": 0.25, "floor": 0.75}}}
    page = ParsedPage(render({"title": "mine", "notes": ["Trained on 1 scan."], "scans": [scan]}))
    assert page.table("scan", "", "points")[1] == [HOSTILE, "train", "12,345", "99", "7", "50.0"]
    assert page.table("scan", "network")[1] == [HOSTILE, "labels", "floor 75.0, wall 25.0"]
    assert "nothing is scored" in page.text
    assert "mIoU" not in page.text


def network(folder: Path, name: str, recorded: object) -> Path:
    path = folder / f"{name}.safetensors"
    files.write(path, {}, {"curves": json.dumps(recorded)})
    return path


def test_every_curve_in_the_networks_files_has_a_chart(tmp_path: Path) -> None:
    one = {
        "network": {"loss": [3.0, 2.0, 1.0]},
        "terms": {"step": [1, 3], "text": [2.0, 0.5], "cosine": [1.0, 0.5]},
        "adapter": {"loss": [1.0, 0.5], "agreement": [0.8, 0.9]},
    }
    other = {"network": {"loss": [4.0] * 300}, "odd": "text", "few": {"one": [1.0], "none": []}}
    paths = {"ess_esgs-0": network(tmp_path, "a", one), "esgs-0": network(tmp_path, "b", other)}
    drawn = curves.charts_of(paths)
    assert len(drawn) == 5, "loss, two terms, and two of the adapter; both networks in one chart"
    assert curves.charts_of({"none": network(tmp_path, "c", {})}) == []
    assert curves.charts_of({"other": network(tmp_path, "d", ["no", "parts"])}) == []


def test_a_chart_changes_with_its_values() -> None:
    def matrix(right: int) -> NDArray[np.int64]:
        return np.array([[right, 10 - right, 0], [0, 5, 5]], np.int64)

    from model.pages import charts

    one, other = (charts.confusion("x", matrix(right), ["a", "b"]) for right in (2, 9))
    assert one != other
    assert charts.bars("x", []) != charts.bars("x", [charts.Bar("a", [5.0, 7.0], "red")])
