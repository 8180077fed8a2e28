"""A plan of toy stages, to test finding, making and reading entries without real ones.

`numbers` is an entry of one array, `score` one of json that is made from `numbers`.
"""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import zarr
from numpy.typing import NDArray

from pipeline.cli.stages import make_all
from pipeline.jobs import entries, ranks
from pipeline.store import arrays, entry, groups, publish

SUFFIX = {"numbers": "zarr.zip", "score": "json"}


class ToyPlan:
    """The parts of a plan that making an entry uses, with store and links in one folder."""

    dataset = "toy"
    facts = SimpleNamespace(simulated=False)

    def __init__(self, folder: Path, key: str = "key") -> None:
        self.folder, self.key, self.path = folder, key, folder / "plan.json"

    def home(self, stage: str, name: str) -> Path:
        return self.folder / "store" / "toy" / stage / self.key / f"{name}@1.{SUFFIX[stage]}"

    def link(self, stage: str, name: str) -> Path:
        return self.folder / "work" / stage / self.key / f"{name}.{SUFFIX[stage]}"

    def places(self, stage: str, name: str) -> list[Path]:
        return [self.link(stage, name)]

    def own_recipe(self, stage: str) -> dict[str, str]:
        return {"stage": stage, "key": self.key}

    def inputs(self, stage: str, name: str) -> list[tuple[str, str]]:
        return [("numbers", name)] if stage == "score" else []


def write(path: Path, content: bytes) -> None:
    """Write an entry that contains some bytes."""
    if path.suffix == ".json":
        written = {"entry": entry.identity(path), "content": content.hex()}
        path.write_text(json.dumps(written), encoding="utf-8")
        return
    with groups.create(path) as out:
        arrays.write(out, "x", np.frombuffer(content, np.uint8), chunk=4)


def place(home: Path, content: bytes) -> None:
    """Put an entry into the store."""
    with publish.place(home, {"toy": True}) as path:
        write(path, content)


def read(home: Path) -> bytes:
    """The bytes that an entry contains."""
    if home.suffix == ".json":
        return bytes.fromhex(json.loads(home.read_text(encoding="utf-8"))["content"])
    return read_array(home).tobytes()


def read_array(home: Path, name: str = "x") -> NDArray[Any]:
    """An array of a zarr entry."""
    array = groups.read(home)[name]
    assert isinstance(array, zarr.Array)
    return np.asarray(array[...])


def run(plan: ToyPlan, name: str, job: Callable[[str, Path], None]) -> int:
    """`python -m pipeline score PLAN LINK` where `job` is what the stage does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(entries, "load", lambda stage, plan: job)
        patch.setattr(ranks, "processes", lambda stage, plan: (1, 1))
        run = entries.maker("score", cast(Any, plan))
        return make_all(run, "toy", [plan.link("score", name)], wait=0.02)


def is_damaged(home: Path, why: str = "this entry") -> None:
    """Assert that the entry is refused by name, and not opened by any library."""
    with pytest.raises(entry.Damaged, match=why) as refused:
        entry.check(home)
    assert str(refused.value).startswith(f"{home}: this entry ")
    assert refused.value.home == home
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zarr, "open_group", lambda *_, **__: pytest.fail("it was opened"))
        with pytest.raises(entry.Damaged):
            groups.read(home)
