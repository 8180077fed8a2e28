"""Notes in the place of what could not be made, in a run that goes on with everything else.

Snakemake takes a file in the place of a link for a result, so what does not need it is made. A note
holds for one run: the next one removes it before it plans.
"""

import json
import stat
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pipeline.errors import BadInput
from pipeline.store import entry, filesystem

_MOST = 4096  # bytes; a larger file is a result
_LONGEST = 1000  # letters of a sentence, of which JSON may need several bytes for each
_NAMED = 10  # scans


class Note(NamedTuple):
    """The first failure on the way to what is missing."""

    failed: str  # the stage
    scan: str
    sentence: str


class NotMade(BadInput):
    """Something is read that could not be made in this run."""

    def __init__(self, where: str, notes: Sequence[Note]) -> None:
        self.first, scans = notes[0], [*dict.fromkeys(note.scan for note in notes)]
        names = ", ".join(scans[:_NAMED])
        names += f" and {len(scans) - _NAMED} more" if len(scans) > _NAMED else ""
        first = f"{self.first.failed} of {self.first.scan}: {self.first.sentence.rstrip('.')}"
        what = f"cannot be made without {names}, which failed ({first})"
        super().__init__(where, what, "correct these scans or leave them out, and run again")


def write(path: Path, note: Note) -> None:
    """Write why there is no `path` in its place, as a whole and never into what a link leads to.

    Raises `BadInput` where the work tree cannot be written to, or its disk is full.
    """
    content = {"not made": note._replace(sentence=note.sentence[:_LONGEST])._asdict()}
    with filesystem.write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f"{entry.SCRATCH}{uuid.uuid4().hex}")
        try:
            new.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
            filesystem.reset_time(new)
            new.replace(path)
        finally:
            new.unlink(missing_ok=True)


def read(path: Path) -> Note | None:
    """The note at a path; None where something else is there, or nothing."""
    try:
        found = path.lstat()
        if stat.S_ISREG(found.st_mode) and 0 < found.st_size <= _MOST:
            return Note(**json.loads(path.read_bytes())["not made"])
    except (OSError, ValueError, LookupError, TypeError):  # a small cloud, a file that is removed
        pass
    return None


def find(folder: Path) -> Iterator[tuple[Path, Note]]:
    """The notes in a folder. Raises `BadInput` if it may not be listed."""
    with filesystem.scan(folder) as found:
        paths = [folder / item.name for item in found if item.is_file(follow_symlinks=False)]
    for path in sorted(paths):
        note = read(path)
        if note is not None:
            yield path, note
