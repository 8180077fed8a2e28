"""Configs with values that YAML takes for others, keys that stand twice, and what would hang."""

import time
from functools import partial
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from pipeline.plan import config
from tests.other_files import Variant

START = "store: s\nmine:\n  scans: a.csv\n  embeddings: {model: M}\n"
SECONDS = 2.0  # where a hang would be; a config takes a hundredth of it
INTEGERS = {"frames": "every", "train": "max_voxels", "embeddings": "batch"}
NUMBERS = {"voxels": "voxel_size", "pseudo_labels": "temperature", "projections": "border"}
BAD = [".nan", ".NaN", ".inf", "-.inf", "-1", "'3'", "three", "[3]", "{a: 3}", "true", "1e400"]
NO_INTEGER = ["1.0", "2000.5", "1e3", "1.0e+3", "010", "1:30", "0x", "2020-01-01", "0", "1_0:20"]


def load(folder: Path, text: str | bytes) -> dict[str, Any]:
    """The config as all commands read it, in bounded time."""
    path, begin = folder / "config.yaml", time.process_time()
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    try:
        return config.load(path)
    finally:
        assert time.process_time() - begin < SECONDS


def setting(section: str, key: str, value: str) -> str:
    """The text of a config with one setting."""
    if section == "embeddings":
        return START.replace("model: M", f"model: M, {key}: {value}")
    return f"{START}  {section}: {{{key}: {value}}}\n"


def right(folder: Path, section: str, key: str, value: str, meant: float) -> None:
    """A number is read as the number that it is, of its type."""
    found = load(folder, setting(section, key, value))["mine"][section][key]
    assert found == meant
    assert type(found) is type(meant)


def bad(folder: Path, text: str | bytes) -> None:
    """What is not meant is refused."""
    load(folder, text)
    raise AssertionError("was read")


def same(folder: Path, text: str | bytes) -> None:
    """Other ways to write the same config are read."""
    assert load(folder, text) == load(folder, START + "  frames: {every: 3}\n")


def bomb(levels: int, width: int, merge: bool) -> str:
    """Aliases of aliases."""
    first = "a0: &a0 {a: 1}\n" if merge else "a0: &a0 [x, x]\n"
    lines = []
    for level in range(1, levels):
        own = ", ".join([f"*a{level - 1}"] * width)
        lines.append(f"a{level}: &a{level} " + (f"{{<<: [{own}]}}" if merge else f"[{own}]"))
    return START + first + "\n".join(lines) + "\n"


TEXTS: dict[str, str | bytes] = {
    "a setting twice": START + "  frames: {every: 2, every: 3}\n",
    "a section twice": START + "  frames: {every: 2}\n  frames: {every: 3}\n",
    "a dataset twice": START + START.removeprefix("store: s\n"),
    "a key twice, once in quotes": START + '  frames: {every: 2, "every": 3}\n',
    "merged twice": "x: &x {scans: a}\n" + START + "  <<: *x\n  <<: *x\n",
    "a key that is a number": START + "  1: 2\n",
    "a key that is a truth": START + "  yes: 2\n",
    "a key that is nothing": START + "  ~: 2\n",
    "a key that is a list": START + "  [a, b]: 2\n",
    "an unknown key": START + "  frame: {every: 2}\n",
    "an unknown key of all": START + "querry: chair\n",
    "an option of predict that is none": START + "predict: {querry: chair}\n",
    "tabs": START + "\tframes: {every: 2}\n",
    "no bracket": START + "  frames: {every: 2\n",
    "two documents": START + "---\n" + START,
    "an unknown alias": START + "  frames: *none\n",
    "an alias of itself": START + "  frames: &f {every: *f}\n",
    "a Python object": START + "  frames: !!python/object/apply:os.getcwd []\n",
    "another tag": START + "  frames: !mine {every: 2}\n",
    "latin-1": (START + "  raw: /home/käthe\n").encode("latin-1"),
    "utf-16": START.encode("utf-16"),
    "a zero byte": START + "  raw: a\0b\n",
    "nothing": "",
    "a comment": "# nothing\n",
    "a list": "- store\n",
    "a word": "store\n",
    "a number": "3\n",
    "an empty JSON list": "[]",
    "JSON with a key twice": '{"store": "s", "store": "t"}',
    "JSON with NaN": '{"store": "s", "mine": {"scans": "a", "embeddings": {"model": "M"}, '
    '"voxels": {"voxel_size": NaN}}}',
    "deep JSON": '{"store": ' + "[" * 20000 + "]" * 20000 + "}",
    "an empty store": START.replace("store: s", 'store: ""'),
    "a large file": START + "# x\n" * 100_000,
    "deep blocks": START + "".join("  " * n + f"k{n}:\n" for n in range(1, 90)),
    **{f"{n} brackets": f"{START}x: " + "[" * n + "]" * n + "\n" for n in (50, 500, 5000, 50_000)},
    **{f"{n} braces": f"{START}x: " + "{a: " * n + "1" + "}" * n + "\n" for n in (50, 900, 9000)},
    **{f"{n} lists in lines": f"{START}x: " + "- " * n + "1\n" for n in (50, 5000)},
    **{
        f"{levels} levels of {width}, merge {merge}": bomb(levels, width, merge)
        for levels in (6, 12, 60)
        for width in (9, 30)
        for merge in (True, False)
    },
}
SAME: dict[str, str | bytes] = {
    "blocks": START + "  frames:\n    every: 3\n",
    "CRLF": (START + "  frames: {every: 3}\n").replace("\n", "\r\n"),
    "a mark of UTF-8": b"\xef\xbb\xbf" + START.encode() + b"  frames: {every: 3}\n",
    "comments": "# mine\n" + START + "  frames: {every: 3} # each third, käthe\n",
    "a document": "---\n" + START + "  frames: {every: 3}\n...\n",
    "hexadecimal": START + "  frames: {every: 0x3}\n",
    "an alias": START.replace("M}", "&m M}") + "  frames: &f {every: 3}\n",
    "merged": START + "  frames: {<<: {every: 3}}\n",
    "merged over": START + "  frames: {<<: {every: 9}, every: 3}\n",
    "JSON": '{"store": "s", "mine": {"scans": "a.csv", "embeddings": {"model": "M"}, '
    '"frames": {"every": 3}}}',
}


def _settings(known: dict[str, str]) -> st.SearchStrategy[tuple[str, str]]:
    return st.sampled_from(sorted(known.items()))


VARIANTS = st.one_of(
    st.builds(
        lambda which, value: Variant(
            f"{which} {value}", partial(bad, text=setting(which[0], which[1], value)), True
        ),
        st.one_of(_settings(INTEGERS), _settings(NUMBERS)),
        st.sampled_from(BAD),
    ),
    st.builds(
        lambda which, value: Variant(
            f"{which} {value}", partial(bad, text=setting(which[0], which[1], value)), True
        ),
        _settings(INTEGERS),
        st.sampled_from(NO_INTEGER),
    ),
    st.builds(
        lambda which, value: Variant(
            f"{which} {value}",
            partial(right, section=which[0], key=which[1], value=f"{value}", meant=value),
        ),
        _settings(INTEGERS),
        st.integers(1000, 10**6),
    ),
    st.builds(
        lambda which, value: Variant(
            f"{which} {value}",
            partial(right, section=which[0], key=which[1], value=f"{value}", meant=value),
        ),
        _settings(NUMBERS),
        st.sampled_from([0.5, 1.0, 3, 0.08, 20]),
    ),
    st.sampled_from(sorted(TEXTS)).map(lambda n: Variant(n, partial(bad, text=TEXTS[n]), True)),
    st.sampled_from(sorted(SAME)).map(lambda n: Variant(n, partial(same, text=SAME[n]))),
)
