"""The umask and the mode of a store's folder decide who may do what in the store."""

import multiprocessing
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.errors import BadInput
from pipeline.plan import digests
from pipeline.store import damaged, lease, publish, records
from tests.helpers import toy_plan
from tests.helpers.toy_plan import ToyPlan

CONTENT = b"some content"


def make(name: str, path: Path) -> None:
    toy_plan.write(path, CONTENT)


@pytest.fixture
def plan(tmp_path: Path) -> ToyPlan:
    return ToyPlan(tmp_path)


@pytest.fixture(params=[0o002, 0o022, 0o027, 0o077, 0o000], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.mark.parametrize("setgid", [stat.S_ISGID, 0])
def test_entries_are_read_only_and_folders_open_as_the_umask_and_setgid_say(
    plan: ToyPlan, umask: int, setgid: int
) -> None:
    root = plan.folder / "store"
    root.mkdir()
    root.chmod(0o770 | setgid)
    group = max(os.getgroups() or [os.getgid()]) if os.geteuid() else 12345
    os.chown(root, -1, group)
    for stage in ("numbers", "score"):
        toy_plan.place(plan.home(stage, "a"), CONTENT)
    toy_plan.run(plan, "b", make)
    damaged.move_aside(plan.home("score", "b"))
    raw = plan.folder / "raw.sens"
    raw.touch()
    digests.raw_digests({"a": {"frames": {"sens": raw}}}, root / "toy" / "raw")
    below = list(root.rglob("*"))
    assert {path.name for path in below} > {damaged.FOLDER, lease.FOLDER, "a.json", publish.RECIPE}
    for path in below:
        mode = stat.S_IMODE(path.stat().st_mode)
        if path.is_dir():
            assert mode == 0o777 & ~umask | setgid, path
        else:
            assert mode == (0o666 if path.parent.name == "raw" else 0o444) & ~umask, path
        if setgid:
            assert path.stat().st_gid == group, path


def as_user(uid: int, umask: int, do: Callable[[], None]) -> bool:
    """Do something as another member of the group 12000; whether it succeeded."""

    def change_and_do() -> None:
        os.setgroups([])
        os.setresgid(12000, 12000, 12000)
        os.setresuid(uid, uid, uid)
        os.umask(umask)
        do()

    process = multiprocessing.get_context("fork").Process(target=change_and_do)
    process.start()
    process.join(30)
    return process.exitcode == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be several users")
@pytest.mark.parametrize("umask", [0o002, 0o022])
def test_a_member_of_the_group_can_add_to_a_store_and_change_nothing_in_it(umask: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chown(folder, -1, 12000)
        os.chmod(folder, 0o2775)
        plan = ToyPlan(Path(folder))
        home = plan.home("score", "a")

        def harm() -> None:
            toy_plan.place(home, b"mine")  # the first wins
            with pytest.raises(PermissionError):
                home.open("r+b")
            with pytest.raises(PermissionError):
                home.chmod(0o666)

        def add() -> None:
            assert toy_plan.run(plan, "b", make) == 0

        assert as_user(12001, umask, lambda: toy_plan.place(home, CONTENT))
        before = home.stat()
        assert as_user(12002, 0o002, harm) == (umask == 0o002)
        assert home.stat() == before
        assert toy_plan.read(home) == CONTENT
        assert as_user(12002, 0o002, add) == (umask == 0o002), "as the first umask allows"


@pytest.mark.parametrize("put", [os.mkfifo, os.mkdir, lambda path: os.symlink(path, path)])
def test_what_stands_for_a_record_of_raw_files_is_not_waited_for(
    tmp_path: Path, put: Callable[[Path], object]
) -> None:
    raw, record = tmp_path / "raw_file", tmp_path / "records" / "s.json"
    raw.write_bytes(b"x")
    record.parent.mkdir()
    put(record)
    with pytest.raises(BadInput, match=r"s\.json: cannot be read .*; ask its owner for access"):
        digests.raw_digests({"s": None}, record.parent)
    files = {"frames": {"raw_file": raw}}
    assert digests.raw_digests({"s": files}, record.parent)["s"] == digests.digest_of(files)


@pytest.mark.parametrize("name", [records.FOLDER, damaged.FOLDER, lease.FOLDER])
def test_nothing_outside_is_changed_by_planted_links(tmp_path: Path, name: str) -> None:
    plan, outside = ToyPlan(tmp_path), tmp_path / "outside"
    outside.mkdir()
    home = plan.home("numbers", "a")
    home.mkdir(parents=True)  # so that it has to be moved aside
    home.with_name(name).symlink_to(outside)

    def make() -> None:
        with lease.Leases().take(home):
            toy_plan.place(home, b"content")

    if name == damaged.FOLDER:
        with pytest.raises(BadInput, match="is a link"):
            make()
    else:
        make()
        records.check(home)
    assert os.listdir(outside) == []
