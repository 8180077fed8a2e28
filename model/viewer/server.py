"""The viewer as a local server: the page, and answers to words in bytes. It reads no file."""

import ipaddress
import socket
import struct
from functools import lru_cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from urllib.parse import parse_qs, urlsplit

import numpy as np

from model.viewer.embedded import quantised
from model.viewer.layers import MOST, View
from model.viewer.pack import pack
from model.viewer.page import render
from pipeline.errors import BadInput

LONGEST = 200  # characters of a query
MAX_PATH = 4000  # characters of what is asked for: LONGEST in UTF-8, each byte as %xx
_KEPT = 256  # answers
_SECONDS = 20  # in which a request has to arrive


class Refused(Exception):
    """A request that is answered by a sentence."""

    def __init__(self, status: HTTPStatus, sentence: str) -> None:
        super().__init__(sentence)
        self.status, self.sentence = status, sentence


class Answers:
    """What the networks of a view answer to words."""

    def __init__(self, view: View) -> None:
        self._networks = view.networks
        self._lock = Lock()  # one text tower at a time
        self._kept = lru_cache(maxsize=_KEPT)(self._answer)

    def answer(self, query: str) -> bytes:
        """How well words fit, for `network=<number>&words=<words>`.

        The cosines that 0 and 255 stand for, f32 each, and a byte for each of the m voxels, in the
        order of `Embedded`, little-endian. Raises `Refused`.
        """
        try:
            fields = parse_qs(query, strict_parsing=True, max_num_fields=2, errors="strict")
        except ValueError:
            fields = {}
        number, words = ("".join(fields.get(name, ())) for name in ("network", "words"))
        if not (number.isascii() and number.isdigit() and len(number) < 4 and words.strip()):
            raise Refused(HTTPStatus.BAD_REQUEST, "Ask by ?network=NUMBER&words=WORDS.")
        if len(words) > LONGEST:
            raise Refused(HTTPStatus.BAD_REQUEST, f"Ask in at most {LONGEST} characters.")
        if int(number) >= len(self._networks) or self._networks[int(number)].embed is None:
            sentence = "There is no network of this number that answers other words."
            raise Refused(HTTPStatus.NOT_FOUND, sentence)
        with self._lock:
            return self._kept(int(number), words.strip())

    def _answer(self, number: int, words: str) -> bytes:
        network = self._networks[number]
        assert network.embed is not None
        cosine = network.embedded.cosine(network.embed([[words]]).astype(np.float32))[:, 0]
        heat, low, high = quantised(cosine)
        return struct.pack("<2f", low, high) + heat.tobytes()


def make_server(view: View, host: str, port: int, most: int = MOST) -> ThreadingHTTPServer:
    """A server of `view` that listens at `host` and `port` (0: any free one).

    Raises `BadInput` where it cannot listen.
    """
    page, answers = render(pack(view, most, server=True)).encode(), Answers(view)

    class Handler(BaseHTTPRequestHandler):
        """GET of the page, and of answers; nothing else."""

        timeout = _SECONDS

        def do_GET(self) -> None:
            try:
                kind, body = self._found()
                status = HTTPStatus.OK
            except Refused as error:
                kind, body, status = "text/plain; charset=utf-8", str(error).encode(), error.status
            self.send_response(status)
            for name, value in _headers(kind, len(body)).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def _found(self) -> tuple[str, bytes]:
            if not is_own(self.headers.get("Host", ""), host):
                sentence = "This name is not one of this server; use its address."
                raise Refused(HTTPStatus.MISDIRECTED_REQUEST, sentence)
            if len(self.path) > MAX_PATH:
                raise Refused(HTTPStatus.REQUEST_URI_TOO_LONG, "Ask in fewer words.")
            asked = urlsplit(self.path)
            if asked.path == "/":
                return "text/html; charset=utf-8", page
            if asked.path == "/query":
                return "application/octet-stream", answers.answer(asked.query)
            raise Refused(HTTPStatus.NOT_FOUND, "There is only the page / and /query.")

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing of each request."""

    class Server(ThreadingHTTPServer):
        """A thread for each request."""

        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

    try:
        return Server((host, port), Handler)
    except (OSError, OverflowError) as error:
        what = f"cannot be listened at ({getattr(error, 'strerror', None) or error})"
        raise BadInput(f"{host}:{port}", what, "name another --host or --port") from error


def is_own(header: str, host: str) -> bool:
    """Whether the `Host` of a request is this server: an address, `localhost` or the given name.

    Other names are refused, since a page elsewhere could let its own name lead here and then read
    what this server says (DNS rebinding).
    """
    try:
        name = urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return False
    if name in ("localhost", host.lower()):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _headers(kind: str, size: int) -> dict[str, str]:
    return {
        "Content-Type": kind,
        "Content-Length": str(size),
        "Cache-Control": "no-store",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }
