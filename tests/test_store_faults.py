"""Whatever the disk, the file system or other users do, entries are whole or absent."""

import errno
import os
import shutil
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import BadInput
from pipeline.store import damaged, entry, filesystem, lease, links, publish, records
from tests.helpers import toy_plan
from tests.helpers.full_disk import full_disk
from tests.helpers.toy_plan import ToyPlan

CONTENT = b"some content"


def make(name: str, path: Path) -> None:
    toy_plan.write(path, CONTENT)


def left(folder: Path) -> set[str]:
    """The names below a folder, except folders that always stay."""
    stay = {"store", "toy", "numbers", "score", "key", records.FOLDER, lease.FOLDER, "work"}
    return {path.name for path in folder.rglob("*")} - stay


@pytest.fixture
def plan(tmp_path: Path) -> ToyPlan:
    return ToyPlan(tmp_path)


@pytest.mark.parametrize("lasting", [True, False])
@pytest.mark.parametrize("stage", ["numbers", "score"])
def test_a_disk_that_is_full_at_any_write_leaves_nothing_half_written(
    tmp_path: Path, stage: str, lasting: bool
) -> None:
    for full_at in count(1):
        plan = ToyPlan(tmp_path / str(full_at))
        home, message = plan.home(stage, "a"), ""
        with full_disk(plan.folder, full_at, lasting=lasting) as disk:
            try:
                toy_plan.place(home, CONTENT)
            except BadInput as error:
                message = str(error)
        if message:
            assert message.startswith(f"{home}: could not be written (No space left")
            assert not home.exists()
            assert {name.partition(home.name)[0] for name in left(plan.folder)} <= {
                "recipe.json",
                "",
            }
        else:  # it may have got over a disk that was full for a moment
            entry.check_bytes(home)
            records.check(home)
            assert toy_plan.read(home) == CONTENT
        if disk.taken < full_at:
            break
        assert message or not lasting
    assert full_at > 15


def test_a_job_on_a_full_disk_reports_it_in_one_line_and_a_second_one_succeeds(
    plan: ToyPlan, capsys: pytest.CaptureFixture[str]
) -> None:
    home, link = plan.home("score", "a"), plan.link("score", "a")
    for full_at in count(1):
        with full_disk(plan.folder, full_at):
            failed = toy_plan.run(plan, "a", make)
        errors = capsys.readouterr().err
        assert bool(failed) == ("No space left" in errors) == (errors.count("\n") == 1)
        if not failed:
            break
        assert not link.is_symlink() or home.exists()
        assert not any(name.startswith(entry.SCRATCH) for name in left(plan.folder))
        assert toy_plan.run(plan, "a", make) == 0, "with space again"
        assert toy_plan.read(link) == CONTENT
        shutil.rmtree(plan.folder / "store")
        shutil.rmtree(plan.folder / "work")
    assert full_at > 20


@pytest.mark.parametrize("error", [errno.EROFS, errno.EACCES, errno.EDQUOT])
def test_a_store_that_cannot_be_written_is_named_and_can_be_read(
    plan: ToyPlan, error: int, capsys: pytest.CaptureFixture[str]
) -> None:
    home = plan.home("score", "a")
    for _ in "at first", "when others have made folders":
        with full_disk(plan.folder / "store", error=error):
            assert toy_plan.run(plan, "a", make) == 1
        assert os.strerror(error) in capsys.readouterr().err
        home.parent.mkdir(parents=True, exist_ok=True)
        (home.parent / lease.FOLDER).mkdir(exist_ok=True)
    toy_plan.place(home, CONTENT)
    before = left(plan.folder / "store")
    with full_disk(plan.folder / "store", error=error):
        assert toy_plan.run(plan, "a", lambda *_: pytest.fail("it is present")) == 0
        links.adopt([(plan.link("score", "a"), home)])
        assert toy_plan.read(plan.link("score", "a")) == CONTENT
        with pytest.raises(BadInput, match=r"cannot be moved .* ask its owner"):
            damaged.move_aside(home)
    assert left(plan.folder / "store") == before


def test_a_folder_that_is_closed_is_named(plan: ToyPlan, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", closed)
    with pytest.raises(BadInput, match=r"cannot be listed .* ask its owner"):
        links.adopt([(plan.link("score", "a"), plan.home("score", "a"))])


IN_ITS_PLACE: dict[str, Callable[[Path], object]] = {
    "folder": lambda path: (path / "in" / "it").mkdir(parents=True),
    "link out": lambda path: path.symlink_to("/etc/passwd"),
    "link to nothing": lambda path: path.symlink_to("gone"),
    "pipe": lambda path: os.mkfifo(path),
}


@pytest.mark.parametrize("what", IN_ITS_PLACE)
def test_what_is_no_file_is_not_adopted_but_moved_aside_for_the_entry(
    plan: ToyPlan, what: str
) -> None:
    home, link = plan.home("score", "a"), plan.link("score", "a")
    home.parent.mkdir(parents=True)
    for place in (home, home.with_name(publish.RECIPE)):
        IN_ITS_PLACE[what](place)
    links.adopt([(link, home)])
    assert not link.is_symlink()
    assert toy_plan.run(plan, "a", make) == 0
    assert toy_plan.read(link) == CONTENT
    assert entry.present(home.with_name(publish.RECIPE))
    assert sum(1 for _ in (home.parent / damaged.FOLDER).iterdir()) == 2, "nothing was deleted"


NO_LINKS = (
    *(errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV, errno.EACCES),
)


@pytest.fixture(params=NO_LINKS)
def no_links(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without hard links, which is told by several errors."""

    def link(*_: object, **__: object) -> None:
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr(os, "link", link)


@pytest.mark.parametrize("stage", ["numbers", "score"])
@pytest.mark.usefixtures("no_links")
def test_without_hard_links_an_entry_appears_as_whole_and_the_first_wins(
    plan: ToyPlan, stage: str
) -> None:
    home = plan.home(stage, "a")
    with publish.place(home) as late:
        toy_plan.place(home, CONTENT)
        assert stat.S_IMODE(home.stat().st_mode) & 0o333 == 0
        toy_plan.write(late, b"other content")
    assert toy_plan.read(home) == CONTENT
    records.check(home)
    assert not any(name.startswith(entry.SCRATCH) for name in left(plan.folder))


@pytest.mark.parametrize("old_system", [False, True])
@pytest.mark.usefixtures("no_links")
def test_without_hard_links_nothing_is_ever_overwritten(
    tmp_path: Path, old_system: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even what appears just before the rename, where the system can rename so."""
    if old_system:
        monkeypatch.setattr("ctypes.CDLL", lambda *_, **__: object())
    final = tmp_path / "final"
    for number in range(3):
        path = tmp_path / f"{number}"
        path.write_text(f"{number}")
        with suppress(FileExistsError):
            filesystem.publish(path, final)
            assert number == 0
    assert final.read_text() == "0"
    with pytest.raises(FileNotFoundError):
        filesystem.publish(tmp_path / "gone", tmp_path / "other")


def test_two_versions_of_the_code_live_side_by_side(tmp_path: Path) -> None:
    makings = []

    def make(_: str, path: Path) -> None:
        makings.append(path.parent.parent.name)
        toy_plan.write(path, path.parent.parent.name.encode())

    for key in ("old", "new", "old", "new"):
        plan = ToyPlan(tmp_path, key)
        links.adopt([(plan.link("score", "a"), plan.home("score", "a"))])
        assert plan.link("score", "a").exists() == (key in makings)
        assert toy_plan.run(plan, "a", make) == 0
        assert toy_plan.read(plan.link("score", "a")) == key.encode()
    assert makings == ["old", "new"], "switching back costs nothing"


def test_ten_thousand_entries_are_adopted_by_one_listing(
    plan: ToyPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"scene{n:05d}_00" for n in range(10_000)]
    pairs = [(plan.link("score", name), plan.home("score", name)) for name in names]
    pairs[0][1].parent.mkdir(parents=True)
    for _, home in pairs[:-1]:
        home.touch()
    listed: list[Path] = []
    scandir = os.scandir

    def counted(path: Path) -> Any:
        listed.append(path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", counted)
    begin = time.process_time()
    links.adopt(pairs)
    links.adopt(pairs)
    assert time.process_time() - begin < 5
    assert listed == [pairs[0][1].parent] * 2
    assert [link.exists() for link, _ in pairs] == [True] * 9_999 + [False]


def test_unusual_names_in_a_folder_do_no_harm(plan: ToyPlan) -> None:
    home, link = plan.home("score", "a"), plan.link("score", "a")
    toy_plan.place(home, CONTENT)
    for folder in (home.parent, home.parent / records.FOLDER):
        for name in (b"b@1.json\n", b"\n", b"\n..\n", b"\xff\xfe.json", b"-rf *", b"a@1.json;x"):
            Path(os.fsdecode(os.path.join(os.fsencode(folder), name))).write_text("[]")
    links.adopt([(link, home), (plan.link("score", "b"), plan.home("score", "b"))])
    assert toy_plan.read(link) == CONTENT
    assert not plan.link("score", "b").is_symlink()
    assert records.digests_by_entry(home.parent)[home.name] == {records.digest(home)}
