"""The text of a config, looked at before it is read: what YAML takes and nobody means is refused.

A reader of YAML keeps the last of two equal keys, takes 010 for 8 and 1:30 for 90, and can be made
to work for hours by a few lines of aliases.
"""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from pipeline.errors import BadInput

LARGEST = 2**18  # bytes of a config
_DEEPEST = 40  # collections in collections
_MOST = 50_000  # values, where each alias counts as all that it stands for
_NO_NUMBER = re.compile(r"[-+]?(0[0-9_]+|[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?)")
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the parser in C, where there is one


def check_files(paths: Iterable[Path]) -> None:
    """Raise `BadInput` for the first config that cannot be read as it is meant."""
    for path in paths:
        check_file(path)


def check_file(path: Path) -> None:
    """Raise `BadInput` unless a config is UTF-8, small, not deep, and has no key twice."""
    try:
        if path.exists() and not path.is_file():
            raise BadInput(path, "cannot be read (it is no file)", "name a config")
        if path.stat().st_size > LARGEST:
            raise BadInput(path, f"has more than {LARGEST:,} bytes", "name a config")
        text = path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not text in UTF-8"
        raise BadInput(path, f"cannot be read ({why})", "correct its path or its text") from error
    try:
        json.loads(text, object_pairs_hook=lambda pairs: _no_key_twice(path, pairs))
        if not text.lstrip().startswith("{"):
            raise BadInput(path, "has no settings", "write them as `name: value`")
    except RecursionError as error:
        raise BadInput(path, "is nested too deeply", "correct it") from error
    except ValueError:
        _check_yaml(path, text)


def _no_key_twice(path: Path, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    for key in keys:
        if keys.count(key) > 1:
            raise BadInput(path, f"has the key {key!r} twice in one place", "remove one")
    return dict(pairs)


class _Open:
    """A collection that is being read; `keys` of a mapping, None of a list."""

    def __init__(self, event: Any) -> None:
        self.anchor, self.size = event.anchor, 1
        self.keys: set[str] | None = set() if isinstance(event, yaml.MappingStartEvent) else None
        self.at_key = self.keys is not None


def _check_yaml(path: Path, text: str) -> None:
    sizes: dict[str, int] = {}
    opened: list[_Open] = []
    documents = 0
    try:
        for event in yaml.parse(text, Loader=_Loader):
            line = f"line {event.start_mark.line + 1}"
            documents += isinstance(event, yaml.DocumentStartEvent)
            if documents > 1:
                raise BadInput(path, f"{line} begins a second document", "keep one of them")
            if isinstance(event, yaml.CollectionStartEvent):
                opened.append(_Open(event))
                if len(opened) > _DEEPEST:
                    raise BadInput(path, f"is nested too deeply at {line}", "correct it")
                continue
            if isinstance(event, yaml.CollectionEndEvent):
                done = opened.pop()
                size, anchor = done.size, done.anchor
            elif isinstance(event, yaml.ScalarEvent):
                size, anchor = 1, event.anchor
                _check_scalar(path, event, opened, line)
            elif isinstance(event, yaml.AliasEvent):
                if event.anchor not in sizes:
                    what = f"{line} has the alias *{event.anchor}, which names nothing before it"
                    raise BadInput(path, what, "correct it")
                size, anchor = sizes[event.anchor], None
            else:
                continue
            if anchor:
                sizes[anchor] = size
            if opened:
                opened[-1].size += size
                if opened[-1].keys is not None:
                    opened[-1].at_key = not opened[-1].at_key
                if sum(each.size for each in opened) > _MOST:
                    what = f"has aliases that stand for more than {_MOST:,} values at {line}"
                    raise BadInput(path, what, "write what is meant")
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        why = " ".join(str(getattr(error, "problem", "") or error).split())[:100]
        where = f"line {mark.line + 1}: {why}" if mark else why
        what = f"cannot be read, since it is not valid JSON or YAML ({where})"
        raise BadInput(path, what, "correct it; blanks, not tabs, go before a name") from error


def _check_scalar(path: Path, event: Any, opened: list[_Open], line: str) -> None:
    if not opened:
        return
    within, value = opened[-1], event.value
    if within.at_key and within.keys is not None:
        if value in within.keys:
            raise BadInput(path, f"{line} has the key {value!r} a second time", "remove one")
        within.keys.add(value)
    elif event.implicit[0] and _NO_NUMBER.fullmatch(value):
        remedy = f'write the number without 0 in front, or text as "{value}"'
        raise BadInput(path, f"{line} has {value}, which YAML takes for another number", remedy)
