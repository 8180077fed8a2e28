"""Files of other people: their JSON, and what packages say of them."""

import json
import re
from typing import Any

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def parse_json(text: str) -> Any:
    """What a JSON text says.

    Raises `ValueError`, in one line, for text that is no JSON, that nests too deeply, that names a
    key twice, and that has half of a surrogate pair, which no file or terminal takes.
    """
    try:
        found = json.loads(text, object_pairs_hook=_once)
    except RecursionError:
        raise ValueError("it nests too deeply") from None
    if _SURROGATE.search(text):
        json.dumps(found, ensure_ascii=False).encode()  # raises a ValueError of its own
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"it names {twice[:40]!r} twice")
    return found


def one_line(error: Exception) -> str:
    """What an exception of a package says, as a part of a sentence: its first line, cut to 200."""
    lines = (str(getattr(error, "strerror", None) or error).strip() or type(error).__name__).split(
        "\n"
    )
    printable = "".join(c if c.isprintable() else "?" for c in lines[0])
    return printable.rstrip(".:;")[:200]
