"""One entry comes over the wire: in pieces that survive an interruption, and checked as a whole."""

import shutil
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pipeline.remotes.connection import CannotResume, Connection, Unreachable
from pipeline.remotes.signed import Record
from pipeline.store import entry, filesystem, publish, records
from pipeline.store.damaged import own_folder


class Refused(Exception):
    """What came is not what the record says: one sentence."""


class GivenUp(Exception):
    """The fetching of everything was given up."""


class Fetching:
    """The fetching of entries by one connection.

    `tell` is called with bytes that came (or, negative, that are fetched again). `stop` ends all.
    """

    def __init__(
        self, connection: Connection, tries: int, tell: Callable[[int], None], stop: threading.Event
    ) -> None:
        self._connection, self._tries = connection, tries
        self._tell, self._stop = tell, stop

    def fetch(self, record: Record, home: Path, recipe: Mapping[str, Any] | None) -> None:
        """Publish the entry of a record at its place in the store.

        Raises `Refused`, `Unreachable`, and `BadInput` where the store cannot be written to.
        """
        folder = home.parent / f"{entry.SCRATCH}{record.sha256[:16]}"
        partial = folder / home.name
        with filesystem.write_errors(home):
            own_folder(folder)
            self._fill(record, partial)
            with publish.place(home, recipe, record.seconds) as path:
                partial.replace(path)
                if records.digest(path) != record.sha256:
                    raise Refused("its bytes are not those of the record")
                try:
                    entry.check(path)
                except entry.Damaged as error:
                    raise Refused(error.what) from error
            shutil.rmtree(folder, ignore_errors=True)

    def _fill(self, record: Record, partial: Path) -> None:
        why = "it breaks off, and cannot go on"
        for _ in range(self._tries):
            if not entry.present(partial) or partial.stat().st_size > record.bytes:
                partial.unlink(missing_ok=True)
                partial.touch()
            offset = partial.stat().st_size
            self._tell(offset)
            try:
                if offset < record.bytes or not record.bytes:
                    self._append(record, partial, offset)
                return
            except FileNotFoundError as error:
                raise Refused("it is listed, and not there") from error
            except Unreachable as error:
                self._tell(-partial.stat().st_size)
                why = str(error)
            except CannotResume:
                self._tell(-offset)
                partial.unlink()
        raise Unreachable(why)

    def _append(self, record: Record, partial: Path, offset: int) -> None:
        with partial.open("ab") as file:
            for chunk in self._connection.stream(f"{record.path}.{record.sha256}", offset):
                if self._stop.is_set():
                    raise GivenUp
                offset += len(chunk)
                if offset > record.bytes:
                    partial.unlink()
                    raise Refused(f"it has more than the {record.bytes} bytes of its record")
                file.write(chunk)
                self._tell(len(chunk))
        if offset < record.bytes:
            raise Unreachable(f"{record.bytes - offset} of {record.bytes} bytes are missing")
