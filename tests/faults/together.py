"""Start many work trees on one empty store at the same time, and count who made what.

    python -m tests.faults.together --trees 8          the long form, many minutes
    python -m tests.faults.together --trees 3 --few    what tests/test_faults.py runs

Each tree is a tiny checkout with raw files of its own; as root, each is run by a user of its own in
a common group, if other users may run this Python. It is a fault if a run failed, an entry was made
twice, or two trees read different bytes. With --few only the stages that need no torch are run,
which takes about a minute.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.store import records
from tests.faults import workflow
from tests.faults.workflow import FEW
from tests.helpers.tiny_checkout import Checkout

USER, GROUP = 12000, 12000  # the first of the users, and their group; they need no names
_JOB = re.compile(r"^scannet (\w+ \S+): (made|found) in", re.M)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--trees", type=int, default=8)
    parser.add_argument("--few", action="store_true", help="only the stages that need no torch")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return 1 if run(Path(folder), given.trees, FEW if given.few else ()) else 0


def run(folder: Path, count: int, stages: Sequence[str] = ()) -> list[str]:
    """Let `count` trees in `folder` make the same at the same time; the faults.

    `stages` as for `workflow.command`.
    """
    as_users = others_may_run(folder)
    folder.chmod(0o755)
    shared = folder / "store"
    shared.mkdir()
    if as_users:
        os.chown(shared, -1, GROUP)
        shared.chmod(0o2770)
    trees = [Checkout(folder / f"tree{number}") for number in range(count)]
    command = workflow.command(trees[0], stages)
    begin = time.monotonic()
    runs = [
        start(tree, command, shared, USER + number if as_users else None)
        for number, tree in enumerate(trees)
    ]
    codes = [process.wait() for process in runs]
    outputs = [
        (tree.folder / "output.txt").read_text(errors="replace") + tree.logs() for tree in trees
    ]
    jobs = Counter(found for text in outputs for found in _JOB.findall(text))
    made = Counter({what: n for (what, how), n in jobs.items() if how == "made"})
    read = [{name: records.digest(path) for name, path in links(tree.folder)} for tree in trees]
    ended = zip(codes, outputs, strict=True)
    faults = [f"a run ended with {code}: {text[-2000:]}" for code, text in ended if code]
    faults += [f"{what} was made {n} times" for what, n in made.items() if n > 1]
    faults += ["two trees read different bytes"] * any(one != read[0] for one in read)
    owners = {path.stat().st_uid for path in shared.rglob("*@*") if path.is_file()}
    print(f"{count} trees of {count if as_users else 1} users, {time.monotonic() - begin:.0f} s")
    print(f"exit codes {codes}")
    print(
        f"{len(made)} entries made by {len(owners)} users, each {max(made.values())} times at most"
    )
    print(f"{len(read[0])} links read by each; faults: {faults or 'none'}")
    return faults


def others_may_run(folder: Path) -> bool:
    """Whether this process may become other users, who may run this Python and reach the folder."""
    if os.geteuid():
        return False
    folder.chmod(0o755)
    code = "import os, sys, numpy; os.listdir(sys.argv[1])"
    command = [sys.executable, "-c", code, str(folder)]
    try:
        subprocess.run(command, user=USER, group=GROUP, check=True, cwd=folder)
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


def start(
    tree: Checkout, command: list[str], shared: Path, user: int | None
) -> subprocess.Popen[bytes]:
    """A command in a tree, as a user if one is given."""
    own = {"SCAN_STORE": str(shared), "HOME": str(tree.folder), "PYTHONDONTWRITEBYTECODE": "1"}
    as_user: dict[str, Any] = {}
    if user is not None:
        as_user = {"user": user, "group": GROUP, "extra_groups": [], "umask": 0o002}
        own |= {"USER": f"user{user}", "LOGNAME": f"user{user}"}
        for path in [tree.folder, *tree.folder.rglob("*")]:
            os.chown(path, user, GROUP)
    with (tree.folder / "output.txt").open("wb") as file:
        return subprocess.Popen(
            command,
            cwd=tree.folder,
            env=os.environ | own,
            stdout=file,
            stderr=file,
            **as_user,
        )


def links(tree: Path) -> list[tuple[str, Path]]:
    """Every entry that a tree links to: (path of the link in the tree, path)."""
    found = sorted(path for path in (tree / "work").rglob("*") if path.is_symlink())
    return [(str(path.relative_to(tree)), path) for path in found if path.is_file()]


if __name__ == "__main__":
    sys.exit(main())
