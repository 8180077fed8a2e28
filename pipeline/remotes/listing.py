"""The listing of a folder of a remote: numbered parts, to which others are only ever added."""

from collections import defaultdict
from collections.abc import Iterator

from pipeline.remotes.connection import Connection, Forbidden, Limits, Unreachable
from pipeline.remotes.signed import Line, Record, decode


class Listing:
    """What a remote says that it has in one folder, `<dataset>/<stage>/<key>` or so.

    `lines` are the records of each path in their order, `next` the number of the part to come.
    """

    def __init__(
        self, connection: Connection, folder: str, key: bytes | None, limits: Limits
    ) -> None:
        """Raises `Unreachable`. A record counts if `key` signed it; all do where there is none."""
        self.folder, self.next, self._key = folder, 0, key
        self.forbidden = False  # whether a part was not shown, which is taken for the end
        self.lines: dict[str, list[Line]] = defaultdict(list)
        self.refused = 0  # records that the key has not signed, as far as they were asked for
        for part in self._parts(connection, limits):
            for line in part:
                self.lines[line.record.path].append(line)

    def first(self, path: str) -> Record | None:
        """The first record of a path that counts."""
        return self._found(self.lines.get(path, []))

    def last(self, path: str) -> Record | None:
        """The last record of a path that counts."""
        return self._found(self.lines.get(path, [])[::-1])

    def part(self, number: int) -> str:
        """The path of a part."""
        return f"{self.folder}/list/{number:06}.jsonl"

    def _found(self, lines: list[Line]) -> Record | None:
        for line in lines:
            if self._key is None or line.is_signed(self._key):
                return line.record
            self.refused += 1
        return None

    def _parts(self, connection: Connection, limits: Limits) -> Iterator[list[Line]]:
        left = limits.listing
        while (content := self._read(connection, limits.part)) is not None:
            left -= len(content)
            if left < 0 or self.next >= limits.parts:
                raise Unreachable(f"{self.folder}/list does not end")
            lines = [line for line in map(decode, content.splitlines()) if line]
            own = [line for line in lines if line.record.path.startswith(f"{self.folder}/")]
            if not own:  # such as a page that says, with a friendly 200, that there is nothing
                return
            self.next += 1
            yield own

    def _read(self, connection: Connection, most: int) -> bytes | None:
        try:
            return connection.read(self.part(self.next), most)
        except Forbidden:
            self.forbidden = True
            return None
