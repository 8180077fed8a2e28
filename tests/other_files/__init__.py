"""Files as other people have them: one module a kind, each with a strategy of variants.

A variant is a file or a folder that some program writes, or somebody leaves behind, and what must
come of it: the right value, or `BadInput`, one sentence that names the file. Anything else is a
wrong result. To add a kind, add a module with `VARIANTS`; the table and the tests find it.
"""

import os
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Literal

import pytest
from hypothesis.strategies import SearchStrategy

from pipeline.errors import BadInput

Result = Literal["right", "refused", "wrong"]


@dataclass(frozen=True)
class Variant:
    """One variant of a kind.

    Attributes:
        what: what it is, in words, for the table of what went wrong.
        check: makes the files in an empty folder, reads them with the project's own code, and
            raises `AssertionError` where what was read is not right.
        may_be_refused: whether a sentence is as good as the right value.
    """

    what: str
    check: Callable[[Path], None]
    may_be_refused: bool = False

    def __repr__(self) -> str:
        return self.what


def kinds() -> dict[str, SearchStrategy[Variant]]:
    """The strategy of each kind, by the name of its module."""
    names = sorted(module.name for module in iter_modules(__path__) if module.name[0] != "_")
    return {name: import_module(f"{__name__}.{name}").VARIANTS for name in names}


def examples(kind: str) -> int:
    """How many variants of a kind the tests try: fewer where one takes seconds."""
    return int(getattr(import_module(f"{__name__}.{kind}"), "EXAMPLES", 20))


def result_of(variant: Variant) -> tuple[Result, str]:
    """What comes of a variant in a new folder, and why where it is not right."""
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = Path(name) / "in"
        folder.mkdir()
        try:
            variant.check(folder)
        except BadInput as error:
            return _judge_sentence(str(error), Path(name), variant)
        except (Exception, pytest.fail.Exception) as error:
            return "wrong", f"{type(error).__name__}: {error}"
    return "right", ""


def _judge_sentence(sentence: str, folder: Path, variant: Variant) -> tuple[Result, str]:
    if "\n" in sentence or sentence.count(os.fspath(folder)) == 0:
        return "wrong", f"not one sentence that names a file of it: {sentence}"
    return ("refused" if variant.may_be_refused else "wrong"), sentence
