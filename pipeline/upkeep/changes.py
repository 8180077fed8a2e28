"""How two recipes, or any two values of JSON, differ, in lines that show what was edited."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.plan.provenance import CHOSEN

SHORT = 60  # characters up to which a value is printed whole


def of_recipes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """How two recipes of a stage differ, except in the keys of the stages that both read."""

    def compared(part: str) -> Iterator[tuple[str, str | None, str | None]]:
        for name in sorted(old[part].keys() | new[part].keys()):
            if old[part].get(name) != new[part].get(name):
                yield name, old[part].get(name), new[part].get(name)

    def change(before: str | None, after: str | None) -> str:
        return "added" if before is None else "removed" if after is None else "changed"

    chosen = old["params"] != new["params"]  # and with parameters the modules that they choose
    lines = [
        f"{name} (code {change(*both)})"
        for name, *both in compared("code")
        if not (chosen and None in both and name.startswith(tuple(f"{p}." for p in CHOSEN)))
    ]
    versions = compared("packages")
    lines += [f"package {name}: {a or 'none'} -> {b or 'none'}" for name, a, b in versions]
    lines += of_values("params", old["params"], new["params"])
    lines += of_values("format", old.get("format"), new["format"])
    reads = [(name, change(*both)) for name, *both in compared("upstream")]
    return lines + [f"upstream {name} {how}" for name, how in reads if how != "changed"]


def of_values(path: str, old: Any, new: Any) -> Iterator[str]:
    """Where two values of JSON differ: `path.to.it: old -> new`."""
    if _json(old) == _json(new):  # 1, 1.0 and true are not the same
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted(old.keys() | new.keys()):
            where = f"{path}.{name}"
            if name not in old or name not in new:
                sides = [_short(side[name]) if name in side else "none" for side in (old, new)]
                yield f"{where}: {sides[0]} -> {sides[1]}"
            else:
                yield from of_values(where, old[name], new[name])
    elif isinstance(old, list) and isinstance(new, list) and not _is_short(old, new):
        yield from _of_lists(path, old, new)
    else:
        yield f"{path}: {_short(old)} -> {_short(new)}"


def _of_lists(path: str, old: list[Any], new: list[Any]) -> Iterator[str]:
    if len(old) == len(new) and all(isinstance(item, dict | list) for item in (*old, *new)):
        for number, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from of_values(f"{path}[{number}]", before, after)
        return
    removed, added = ([_short(i) for i in a if i not in b] for a, b in ((old, new), (new, old)))
    if removed:
        yield f"{path}: without {', '.join(removed)}"
    if added:
        yield f"{path}: with {', '.join(added)}"
    if not removed and not added:
        yield f"{path}: in another order"


def _is_short(*values: Any) -> bool:
    return all(len(_json(value)) <= SHORT for value in values)


def _short(value: Any) -> str:
    text = _json(value)
    return text if len(text) <= SHORT else f"{text[: SHORT // 2]}...{text[-SHORT // 3 :]}"


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
