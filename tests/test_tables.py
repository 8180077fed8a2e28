"""Tables are aligned by what is in their columns, and written as text, json and csv."""

import csv
import json
from pathlib import Path

from pipeline import tables

ROWS = [
    ["", "points", "mIoU", "note"],
    ["wall", "12,000", "5.0 ± 1.2", "none"],
    ["x", "9", "-", ""],
]


def test_columns_with_a_number_are_flush_right_and_others_flush_left() -> None:
    assert tables.aligned(ROWS).splitlines() == [
        "      points       mIoU  note",
        "wall  12,000  5.0 ± 1.2  none",
        "x          9          -",
    ]


def test_the_columns_flush_left_can_be_chosen() -> None:
    assert tables.aligned([["a", "1"], ["bb", "22"]], left=(1,)) == " a  1\nbb  22"


def test_the_three_files_of_a_report_can_be_read_back(tmp_path: Path) -> None:
    prefix = tmp_path / "new" / "a.b"
    tables.write(prefix, "text\n", {"b": "±", "a": [1]}, ROWS)
    assert sorted(path.name for path in prefix.parent.iterdir()) == [
        "a.b.csv",
        "a.b.json",
        "a.b.txt",
    ]
    assert (tmp_path / "new/a.b.txt").read_text(encoding="utf-8") == "text\n"
    assert json.loads((tmp_path / "new/a.b.json").read_text()) == {"a": [1], "b": "±"}
    with (tmp_path / "new/a.b.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == ROWS
