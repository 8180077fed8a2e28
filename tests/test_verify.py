"""What is not the entry that its place says is found and moved aside; the rest stays."""

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.cli.main import main
from pipeline.errors import BadInput
from pipeline.plan import provenance
from pipeline.store import damaged, entry, lease, links, publish, records
from pipeline.upkeep import verify
from tests.helpers import tiny_store

MADE = [("frames", "scene0000_00"), ("train", "esgs-0"), ("evaluate", "fused")]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with an entry of each kind, all recorded; to be copied."""
    root = tmp_path_factory.mktemp("store")
    plan = tiny_store.plan(root)
    for number, what in enumerate(MADE):
        tiny_store.make(plan, what, number)
    return root


@pytest.fixture
def root(sound: Path, tmp_path: Path) -> Path:
    return shutil.copytree(sound, tmp_path / "store")


def homes(root: Path) -> list[Path]:
    plan = tiny_store.plan(root)
    return [plan.home(*what) for what in MADE]


def run_verify(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["store", "verify", *arguments])


def overwrite(path: Path, content: bytes) -> None:
    path.unlink()
    path.write_bytes(content)


def test_a_sound_store_is_read_completely_and_not_changed(root: Path) -> None:
    before = tiny_store.tree(root)
    report = verify.verify(root)
    assert not report.findings
    assert report.entries == len(MADE)
    assert report.bytes == sum(home.stat().st_size for home in homes(root))
    assert report.unrecorded.total() == 0
    assert tiny_store.tree(root) == before


@settings(max_examples=150)
@given(st.integers(0, len(MADE) - 1), st.floats(0, 1, exclude_max=True), st.integers(1, 255))
@example(0, 0.0, 1)
@example(1, 0.999999, 128)
def test_a_flip_in_any_byte_is_found_and_that_entry_alone_is_moved_aside(
    sound: Path, which: int, where: float, flip: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = shutil.copytree(sound, Path(folder, "store"))
        before = tiny_store.tree(root)
        home = homes(root)[which]
        content = bytearray(home.read_bytes())
        content[int(where * len(content))] ^= flip
        overwrite(home, bytes(content))
        (finding,) = verify.verify(root, jobs=2).findings
        assert finding.path == home
        assert finding.aside
        assert finding.aside.read_bytes() == content, "what was moved aside is not what was there"
        after = tiny_store.tree(root)
        del after[str(finding.aside.relative_to(root))], before[str(home.relative_to(root))]
        assert after == before
        assert not verify.verify(root).findings, "what was moved aside was found again"


def test_what_was_moved_aside_can_be_made_again(root: Path) -> None:
    home = homes(root)[0]
    sound = home.read_bytes()
    overwrite(home, sound[:-40])
    assert verify.verify(root).findings
    assert not os.path.lexists(home)
    tiny_store.make(tiny_store.plan(root), MADE[0])
    assert home.read_bytes() == sound
    assert not verify.verify(root).findings


def to_link(home: Path) -> None:
    elsewhere = home.parent.parent / "elsewhere"
    home.rename(elsewhere)
    home.symlink_to(elsewhere)


def to_folder(home: Path) -> None:
    home.unlink()
    home.mkdir()


def to_pipe(home: Path) -> None:
    home.unlink()
    os.mkfifo(home)


def to_another_entry(home: Path) -> None:
    """A sound entry, recorded even, but of another scan."""
    plan = tiny_store.plan(home.parents[3])
    other = tiny_store.make(plan, ("frames", "scene0001_00"), 7)
    overwrite(home, other.read_bytes())
    shutil.copy(
        records.path_for(other, records.digest(other)), records.path_for(home, records.digest(home))
    )


@pytest.mark.parametrize(
    "spoil",
    [
        lambda home: overwrite(home, b""),
        lambda home: overwrite(home, home.read_bytes()[:-1]),
        lambda home: overwrite(home, home.read_bytes() + b"\0"),
        to_link,
        to_folder,
        to_pipe,
        to_another_entry,
        lambda home: (home.parent / "x\n@1.zarr.zip").write_bytes(b""),
        lambda home: (home.parent / "\x1b[31m.txt").write_bytes(b""),
        lambda home: Path(os.fsdecode(bytes(home.parent) + b"/\xff")).write_bytes(b""),
        lambda home: overwrite(home.with_name(publish.RECIPE), b'{"stage": "another"}'),
        lambda home: overwrite(home.with_name(publish.RECIPE), b"["),
        lambda home: overwrite(home.with_name(publish.RECIPE), b"[" * 100_000),
        lambda home: to_link(home.with_name(publish.RECIPE)),
        lambda home: (home.parent / lease.FOLDER).symlink_to("/"),
    ],
)
def test_what_does_not_belong_is_moved_aside(root: Path, spoil: Callable[[Path], None]) -> None:
    home = homes(root)[0]
    spoil(home)
    report = verify.verify(root)
    (finding,) = report.findings
    assert finding.path.parent == home.parent
    assert finding.aside
    assert os.path.lexists(finding.aside)
    assert not os.path.lexists(finding.path)
    assert verify.format_report(report).replace("\n", "").isprintable()
    assert str(home.parent) in verify.format_report(report)


def test_scratch_leases_and_what_was_moved_aside_are_left_alone(root: Path) -> None:
    folder = homes(root)[0].parent
    for name in (f"{entry.SCRATCH}abc/half.zarr.zip", f"{lease.FOLDER}/x", f"{damaged.FOLDER}/y"):
        (folder / name).parent.mkdir()
        (folder / name).write_bytes(b"half")
    before = tiny_store.tree(root)
    assert not verify.verify(root).findings
    assert tiny_store.tree(root) == before


def test_entries_without_records_are_compared_with_their_own_checksums(root: Path) -> None:
    for home in homes(root):
        shutil.rmtree(home.parent / records.FOLDER)
    report = verify.verify(root)
    assert not report.findings
    assert report.unrecorded.total() == len(MADE)
    assert f"{len(MADE)} of them without a record" in verify.format_report(report)

    home = homes(root)[0]
    content = bytearray(home.read_bytes())
    content[content.index(b"zarr_format") + 3] ^= 1  # in a part, which has a checksum
    overwrite(home, bytes(content))
    (finding,) = verify.verify(root).findings
    assert finding.path == home
    assert finding.aside


def test_entries_of_another_format_are_compared_with_their_records_alone(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Colleagues with another version of this code may still use them."""
    home = homes(root)[0]
    strange = home.parent / "index.db"
    strange.write_bytes(b"?")
    monkeypatch.setattr(entry, "check", lambda home: pytest.fail("another format was read"))
    assert not verify.verify(root, store_format=provenance.FORMAT + 1).findings
    assert strange.exists()
    overwrite(home, b"damaged")
    (finding,) = verify.verify(root, store_format=provenance.FORMAT + 1).findings
    assert finding.aside


def test_a_fault_that_cannot_be_moved_is_reported_nevertheless(root: Path) -> None:
    home = homes(root)[0]
    overwrite(home, b"damaged")
    (home.parent / damaged.FOLDER).write_bytes(b"in the way")
    done = run_verify(str(root))
    assert done.exit_code == 1
    assert f"{home}: this entry has a checksum mismatch" in done.stdout
    assert "could not be moved" in done.stdout
    assert home.read_bytes() == b"damaged"


def test_nothing_is_moved_out_of_the_store_by_a_link(root: Path, tmp_path: Path) -> None:
    home, outside = homes(root)[0], tmp_path / "outside"
    outside.mkdir()
    (home.parent / damaged.FOLDER).symlink_to(outside)
    overwrite(home, b"damaged")
    report = verify.verify(root)
    assert {f.path for f in report.findings} == {home, home.parent / damaged.FOLDER}
    assert all(f.aside is None for f in report.findings)
    assert os.listdir(outside) == []


def test_a_linked_folder_is_reported_and_not_followed(root: Path, tmp_path: Path) -> None:
    outside = shutil.copytree(root, tmp_path / "outside")
    overwrite(homes(outside)[0], b"damaged")
    (root / "linked").symlink_to(outside / "scannet")
    report = verify.verify(root)
    assert [(f.path, f.aside) for f in report.findings] == [(root / "linked", None)]
    assert homes(outside)[0].read_bytes() == b"damaged"


def test_only_the_dataset_asked_for_is_read(root: Path) -> None:
    other = tiny_store.make(tiny_store.plan(root, dataset="s3dis"), MADE[0])
    overwrite(other, b"damaged")
    assert verify.verify(root, "scannet").entries == len(MADE)
    assert not verify.verify(root, "scannet").findings
    assert [f.path for f in verify.verify(root, "s3dis").findings] == [other]


def test_a_work_tree_is_not_mistaken_for_a_store(tmp_path: Path) -> None:
    root, work = tmp_path / "store", tmp_path / "work"
    plan = tiny_store.plan(root, work=str(work))
    home = tiny_store.make(plan, MADE[0])
    links.point(plan.link(*MADE[0]), home)
    plan.keys  # noqa: B018
    plan.write()
    with pytest.raises(BadInput, match="work tree"):
        verify.verify(work)
    assert plan.link(*MADE[0]).is_symlink()


def test_the_command_ends_with_counts_and_with_1_where_anything_was_found(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCAN_STORE", str(root))
    done = run_verify()
    assert done.exit_code == 0
    assert done.stdout.startswith(f"{len(MADE)} entries of ")
    overwrite(homes(root)[1], b"")
    done = run_verify()
    assert done.exit_code == 1
    lines = done.stdout.splitlines()
    assert str(homes(root)[1]) in lines[0]
    assert "1 faults, 1 of them moved aside." in lines[-1]
    assert run_verify(str(root / "nowhere")).exit_code == 1
