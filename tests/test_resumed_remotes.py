"""What breaks off goes on where it was, or comes from the next remote."""

import shutil

import pytest

from pipeline.plan.plan import Plan
from pipeline.remotes.caches import Caches
from pipeline.remotes.described import Remote
from pipeline.remotes.taking import take
from pipeline.remotes.wanted import Wanted
from pipeline.store import entry, records
from tests.helpers import tiny_store
from tests.helpers.forged_remotes import (
    WHAT,
    bytes_of,
    taken,
)
from tests.helpers.tiny_remotes import SHORT, Lab, Shown, served


def test_what_disappears_in_the_middle_goes_on_where_it_was(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    home = lab.plan.home(*WHAT)
    whole = home.read_bytes()
    asked: list[str] = []

    def cut(request: Shown) -> bool:
        if "/list/" in request.path:
            return False
        begin = int((request.headers["Range"] or "bytes=0-")[6:].rstrip("-"))
        asked.append(f"{begin}")
        end = begin + len(whole) // 3 + 1
        request.send_response(206 if begin else 200)
        request.send_header("Content-Length", str(len(whole) - begin))
        request.send_header("Content-Range", f"bytes {begin}-{len(whole) - 1}/{len(whole)}")
        request.end_headers()
        request.wfile.write(whole[begin:end])
        request.close_connection = True
        return True

    plan = tiny_store.plan(lab.folder / "other")
    with served(lab.given, cut) as url:
        counts = [taken_in_pieces(lab.caches(url), plan) for _ in range(3)]
    assert sum(counts) == 1
    assert plan.home(*WHAT).read_bytes() == whole
    assert len(set(asked)) > 1
    assert "0" not in asked[1:]


def taken_in_pieces(caches: Caches, plan: Plan) -> int:
    return take(caches, [Wanted(plan, [WHAT], or_made=False)])


def test_a_server_that_knows_no_ranges_begins_again(lab: Lab) -> None:
    plan = tiny_store.plan(lab.folder / "other")
    home = plan.home(*WHAT)
    digest = records.digest(lab.plan.home(*WHAT))
    partial = home.parent / f"{entry.SCRATCH}{digest[:16]}" / home.name
    partial.parent.mkdir(parents=True)
    partial.write_bytes(b"half of it")
    with served(lab.given) as url:
        assert taken(lab.caches(url), plan) == 1
    assert not partial.parent.exists()


def test_the_next_remote_is_asked_for_what_one_does_not_give(lab: Lab) -> None:
    shutil.copytree(lab.given, lab.folder / "sound")
    bytes_of(lab).unlink()
    key = lab.public_key
    remotes = [Remote(str(lab.folder / name), key) for name in ("nowhere", "given", "sound")]
    assert taken(Caches(remotes, SHORT), tiny_store.plan(lab.folder / "other")) == 1


def test_what_a_bucket_refuses_to_show_counts_as_absent(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    def strict(request: Shown) -> bool:
        there = (lab.given / request.path.lstrip("/").replace("%40", "@")).is_file()
        if not there:
            request.send_error(403)
        return not there

    plan = tiny_store.plan(lab.folder / "other")
    plan.keys["frames"] = "0" * 12
    with served(lab.given, strict) as url:
        wanted = [Wanted(plan, [("frames", WHAT[1]), WHAT], or_made=False)]
        assert take(lab.caches(url), wanted) == 1
    said = capsys.readouterr().err
    assert said.count("what it refuses to show") == 1
