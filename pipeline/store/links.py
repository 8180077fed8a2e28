"""Links of a work tree to the entries of a store."""

import os
import uuid
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from pipeline.store import entry, filesystem

PAGE = ("index.html", "run.json")  # the files of a page


def adopt(planned: Iterable[tuple[Path, Path]]) -> None:
    """Make the links of a work tree agree with the store; `planned` are pairs (link, home).

    A planned entry that is present is linked, so it will not be made again; a link whose entry is
    absent, or that leads to another entry, is removed, so it will be.
    """
    by_folder: dict[Path, list[tuple[Path, Path]]] = defaultdict(list)
    for link, home in planned:
        by_folder[home.parent].append((link, home))
    for folder, pairs in by_folder.items():
        with filesystem.scan(folder) as found:  # one listing instead of one look for each entry
            present = {item.name for item in found if item.is_file(follow_symlinks=False)}
        for link, home in pairs:
            if home.name in present:
                point(link, home)
            elif link.is_symlink():
                link.unlink()


def point(link: Path, home: Path) -> None:
    """Make `link` a link to `home`, with no time of its own.

    Raises `BadInput` where the work tree cannot be written to, or its disk is full.
    """
    home = home.absolute()
    with filesystem.write_errors(link):
        if not (link.is_symlink() and os.readlink(link) == str(home)):
            link.parent.mkdir(parents=True, exist_ok=True)
            new = link.with_name(f"{entry.SCRATCH}{uuid.uuid4().hex}")
            try:
                new.symlink_to(home)
                new.replace(link)  # atomic, since another process may make the same link
            except OSError:
                new.unlink(missing_ok=True)
                raise
        filesystem.reset_time(link)


def show_latest(results: Path) -> None:
    """Let `latest` beside a folder of results lead to it; remove it while there is no such folder.

    Raises as `point` does.
    """
    latest = results.parent / "latest"
    if results.is_dir():
        point(latest, results)
    elif latest.is_symlink():
        latest.unlink()


def show_page(results: Path, page: Path) -> None:
    """Let the links in a folder of results lead to the files of its `page`, if that is made.

    Raises as `point` does.
    """
    for name in PAGE:
        link, home = results / name, page.with_name(name)
        if home.is_file() and results.is_dir():
            point(link, home)
        elif link.is_symlink():
            link.unlink()
