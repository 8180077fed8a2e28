"""The tables have every score of every result, by every protocol."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from model.reports.lines import csv_rows, scores, with_scores
from model.reports.report import text_report, write_report
from model.scoring import protocols
from model.scoring.results import OVER, Result, as_result

K = 4
PROTOCOLS = protocols.names()
NAMES = ["wall", "chair", "floor", "bed"]


def result(row: str, hits: int, seed: int | None = None, split: str = "held-out") -> Result:
    """A result of which `hits` in ten points of each class but bed are right, the rest unseen."""
    counts = np.zeros((K, K + 1), np.int64)
    for k in range(3):
        counts[k, k], counts[k, K] = hits, 10 - hits
    both = np.stack([counts, counts // 2])
    made = as_result(row, split, NAMES, {"a": both, "b": both})
    return made | ({} if seed is None else {"seed": seed, "selection": "last step"})


RESULTS = [
    result("ess_esgs", 6, seed=1),
    result("ess_esgs", 8, seed=0),
    result("fused", 5),
    result("pseudo_labels", 9, split="training"),
]


def by_protocol(results: list[Result]) -> list[str]:
    """The lines of the table by protocol."""
    return text_report(results, "Demo").partition("All protocols")[2].splitlines()


def test_the_table_names_what_was_scored_on_which_scans() -> None:
    text = text_report(RESULTS, "Demo", simulated=True)
    rows = [line.split() for line in text.splitlines()]
    assert next(row[:7] for row in rows if row[:2] == ["(a)", "fused"]) == [
        "(a)",
        "fused",
        "2D",
        "held-out",
        "50.0",
        "50.0",
        "50.0",
    ]
    assert any(row[:6] == ["(d)", "ESS+ESGS", "held-out", "70.0", "±", "14.1"] for row in rows)
    assert any(row[:2] == ["bed", "-"] for row in rows)  # a class that does not occur has no IoU
    assert "Simulated rooms" in text
    assert "Scored on 2 training scans: (b) filtered." in text
    assert "IoU by class, over points, protocol scannet_official" in text
    named = [line.split()[3:5] for line in by_protocol(RESULTS) if "(d)" in line]
    assert named == [[over, protocol] for over in OVER for protocol in PROTOCOLS]
    assert "2 seeds" in text
    assert "Simulated" not in text_report(RESULTS, "ScanNet")


def test_each_row_says_what_it_needs_of_a_scan_and_how_many_scans_trained_it() -> None:
    known: list[tuple[str, list[str]]] = [
        ("esgs_2d_voted", ["images", "superpoints"]),
        ("esgs_2d", ["images"]),
        ("esgs_voted", ["superpoints"]),
        ("esgs", []),
    ]
    results = [
        result(row, 5, seed) | {"needs": needs, "trained_on": 14}
        for row, needs in known
        for seed in (0, 1)
    ]
    results.append(result("fused", 5) | {"needs": ["images"]})
    text = text_report(results, "Demo")
    rows = text.partition("needs\n")[2].partition("\n\n")[0].splitlines()
    assert [row.partition("  held-out")[0].strip() for row in rows] == [
        "(a) fused 2D",
        "(c) ESGS",
        "(c) ESGS, voted",
        "(c) ESGS + 2D",
        "(c) ESGS + 2D, voted",
    ]
    assert [row.rpartition("0.0")[2].split(maxsplit=2)[-2:] for row in rows[1:]] == [
        ["scans", "points only"],
        ["scans", "superpoints"],
        ["scans", "images"],
        ["scans", "images, superpoints"],
    ]
    assert rows[0].endswith("images")
    assert " -  " in rows[0]
    assert all("14 scans" in row for row in rows[1:])
    assert max(map(len, text.splitlines())) <= 120
    assert "averaged over each superpoint" in text
    assert "averaged over each superpoint" not in text_report(RESULTS, "Demo")
    assert {row[0] for row in csv_rows(results)[1:]} == {"fused", *(row for row, _ in known)}


def test_the_heading_says_how_the_step_of_each_network_was_chosen() -> None:
    alike = text_report(RESULTS, "Demo")
    assert "\nNetwork used: last step.\n" in alike
    chosen = [
        result("ess_esgs", 6, seed=0) | {"selection": "step 3 of 4"},
        result("ess_esgs", 7, seed=1) | {"selection": "step 2 of 4"},
        result("ess_esgs_last", 5, seed=0),
        result("ess_esgs_last", 4, seed=1),
        result("ess_esgs_last_voted", 9, seed=0),
        result("supervised", 9, seed=0),
    ]
    text = text_report(chosen, "Demo")
    assert "\nNetwork used in (d) ESS+ESGS, seed 0: step 3 of 4.\n" in text
    assert "\nNetwork used in (d) ESS+ESGS, seed 1: step 2 of 4.\n" in text
    assert "\nNetwork used in supervised, seed 0: last step.\n" in text
    rows = [line.split("  ")[0] for line in text.splitlines()]
    first = rows.index("(d) ESS+ESGS")
    names = ["(d) ESS+ESGS, last step", "(d) ESS+ESGS, last step, voted", "supervised"]
    assert rows[first + 1 : first + 4] == names
    assert "weights after the last step" in text


def test_the_upper_bound_is_called_supervised() -> None:
    row = text_report([result("supervised", 9, seed=0)], "Demo").partition("\nsupervised")[2]
    assert row.split()[:2] == ["held-out", "90.0"]
    assert "fully supervised upper bound" in row


def test_every_number_of_the_csv_file_can_be_read_back() -> None:
    head, *rows = csv_rows(RESULTS)
    table = [dict(zip(head, row, strict=True)) for row in rows]
    assert len(table) == 3 * 2 * len(PROTOCOLS) * (3 + K)
    found = [r for r in table if r["row"] == "ess_esgs" and r["metric"] == "OA"]
    means = {(r["protocol"], float(r["mean"]), r["seeds"]) for r in found if r["over"] == "points"}
    assert means == {(protocol, 70.0, "2") for protocol in PROTOCOLS}
    assert {(r["over"], r["protocol"]) for r in table} == {(o, p) for o in OVER for p in PROTOCOLS}


def test_the_report_is_written_as_text_json_and_csv(tmp_path: Path) -> None:
    text = write_report(RESULTS, tmp_path / "results" / "demo", "Demo", simulated=True)
    folder = tmp_path / "results"
    assert (folder / "demo.txt").read_text() == text
    assert json.loads((folder / "demo.json").read_text())["results"] == [
        with_scores(result) for result in RESULTS
    ]
    with (folder / "demo.csv").open(newline="") as file:
        assert list(csv.reader(file)) == csv_rows(RESULTS)


def test_a_report_without_results_is_refused() -> None:
    with pytest.raises(ValueError, match="no result"):
        text_report([], "Demo")


def test_a_protocol_is_added_by_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    protocol = Path(protocols.__file__).with_name("s3dis.py").read_text()
    (tmp_path / "added_here.py").write_text(protocol)
    monkeypatch.setattr(protocols, "__path__", [*protocols.__path__, str(tmp_path)])
    assert protocols.names() == (*PROTOCOLS, "added_here")
    found = scores(RESULTS[0])["points"]
    assert found["added_here"] == found["s3dis"]
    assert any(row.split()[3:5] == ["points", "added_here"] for row in by_protocol(RESULTS))
    assert {row[3] for row in csv_rows(RESULTS)[1:]} == set(protocols.names())
