"""Forged bytes, records and names in a remote: none gets into the store."""

import json
import os
import shutil
from pathlib import Path

import pytest

from pipeline.remotes.keys import load, make
from pipeline.remotes.signed import Record, encode
from pipeline.store import entry, records
from tests.helpers import tiny_store
from tests.helpers.forged_remotes import (
    OTHER,
    WHAT,
    bytes_of,
    folder_of,
    listed,
    refused,
    relist,
    taken,
)
from tests.helpers.tiny_remotes import Lab


def test_wrong_bytes_of_the_right_size(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    path = bytes_of(lab)
    whole = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(whole[:100] + bytes([whole[100] ^ 1]) + whole[101:])
    said = refused(lab, capsys, lab.caches(str(lab.given)))
    assert "its bytes are not those of the record" in said


def test_another_entry_under_the_name(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copyfile(bytes_of(lab, OTHER), bytes_of(lab))
    said = refused(lab, capsys, lab.caches(str(lab.given)))
    assert f"{lab.plan.home(*WHAT).name} is not taken: its bytes are not those" in said


def test_another_entry_with_a_record_of_its_bytes_by_who_is_trusted(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    other = next(each for each in listed(lab) if OTHER[1] in each.path)
    path = other.path.replace(lab.plan.home(*OTHER).name, lab.plan.home(*WHAT).name)
    relist(lab, encode(Record(path, other.sha256, other.bytes, 1.0), None))
    shutil.copyfile(bytes_of(lab, OTHER), folder_of(lab) / f"{Path(path).name}.{other.sha256}")
    said = refused(lab, capsys, lab.caches(str(lab.given), trusted=True))
    assert "this entry says that it is" in said


@pytest.mark.parametrize("how", ["unsigned", "by another key", "of another text", "no base64"])
def test_records_that_the_key_has_not_signed(
    lab: Lab, capsys: pytest.CaptureFixture[str], how: str
) -> None:
    record = next(each for each in listed(lab) if WHAT[1] in each.path)
    line = encode(record, None)
    if how == "by another key":
        make(lab.folder / "other.pem")
        line = encode(record, load(lab.folder / "other.pem"))
    elif how == "of another text":
        signature = encode(record, lab.private).partition(b" ")[0]
        line = (
            signature
            + b" "
            + encode(record, None).replace(b'"bytes": ', b'"bytes": 1').split(b" ", 1)[1]
        )
    elif how == "no base64":
        line = b"\xff\xfe" + line
    relist(lab, line)
    said = refused(lab, capsys, lab.caches(str(lab.given)))
    assert "1 records of" in said
    assert "are not signed by its key" in said


def test_a_replayed_record_of_another_entry_is_none_of_this(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = (folder_of(lab) / "list/000000.jsonl").read_bytes().splitlines(keepends=True)
    relist(lab, b"".join(line for line in lines if OTHER[1].encode() in line) * 2)
    shutil.copyfile(bytes_of(lab, OTHER), bytes_of(lab))
    plan = tiny_store.plan(lab.folder / "other")
    assert taken(lab.caches(str(lab.given)), plan) == 0
    assert not plan.home(*WHAT).exists()
    assert capsys.readouterr().err == ""


def test_a_record_of_other_settings_does_not_count_here(lab: Lab) -> None:
    (part,) = folder_of(lab).glob("list/*")
    changed = tiny_store.plan(lab.folder / "other", voxel_size=0.1)
    copy = lab.given / "scannet/voxels" / changed.keys["voxels"] / "list" / part.name
    copy.parent.mkdir(parents=True)
    shutil.copyfile(part, copy)
    assert taken(lab.caches(str(lab.given)), changed) == 0


def test_a_bomb_that_is_signed_is_still_no_entry(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    import zipfile

    home = lab.plan.home(*WHAT)
    bomb = lab.folder / home.name
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as pack:
        pack.writestr("x/c/0", bytes(50 << 20))
        pack.comment = json.dumps({"entry": entry.identity(home), "parts": ""}).encode()
    sha256, path = records.digest(bomb), f"{listed(lab)[0].path.rpartition('/')[0]}/{home.name}"
    relist(lab, encode(Record(path, sha256, bomb.stat().st_size, 1.0), lab.private))
    shutil.copyfile(bomb, folder_of(lab) / f"{home.name}.{sha256}")
    assert "claims more bytes than it has" in refused(lab, capsys, lab.caches(str(lab.given)))


def test_names_that_lead_out_of_the_store(lab: Lab) -> None:
    own = listed(lab)[0].path.rpartition("/")[0]
    lines = b""
    for name in ("../../../../../evil", "/etc/evil", "x/../../evil", "a\0b", "\x1b[2J", "a" * 9999):
        lines += encode(Record(f"{own}/{name}", "0" * 64, 3, 1.0), lab.private)
        lines += encode(Record(name, "0" * 64, 3, 1.0), lab.private)
    part = folder_of(lab) / "list/000000.jsonl"
    part.write_bytes(lines + part.read_bytes())
    before = tiny_store.tree(lab.folder)
    plan = tiny_store.plan(lab.folder / "other")
    assert taken(lab.caches(str(lab.given)), plan) == 1
    made = set(tiny_store.tree(lab.folder)) - set(before)
    assert all(name.startswith("other/scannet/voxels/") for name in made)


def test_a_pipe_in_a_folder_is_not_waited_for(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    bytes_of(lab).unlink()
    os.mkfifo(bytes_of(lab))
    assert "it is listed, and not there" in refused(lab, capsys, lab.caches(str(lab.given)))


def test_malformed_lines_do_not_hide_the_sound_ones(lab: Lab) -> None:
    part = folder_of(lab) / "list/000000.jsonl"
    bad = [b"", b"-", b"- {}", b"- []", b"- " + b"[" * 5000, b"- null", b"\0\xff \x80"]
    bad += [b'- {"path": 3}', b'- {"path": "x", "groups": {"a": 1}}', b'- {"path": "x"}']
    bad += [
        b'- {"path": "x", "sha256": "../../x", "bytes": 1, "seconds": 1}',
        b'- {"path": "x", "sha256": "' + b"0" * 64 + b'", "bytes": -1, "seconds": NaN}',
        b'- {"path": "x", "sha256": "' + b"0" * 64 + b'", "bytes": 1e999, "seconds": "a"}',
    ]
    part.write_bytes(b"\n".join([*bad, part.read_bytes()]))
    assert taken(lab.caches(str(lab.given)), tiny_store.plan(lab.folder / "other")) == 1
