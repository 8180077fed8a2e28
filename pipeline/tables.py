"""Tables in plain text, and the three files of a report."""

import csv
import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

_NUMBER = re.compile(r"\d[\d,]*(\.\d)?( ± \d+\.\d)?$")


def aligned(rows: Sequence[Sequence[str]], left: Collection[int] | None = None) -> str:
    """Cells side by side: words flush left, numbers flush right.

    `left` are the columns flush left; by default those without any number.
    """
    columns = list(zip(*rows, strict=True))
    left = words(rows) if left is None else left
    widths = [max(map(len, column)) for column in columns]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def words(rows: Sequence[Sequence[str]]) -> set[int]:
    """The columns without any number."""
    columns = enumerate(zip(*rows, strict=True))
    return {index for index, column in columns if not any(map(_NUMBER.match, column))}


def write(
    prefix: Path, text: str, content: Mapping[str, Any], rows: Iterable[Sequence[object]]
) -> None:
    """Write `prefix`.txt, .json and .csv: the text, the content and the rows.

    The folder is made if it is missing.
    """
    prefix.parent.mkdir(parents=True, exist_ok=True)
    _file(prefix, "txt").write_text(text, encoding="utf-8")
    described = json.dumps(content, indent=1, sort_keys=True)
    _file(prefix, "json").write_text(described, encoding="utf-8")
    with _file(prefix, "csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)


def _file(prefix: Path, kind: str) -> Path:
    return prefix.with_name(f"{prefix.name}.{kind}")


def format_bytes(count: float) -> str:
    """A number of bytes in its decimal unit."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.5:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:,.1f} TB"
