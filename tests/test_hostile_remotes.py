"""Remotes that lie, break off or do not end: each costs a sentence, and the store has nothing torn.

What the web server answers in the place of the honest file is given by a function for each case.
"""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

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
    forged,
    refused,
    taken,
)
from tests.helpers.tiny_remotes import SHORT, Lab, Shown, served


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(tmp_path_factory.mktemp("lab"))


@pytest.fixture
def lab(honest: Lab, tmp_path: Path) -> Lab:
    return forged(honest, tmp_path)


def sent(*pieces: bytes, pause: float = 0.0, length: int = 1 << 40) -> Callable[[Shown], bool]:
    """Answers a request for bytes of an entry with pieces, over and over."""

    def answer(request: Shown) -> bool:
        if "/list/" in request.path:
            return False
        request.send_response(200)
        request.send_header("Content-Length", str(length))
        request.end_headers()
        try:
            left = length
            while left > 0:
                for piece in pieces:
                    request.wfile.write(piece[:left])
                    request.wfile.flush()
                    left -= len(piece)
                    time.sleep(pause)
        except OSError:  # the other one has had enough
            pass
        return True

    return answer


def test_more_bytes_than_the_record_says(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    with served(lab.given, sent(b"x" * 65536)) as url:
        said = refused(lab, capsys, lab.caches(url))
    assert "it has more than the" in said
    size = sum(p.stat().st_size for p in (lab.folder / "other").rglob("*") if p.is_file())
    assert size < 65536


def test_a_server_without_a_word(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    def silent(request: Shown) -> bool:
        time.sleep(3)
        return True

    with served(lab.given, silent) as url:
        said = refused(lab, capsys, lab.caches(url))
    assert f"{url}: is not used: " in said


def test_bytes_that_drip(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    with served(lab.given, sent(b"x", pause=0.1, length=bytes_of(lab).stat().st_size)) as url:
        said = refused(lab, capsys, lab.caches(url))
    assert "comes too slowly" in said


def test_a_listing_without_an_end(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    def endless(request: Shown) -> bool:
        return "/list/" in request.path and sent(b"x" * 65536)(_as_bytes(request))

    with served(lab.given, endless) as url:
        said = refused(lab, capsys, lab.caches(url))
    assert "does not end after" in said


def _as_bytes(request: Shown) -> Shown:
    request.path = "/bytes"
    return request


def test_parts_of_a_listing_without_an_end(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    def replayed(request: Shown) -> bool:
        path = request.path
        if "/list/" in path:
            request.path = f"{path.rpartition('/')[0]}/000000.jsonl"
        return False

    with served(lab.given, replayed) as url:
        said = refused(lab, capsys, lab.caches(url))
    assert "/list does not end" in said


def test_a_page_in_the_place_of_every_file_is_an_empty_remote(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    def friendly(request: Shown) -> bool:
        page = b"<html>There is nothing here. How are you?</html>"
        request.send_response(200)
        request.send_header("Content-Length", str(len(page)))
        request.end_headers()
        request.wfile.write(page)
        return True

    with served(lab.given, friendly) as url:
        assert taken(lab.caches(url), tiny_store.plan(lab.folder / "other")) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("target", ["file:///etc/hostname", "gopher://127.0.0.1/", "/%2e%2e/x", ""])
def test_redirections_lead_nowhere_else(
    lab: Lab, capsys: pytest.CaptureFixture[str], target: str
) -> None:
    def elsewhere(request: Shown) -> bool:
        if "/list/" in request.path:
            return False
        request.send_response(302)
        request.send_header("Location", target or request.path)  # to itself, without end
        request.send_header("Content-Length", "0")
        request.end_headers()
        return True

    with served(lab.given, elsewhere) as url:
        said = refused(lab, capsys, lab.caches(url))
    assert "is not taken: " in said


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
