"""A file that is no sound entry is detected and named before anything in it is used."""

import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from model.network import files
from pipeline.errors import BadInput
from pipeline.jobs import entries
from pipeline.store import arrays, damaged, entry, groups, publish
from tests.helpers import toy_plan
from tests.helpers.toy_plan import ToyPlan, is_damaged


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> ToyPlan:
    """A store with sound entries `a` and `b` of each kind."""
    plan = ToyPlan(tmp_path_factory.mktemp("sound"))
    for name in "ab":
        toy_plan.place(plan.home("score", name), name.encode())
        with (
            publish.place(plan.home("numbers", name)) as path,
            groups.create(path, {"k": 1}) as out,
        ):
            arrays.write(out, "x", np.arange(99, dtype=np.int32), chunk=50)
            arrays.write(out, "grid", np.ones((3, 2), np.float16), chunk=1, compress=False)
            arrays.write(out, "none", np.zeros((0, 3), bool))
        home = plan.home("numbers", name).with_suffix(".safetensors")
        with publish.place(home) as path:
            files.write(path, {"x": torch.ones(9)}, {"entry": entry.identity(path)})
    return plan


KINDS = {
    "zip": lambda plan, name: plan.home("numbers", name),
    "safetensors": lambda plan, name: plan.home("numbers", name).with_suffix(".safetensors"),
    "json": lambda plan, name: plan.home("score", name),
}
any_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The path of an entry `a` of the stage `numbers` in another store."""
    home = ToyPlan(tmp_path).home("numbers", "a")
    home.parent.mkdir(parents=True)
    return home


@any_kind
def test_a_sound_entry_passes(plan: ToyPlan, kind: str) -> None:
    entry.check(KINDS[kind](plan, "a"))
    entry.check_bytes(KINDS[kind](plan, "a"))


@any_kind
@settings(max_examples=60)
@given(share=st.floats(0, 1, exclude_max=True), zeros=st.booleans())
def test_an_entry_cut_anywhere_is_refused(
    plan: ToyPlan, tmp_path_factory: pytest.TempPathFactory, kind: str, share: float, zeros: bool
) -> None:
    whole = KINDS[kind](plan, "a")
    home = ToyPlan(tmp_path_factory.mktemp("cut")).home(whole.parent.parent.name, "a")
    home = home.with_name(whole.name)
    home.parent.mkdir(parents=True)
    content = whole.read_bytes()
    kept = int(share * len(content))
    home.write_bytes(content[:kept])
    is_damaged(home)
    if zeros and kind != "safetensors":  # whose weights have no checksum but their record
        home.write_bytes(content[:kept].ljust(len(content), b"\0"))
        is_damaged(home)


@settings(max_examples=60, deadline=None)
@given(
    share=st.floats(0, 1, exclude_max=True),
    lacking=st.integers(0, 9),
    more=st.binary(max_size=9),
    kind=st.sampled_from([*KINDS]),
)
@example(share=0.01, lacking=4, more=b"", kind="zip")
def test_where_bytes_are_missing_or_changed_the_entry_is_set_aside_by_name(
    plan: ToyPlan,
    tmp_path_factory: pytest.TempPathFactory,
    share: float,
    lacking: int,
    more: bytes,
    kind: str,
) -> None:
    other = ToyPlan(tmp_path_factory.mktemp("lacking"))
    home = KINDS[kind](other, "a")
    shutil.copytree(KINDS[kind](plan, "a").parent, home.parent)
    content = home.read_bytes()
    at = int(share * len(content))
    spoilt = content[:at] + more + content[at + lacking :]
    assume(spoilt != content)
    home.unlink()
    home.write_bytes(spoilt)

    def use() -> None:
        out = other.home("score", "made")
        with damaged.moving_aside(), publish.place(out), entries.sound([home]):
            for name in "x", "grid", "none":
                toy_plan.read_array(home, name)

    with pytest.raises(BadInput, match=r"it was moved to .*: run again") as refused:
        use()
    assert str(refused.value).startswith(f"{home}: this entry ")
    assert not home.exists()
    assert [path.read_bytes() for path in (home.parent / damaged.FOLDER).iterdir()] == [spoilt]


@any_kind
def test_an_entry_with_the_bytes_of_another_is_refused(
    plan: ToyPlan, tmp_path: Path, kind: str
) -> None:
    mine, other = KINDS[kind](plan, "a"), KINDS[kind](plan, "b")
    for place in (mine.parent, mine.parent.with_name("other_key")):
        home = tmp_path / place.relative_to(plan.folder) / mine.name
        home.parent.mkdir(parents=True)
        home.write_bytes((other if place == mine.parent else mine).read_bytes())
        is_damaged(home, "says that it is")


def test_only_a_file_is_an_entry(plan: ToyPlan, home: Path) -> None:
    make: list[Callable[[], Any]] = [
        lambda: home.symlink_to(plan.home("numbers", "a")),
        lambda: home.symlink_to("/dev/zero"),
        lambda: home.symlink_to("gone"),
        lambda: os.mkfifo(home),
    ]
    is_damaged(home, "is missing")
    for put in make:
        put()
        is_damaged(home, "is not a file")
        home.unlink()
    home.mkdir()
    is_damaged(home, "is not a file")


def test_a_network_of_another_size_than_it_says_is_refused(plan: ToyPlan, home: Path) -> None:
    home = home.with_suffix(".safetensors")
    whole = KINDS["safetensors"](plan, "a").read_bytes()
    for content in (whole + b"more", struct.pack("<Q", 1 << 62) + whole[8:], b"", whole[:8] * 2):
        home.write_bytes(content)
        is_damaged(home)


@pytest.mark.parametrize("content", ["[]", "{}", '"a"', "[" * 100_000, '{"entry": 1}', "{", "NaN"])
def test_a_malformed_score_is_refused(home: Path, content: str) -> None:
    home = home.with_suffix(".json")
    home.write_text(content)
    is_damaged(home)


@any_kind
def test_what_cannot_be_read_just_now_is_not_damaged(
    plan: ToyPlan, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a process with too many open files would move sound entries aside."""
    home = KINDS[kind](plan, "a")

    def busy(*_: Any, **__: Any) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("io.open", busy)
    with pytest.raises(BadInput, match="Too many open files") as refused:
        entry.check(home)
    assert not isinstance(refused.value, entry.Damaged)
