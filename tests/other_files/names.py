"""Names of folders with blanks, quotes and what a shell would run."""

import os
import re
import shlex
from functools import partial
from pathlib import Path

from hypothesis import strategies as st
from snakemake.utils import format as rendered

from pipeline.plan import config
from tests.other_files import Variant
from tests.other_files.config_values import START

RULES = Path(__file__).parents[2] / "workflow" / "rules"
COMMANDS = {
    f"{path.stem} {number}": line.strip().strip('"')
    for path in sorted(RULES.glob("*.smk"))
    for number, line in enumerate(path.read_text().splitlines(), start=1)
    if "python -m pipeline" in line and line.strip().startswith('"')
}
PARTS = [
    "my work",
    "$(touch ran)",
    "`touch ran`",
    "a;b",
    "it's",
    'a"b',
    "a&b",
    "a|b",
    "ä",
    "a*?[b]",
]
BAD = ["{a}", "a}", "{", "<logs>", "a\nb", "a\tb", "a\0b"]


def load(folder: Path, key: str, name: str) -> str:
    """The folder that a config names, as all commands read it."""
    escaped = name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    escaped = escaped.replace("\t", "\\t").replace("\0", "\\0")
    others = START if key == "store" else f"{START}{key}: x\n"
    path = folder / "config.yaml"
    path.write_text(
        others.replace(f"{key}: {'s' if key == 'store' else 'x'}", f'{key}: "{escaped}"')
    )
    return str(config.load(path)[key])


class Output(list[str]):
    """Files of a rule by position and by name, as Snakemake's own list of them."""

    text = page = ""

    def __str__(self) -> str:
        return " ".join(self)

    def __format__(self, spec: str) -> str:
        return " ".join(map(shlex.quote, self)) if spec == "q" else " ".join(self)


class Params:
    """Parameters of all rules."""

    stage = command = "report"

    def __init__(self, path: str) -> None:
        self.plan = path
        self.plans = self.options = Output([path, path])


def quoted(folder: Path, key: str, name: str, command: str) -> None:
    """The name is kept, and the shell takes each path in a command for one word."""
    assert load(folder, key, name) == name
    path = f"{name}/plan.json"
    files = Output([path, path])
    files.text = files.page = path
    line = rendered(COMMANDS[command], params=Params(path), output=files, input=files, log=path)
    words = shlex.split(re.split(" 2>&1| > ", line)[0])
    assert set(words) <= {
        "python",
        "-m",
        "pipeline",
        "report",
        "predict",
        "transfer",
        "page",
        "page-of-tables",
        path,
    }
    log = line.removesuffix(" 2>&1")
    assert shlex.split(re.split("tee | > ", log)[-1]) == [path]


def refused(folder: Path, key: str, name: str) -> None:
    """What Snakemake would take for a wildcard is refused."""
    load(folder, key, name)
    raise AssertionError("was read")


def home(folder: Path, key: str) -> None:
    """`~` is the home."""
    assert load(folder, key, "~/my files") == os.path.expanduser("~/my files")


VARIANTS = st.one_of(
    st.builds(
        lambda key, names, command: Variant(
            f"{key} {names}, {command}",
            partial(quoted, key=key, name=" ".join(names), command=command),
        ),
        st.sampled_from(["store", "work", "results"]),
        st.lists(st.sampled_from(PARTS), min_size=1, max_size=3),
        st.sampled_from(sorted(COMMANDS)),
    ),
    st.builds(
        lambda key, name: Variant(f"{key} {name!r}", partial(refused, key=key, name=name), True),
        st.sampled_from(["work", "results"]),
        st.sampled_from(BAD),
    ),
    st.sampled_from(["store", "work", "results"]).map(
        lambda key: Variant(f"{key} ~", partial(home, key=key))
    ),
)
