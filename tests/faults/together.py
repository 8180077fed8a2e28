"""Start many work trees cold on one store at once, and look at who made what.

    python tests/faults/together.py --trees 8

Each tree is a tiny checkout with raw files of its own; as root, each is a user of its own and they
share a group, as far as others may run this Python. Ends with 1 where a run failed, an entry was
made twice, or two trees read other bytes.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from pipeline.store import records  # noqa: E402
from tests.helpers.tiny_checkout import Checkout  # noqa: E402

USER, GROUP = 12000, 12000  # the first of the users, and their group; nobody need know them
_DID = re.compile(r"^scannet (\w+ \S+): (made|found) in", re.M)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--trees", type=int, default=8)
    count = parser.parse_args().trees
    with tempfile.TemporaryDirectory() as folder:
        return run(Path(folder), count, others_may_run(folder))


def run(folder: Path, count: int, as_users: bool) -> int:
    """Let `count` trees make everything at once; 1 where they got in each other's way."""
    folder.chmod(0o755)
    shared = folder / "store"
    shared.mkdir()
    if as_users:
        os.chown(shared, -1, GROUP)
        shared.chmod(0o2770)
    trees = [Checkout(folder / f"tree{number}") for number in range(count)]
    begin = time.monotonic()
    runs = [
        start(tree, shared, USER + number if as_users else None)
        for number, tree in enumerate(trees)
    ]
    codes = [process.wait() for process in runs]
    said = [(tree.folder / "said.txt").read_text(errors="replace") for tree in trees]
    did = Counter(found for text in said for found in _DID.findall(text))
    made = Counter({what: n for (what, how), n in did.items() if how == "made"})
    read = [{name: records.digest(path) for name, path in links(tree.folder)} for tree in trees]
    ended = zip(codes, said, strict=True)
    faults = [f"a run ended with {code}: {text[-2000:]}" for code, text in ended if code]
    faults += [f"{what} was made {n} times" for what, n in made.items() if n > 1]
    faults += ["two trees read other bytes"] * any(one != read[0] for one in read)
    owners = {path.stat().st_uid for path in shared.rglob("*@*") if path.is_file()}
    print(f"{count} trees of {count if as_users else 1} users, {time.monotonic() - begin:.0f} s")
    print(f"exit codes {codes}")
    print(
        f"{len(made)} entries made by {len(owners)} users, each {max(made.values())} times at most"
    )
    print(f"{len(read[0])} links read by each; faults: {faults or 'none'}")
    return 1 if faults else 0


def others_may_run(folder: str) -> bool:
    """Whether this process may be other users, and these may run this Python."""
    if os.geteuid():
        return False
    os.chmod(folder, 0o755)
    try:
        subprocess.run(
            [sys.executable, "-c", "import numpy"], user=USER, group=GROUP, check=True, cwd=folder
        )
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


def start(tree: Checkout, shared: Path, user: int | None) -> subprocess.Popen[bytes]:
    """The plain command in a tree, as a user if one is given."""
    own = {"SCAN_STORE": str(shared), "HOME": str(tree.folder), "PYTHONDONTWRITEBYTECODE": "1"}
    as_user: dict[str, Any] = {}
    if user is not None:
        as_user = {"user": user, "group": GROUP, "extra_groups": [], "umask": 0o002}
        own |= {"USER": f"user{user}", "LOGNAME": f"user{user}"}
        for path in [tree.folder, *tree.folder.rglob("*")]:
            os.chown(path, user, GROUP)
    with (tree.folder / "said.txt").open("wb") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "snakemake", "train_scannet", "--cores", "2"],
            cwd=tree.folder,
            env=os.environ | own,
            stdout=file,
            stderr=file,
            **as_user,
        )


def links(tree: Path) -> list[tuple[str, Path]]:
    """Every entry that a tree links to, by the name of its link."""
    found = sorted(path for path in (tree / "work").rglob("*") if path.is_symlink())
    return [(str(path.relative_to(tree)), path) for path in found if path.is_file()]


if __name__ == "__main__":
    sys.exit(main())
