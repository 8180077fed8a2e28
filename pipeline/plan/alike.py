"""Classes that a table gives apart and that nothing can tell apart afterwards."""

import re
import unicodedata
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path

from pipeline.errors import BadInput
from pipeline.facts import ClassRow

MOST = 2**15 - 1  # classes that the labels of points can number
_NUMBERS = ("id", "ids", "class_id", "index", "label", "train_id", "trainid")


def require_apart(path: Path, classes: Sequence[ClassRow]) -> None:
    """Raise `BadInput` for names, prompts, colors or groups that are the same but for spelling."""
    if len(classes) > MOST:
        raise BadInput(path, f"names {len(classes):,} classes", f"name {MOST:,} at most")
    for each in classes:
        if each["name"].startswith("#"):
            what = f"has no comments, and names a class {each['name']!r}"
            raise BadInput(path, what, "remove the line")
        if "|" in each["name"]:
            raise BadInput(path, f"names a class {each['name']!r}", "use no | in a name")
        if joined := next((prompt for prompt in each["prompts"] if ";" in prompt), None):
            what = f"{each['name']} has the prompt {joined!r}"
            raise BadInput(path, what, "write | between prompts")
    _require_differ(path, classes, "name", lambda each: spelt(each["name"]))
    _require_differ(path, classes, "prompts", lambda each: frozenset(map(spelt, each["prompts"])))
    _require_differ(path, classes, "color", lambda each: spelt(each.get("color", "")).strip("#"))
    groups = {group: spelt(group) for each in classes if (group := each.get("group"))}
    if len(set(groups.values())) < len(groups):
        what = f"spells a group in several ways ({', '.join(groups)})"
        raise BadInput(path, what, "write it the same everywhere")


def require_order(path: Path, rows: Sequence[Mapping[str, str]]) -> None:
    """Raise `BadInput` where a table numbers its classes otherwise than their lines do, from 0.

    Labels are the numbers of the lines; a number beside them would be read by nobody.
    """
    for column in rows[0] if rows else ():
        given = [row[column] for row in rows]
        counted = [str(i) for i in range(len(rows))]
        if column.lower() in _NUMBERS and any(given) and given != counted:
            what = f"has a column {column!r}, which is not read: labels count the lines from 0"
            raise BadInput(path, what, "sort the lines by it, or remove it or call it note")


def spelt(name: str) -> str:
    """A name without what the eye does not see in it: case, blanks, forms of letters."""
    plain = unicodedata.normalize("NFKC", name).casefold()
    seen = "".join(c for c in plain if unicodedata.category(c) != "Cf")
    return re.sub(r"[\s_-]+", " ", seen).strip()


def _require_differ(
    path: Path, classes: Sequence[ClassRow], what: str, of: Callable[[ClassRow], Hashable]
) -> None:
    owner: dict[Hashable, str] = {}
    for each in classes:
        if not (value := of(each)):
            continue
        other = owner.setdefault(value, each["name"])
        if other is not each["name"] and what == "name":
            raise BadInput(path, f"duplicate entry {each['name']}", "remove one of the lines")
        if other is not each["name"]:
            same = f"{other} and {each['name']} have the same {what}"
            raise BadInput(path, same, "give each its own")
