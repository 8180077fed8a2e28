"""Bytes from a remote and to it, within limits of size and time whatever it answers."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import obstore
from obstore import exceptions, store

from pipeline.remotes.described import Remote
from pipeline.store import entry


@dataclass(frozen=True)
class Limits:
    """What is waited for and accepted: times in seconds, sizes in bytes."""

    connect: float = 10.0
    silence: float = 30.0  # without a byte
    patience: float = 30.0  # after which `slowest` counts
    slowest: float = 10_000.0  # bytes a second, on average
    tries: int = 3  # to get an entry, each going on where the last one ended
    at_once: int = 8  # entries
    part: int = 8 << 20  # of one part of a listing
    listing: int = 64 << 20  # of all its parts
    parts: int = 4096


class Unreachable(Exception):
    """A remote does not answer, answers too slowly or too much, or breaks off: one sentence."""


class Forbidden(Unreachable):
    """A remote does not show something, which a bucket also says of what it has not."""


class CannotResume(Exception):
    """The server gives whole files only."""


class Connection:
    """The files of a remote, by their paths in it."""

    def __init__(self, remote: Remote, limits: Limits, to_give: bool = False) -> None:
        self._folder = None if remote.scheme else Path(remote.url).absolute()
        self._limits = limits
        with _sentences():
            if self._folder:
                self._store: Any = store.LocalStore(self._folder, mkdir=to_give)
            else:
                self._store = store.from_url(remote.url, **_options(remote, limits))

    def read(self, path: str, most: int) -> bytes | None:
        """The bytes of a file; None where there is none. Raises `Unreachable`."""
        found = bytearray()
        try:
            for chunk in self.stream(path):
                found += chunk
                if len(found) > most:
                    raise Unreachable(f"{path} does not end after {most} bytes")
        except FileNotFoundError:
            return None
        return bytes(found)

    def stream(self, path: str, offset: int = 0) -> Iterator[bytes]:
        """The bytes of a file from `offset` on, in pieces.

        Raises FileNotFoundError, `Unreachable`, and `CannotResume` where there is an offset.
        """
        if self._folder and not entry.present(self._folder / path):
            raise FileNotFoundError(path)  # a pipe would be waited for
        begin, count = time.monotonic(), 0
        options: Any = {"range": {"offset": offset}} if offset else {}
        least = 1 << 20 if self._folder else 1  # of a network each byte counts, to see if it drips
        with _sentences():
            for chunk in self._open(path, options).stream(min_chunk_size=least):
                count, elapsed = count + len(chunk), time.monotonic() - begin
                if elapsed > max(self._limits.patience, count / self._limits.slowest):
                    raise Unreachable(f"{path} comes too slowly ({count / elapsed:.0f} bytes/s)")
                yield bytes(chunk)

    def _open(self, path: str, options: Any) -> Any:
        """A file of which the headers have come, within a time even if they come byte by byte."""
        most = self._limits.silence + self._limits.patience

        async def opened() -> Any:
            return await asyncio.wait_for(
                obstore.get_async(self._store, path, options=options), most
            )

        try:
            return asyncio.run(opened())
        except TimeoutError:
            raise Unreachable(f"{path} is not answered within {most:g} s") from None

    def size(self, path: str) -> int | None:
        """The bytes of a file; None where there is none. Raises `Unreachable`."""
        try:
            with _sentences():
                return int(obstore.head(self._store, path)["size"])
        except FileNotFoundError:
            return None

    def put(self, path: str, file: Path) -> None:
        """Put a file there, in whose name its bytes are. Raises `Unreachable`."""
        with _sentences():
            obstore.put(self._store, path, file)

    def put_new(self, path: str, content: bytes) -> bool:
        """Put a small file there; False where one is. Raises `Unreachable`."""
        try:
            with _sentences():
                obstore.put(self._store, path, content, mode="create")
        except FileExistsError:
            return False
        return True


def _options(remote: Remote, limits: Limits) -> dict[str, Any]:
    seconds = {"connect_timeout": limits.connect, "read_timeout": limits.silence}
    client: dict[str, Any] = {name: timedelta(seconds=each) for name, each in seconds.items()}
    client["timeout"] = timedelta(days=7)  # of one file, which `slowest` bounds
    plain = remote.scheme == "http" or (remote.endpoint or "").startswith("http://")
    retry = {"max_retries": 2, "retry_timeout": timedelta(seconds=2 * limits.connect)}
    found: dict[str, Any] = {
        "client_options": client | ({"allow_http": True} if plain else {}),
        "retry_config": retry,
    }
    if remote.scheme == "s3":
        asked = {"endpoint": remote.endpoint, "region": remote.region}
        found |= {name: each for name, each in asked.items() if each}
    if remote.anonymous and remote.scheme in ("s3", "gs"):
        found["skip_signature"] = True
    return found


@contextmanager
def _sentences() -> Iterator[None]:
    try:
        yield
    except exceptions.NotSupportedError as error:
        raise CannotResume from error
    except exceptions.AlreadyExistsError as error:
        raise FileExistsError from error
    except exceptions.NotFoundError as error:
        raise FileNotFoundError from error
    except (FileNotFoundError, FileExistsError, Unreachable):
        raise
    except (exceptions.BaseError, ValueError, OSError) as error:
        first = (str(error).splitlines() or [""])[0][:300]
        said = "".join(c for c in first if c.isprintable())
        denied = isinstance(
            error, exceptions.PermissionDeniedError | exceptions.UnauthenticatedError
        )
        raise (Forbidden if denied else Unreachable)(said) from error
