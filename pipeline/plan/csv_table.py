"""Tables that people write by hand or save from a spreadsheet: csv files with a line of names."""

import csv
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path

from pipeline.errors import BadInput

LARGEST = 64 * 2**20  # bytes of a table
_SEPARATORS = ",;\t"  # spreadsheets write ; where a comma is in numbers


def read(
    path: Path, columns: Sequence[str], optional: Sequence[str] = ()
) -> list[tuple[int, dict[str, str]]]:
    """The rows of a table, each with the number of its line; all have every one of `columns`.

    Other columns are read too; a cell that is not there is empty. Separators are commas, semicolons
    or tabs; blanks around cells do not count. Raises `BadInput` where a quote is left open, a line
    has more cells than there are names, a name stands twice or is nearly one of `optional`, or a
    cell of `columns` is empty.
    """
    lines = _text(path).splitlines()
    separator = ""
    if lines and lines[0].startswith("sep=") and len(lines[0].strip()) == 5:  # Excel's own line
        separator, lines[0] = lines[0].strip()[-1], ""
    first = next((line for line in lines if line.strip()), "")
    separator = separator or max(_SEPARATORS, key=first.count)
    rows = _rows(path, lines, separator)
    _, names = next(rows, (1, []))
    while names and not names[-1]:
        names.pop()
    known = {*columns, *optional}
    names = [name.lower() if name.lower() in known else name for name in names]
    _check_names(path, names, columns, optional)
    found = []
    for number, cells in rows:
        if any(cells[len(names) :]):
            what = f"line {number} has {len(cells)} cells, and the first line names {len(names)}"
            remedy = f'put a cell that has a "{separator}" of its own into quotes'
            raise BadInput(path, what, remedy)
        cells += [""] * (len(names) - len(cells))
        row = dict(zip(names, cells, strict=False))
        missing = [column for column in columns if not row[column]]
        if missing:
            raise BadInput(path, f"line {number} has no {missing[0]}", "fill it in")
        found.append((number, row))
    return found


def _text(path: Path) -> str:
    """The text; raises `BadInput` where there is none in UTF-8, or in UTF-16 with its mark."""
    try:
        if path.exists() and not path.is_file():
            raise BadInput(path, "is no file", "name a csv file")
        if path.stat().st_size > LARGEST:
            raise BadInput(path, f"has more than {LARGEST:,} bytes", "name a csv file")
        content = path.read_bytes()
    except OSError as error:
        raise BadInput(path, f"cannot be read ({error.strerror})", "correct its path") from error
    except ValueError as error:  # a path with a zero byte
        raise BadInput(str(path), "is no path", "correct it") from error
    wide = content[:2] in (b"\xff\xfe", b"\xfe\xff")
    try:
        text = content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        what = f"cannot be read (line {line} is not text in UTF-8)"
        raise BadInput(path, what, "save it as CSV in UTF-8") from error
    if "\0" in text:
        raise BadInput(path, "cannot be read (it has zero bytes)", "save it as CSV in UTF-8")
    return text


def _rows(path: Path, lines: Sequence[str], separator: str) -> Iterator[tuple[int, list[str]]]:
    """The cells of each line that has any: a cell never goes on in the next line."""
    for number, line in enumerate(lines, start=1):
        one = csv.reader([line], strict=True, skipinitialspace=True, delimiter=separator)
        try:
            cells = [cell.strip() for row in one for cell in row]
        except csv.Error as error:
            what = f'line {number} has a quote (") that is not closed in it, or text behind one'
            raise BadInput(path, what, "close the quote, or remove it") from error
        if any(cells):
            yield number, cells


def _check_names(
    path: Path, names: Sequence[str], columns: Sequence[str], optional: Sequence[str]
) -> None:
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        what = f"has the column {twice[0]!r} twice" if twice[0] else "has two columns of no name"
        raise BadInput(path, what, "remove one")
    absent = [column for column in columns if column not in names]
    if absent:
        remedy = f"let its first line name {', '.join(columns)}"
        raise BadInput(path, f"has no column {absent[0]}", remedy)
    known = [*columns, *optional]
    for name in names:
        near = get_close_matches(name.lower(), known, 1, 0.8)
        if name not in known and near:
            what = f"has a column {name!r}, which is not known"
            raise BadInput(path, what, f"call it {near[0]}, or something else")
