"""Remotes that lie, break off or do not end: each costs a sentence, and the store has nothing torn.

What the web server answers in the place of the honest file is given by a function for each case.
"""

import time
from collections.abc import Callable
from contextlib import suppress

import pytest

from tests.helpers import tiny_store
from tests.helpers.forged_remotes import (
    bytes_of,
    refused,
    taken,
)
from tests.helpers.tiny_remotes import Lab, Shown, served


def sent(*pieces: bytes, pause: float = 0.0, length: int = 1 << 40) -> Callable[[Shown], bool]:
    """Answers a request for bytes of an entry with pieces, over and over."""

    def answer(request: Shown) -> bool:
        if "/list/" in request.path:
            return False
        request.send_response(200)
        request.send_header("Content-Length", str(length))
        request.end_headers()
        left = length
        with suppress(OSError):  # the other one has had enough
            while left > 0:
                for piece in pieces:
                    request.wfile.write(piece[:left])
                    left -= len(piece)
                    time.sleep(pause)
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


def test_headers_that_drip(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    def drip(request: Shown) -> bool:
        with suppress(OSError):
            for letter in b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1000:
                request.wfile.write(bytes([letter]))
                time.sleep(0.05)
        return True

    with served(lab.given, drip) as url:
        said = refused(lab, capsys, lab.caches(url))
    assert "is not answered within 1 s" in said


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
