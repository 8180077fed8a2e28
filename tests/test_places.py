"""Where things are: another's checkout, another working directory, links, files for folders."""

import errno
import os
from pathlib import Path

import pytest

from model.network import files
from pipeline.doctor.scans import of_folder
from pipeline.errors import BadInput
from pipeline.plan import checkout
from pipeline.store.entry import SCRATCH
from pipeline.whole_file import whole_file
from tests.helpers.room_frames import frames
from tests.helpers.tiny_entries import train_tiny, write_rooms, write_text
from tests.helpers.tiny_folders import write_own


def test_a_checkout_that_may_not_be_written_to_and_one_that_is_not_here_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "state").write_text("a file where a folder is to be")
    with pytest.raises(BadInput, match=r"state/running: cannot be written .*checkout of your own"):
        checkout.recover(tmp_path / "state")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match="is not the folder of the checkout"):
        checkout.require_checkout()


def test_a_link_to_a_scan_keeps_its_name_and_a_file_is_no_folder_of_a_scan(tmp_path: Path) -> None:
    write_own(tmp_path / "My scan (2)", frames(3, whole=True))
    (tmp_path / "living_room").symlink_to(tmp_path / "My scan (2)")
    found = of_folder(tmp_path / "living_room")
    assert (found.name, found.raw) == ("living_room", tmp_path)
    assert found.open()[0].frame_ids == [0, 1, 2]
    with pytest.raises(BadInput, match=r"intrinsics\.txt: is a file, and the doctor compares"):
        of_folder(tmp_path / "living_room/intrinsics.txt")


def test_a_full_work_tree_is_not_told_as_a_full_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, *rest: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    rooms, text = write_rooms(tmp_path, range(1)), write_text(tmp_path)
    monkeypatch.setattr(files, "write", full)
    with pytest.raises(BadInput, match=r"checkpoint\.safetensors: cannot be written \(No space"):
        train_tiny("esgs", rooms, text, tmp_path / "out", steps=4, checkpoint_every=1)


def test_a_file_that_is_not_finished_looks_like_scratch_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "folder/plan.json"

    def fail() -> None:
        with whole_file(path) as partial:
            assert partial.parent == path.parent
            assert partial.name.startswith(SCRATCH)
            partial.write_text("half")
            raise OSError(errno.ENOSPC, "no space")

    with pytest.raises(BadInput, match="cannot be written"):
        fail()
    assert list(path.parent.iterdir()) == []
