"""Classes that a table gives apart and that nothing can tell apart afterwards."""

import re
import unicodedata
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path

from pipeline.errors import BadInput
from pipeline.facts import ClassRow

_NUMBERS = ("id", "ids", "class_id", "index", "label", "train_id", "trainid")


def require_apart(path: Path, classes: Sequence[ClassRow]) -> None:
    """Raise `BadInput` for names, prompts, colors or groups that are the same but for spelling."""
    for each in classes:
        if each["name"].startswith("#"):
            what = f"has no comments, and names a class {each['name']!r}"
            raise BadInput(path, what, "remove the line")
        if "|" in each["name"]:
            raise BadInput(path, f"names a class {each['name']!r}", "use no | in a name")
        if joined := next((prompt for prompt in each["prompts"] if ";" in prompt), None):
            what = f"{each['name']} has the prompt {joined!r}"
            raise BadInput(path, what, "write | between prompts")
    if twins := _twins(classes, lambda each: spelt(each["name"])):
        raise BadInput(path, f"duplicate entry {twins[1]}", "remove one of the lines")
    parts: dict[str, Callable[[ClassRow], Hashable]] = {
        "prompts": lambda each: frozenset(map(spelt, each["prompts"])),
        "color": lambda each: spelt(each.get("color", "")).strip("#"),
    }
    for part, of in parts.items():
        if twins := _twins(classes, of):
            what = f"{twins[0]} and {twins[1]} have the same {part}"
            raise BadInput(path, what, "give each its own")
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


def _twins(
    classes: Sequence[ClassRow], of: Callable[[ClassRow], Hashable]
) -> tuple[str, str] | None:
    """The names of the first two classes of which something, where they have it, is the same."""
    owner: dict[Hashable, str] = {}
    for each in classes:
        value = of(each)
        if value in owner:
            return owner[value], each["name"]
        if value:
            owner[value] = each["name"]
    return None
