"""Remotes of a tiny store: one that is given entries, and servers that show it, honest or not."""

import http.server
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from pipeline.plan.plan import Plan
from pipeline.remotes.caches import Caches
from pipeline.remotes.connection import Limits
from pipeline.remotes.described import Remote
from pipeline.remotes.giving import Giver, reachable
from pipeline.remotes.keys import load, make, public
from tests.helpers import tiny_store

SHORT = Limits(
    connect=2, silence=0.5, patience=0.5, tries=2, at_once=4, part=1 << 16, listing=1 << 18, parts=8
)


class Shown(http.server.SimpleHTTPRequestHandler):
    """A plain web server for a folder; `answer` may answer a request in its place."""

    def __init__(self, *args, answer=None, **kwargs) -> None:  # type: ignore[no-untyped-def]
        self.answer = answer
        super().__init__(*args, **kwargs)

    def do_GET(self) -> None:
        """Answer."""
        if self.answer is None or not self.answer(self):
            super().do_GET()

    def log_message(self, *args: object) -> None:
        """Say nothing."""


Answer = Callable[[Shown], bool]


@contextmanager
def served(folder: Path, answer: Answer | None = None) -> Iterator[str]:
    """The URL of a folder on a web server."""
    handler = partial(Shown, directory=str(folder), answer=answer)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class Lab:
    """A store with all entries of a tiny plan, and a folder that they were given to, signed."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.plan = folder, tiny_store.plan(folder / "store")
        for number, what in enumerate(self.plan.entries):
            tiny_store.make(self.plan, what, number)
        make(folder / "key.pem")
        self.private = load(folder / "key.pem")
        self.public_key = public(self.private)
        self.given = folder / "given"
        self.push(Remote(str(self.given), self.public_key))

    def push(self, remote: Remote) -> int:
        """Give all entries to a remote."""
        giver = Giver(remote, self.private if remote.public_key else None, SHORT)
        giver.give_digests(self.plan)
        return giver.give(giver.absent(reachable([self.plan])))

    def elsewhere(self, name: str = "other") -> Plan:
        """The same plan on an empty store."""
        return tiny_store.plan(self.folder / name)

    def caches(self, url: str, trusted: bool = False) -> Caches:
        """A remote, believed by its key or on trust."""
        return Caches([Remote(url, None if trusted else self.public_key)], SHORT)
