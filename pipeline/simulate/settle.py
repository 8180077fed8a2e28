"""Bring the files of a simulated scan to their places, which other scans share.

This is apart from what makes the files, and in no key: it changes none of them.
"""

import os
import shutil
from pathlib import Path

from pipeline.simulate.s3dis_text import ANGLES, add_angles, read_angles


def settle(partial: Path, raw: Path) -> None:
    """Move all files below `partial` to the same places below `raw`, one after another.

    Those that are there are replaced, but files of angles, of which all rooms of an area share
    one: that one gains lines. Other scans may be settled and read at the same time.
    """
    for path in sorted(path for path in partial.rglob("*") if path.is_file()):
        home = raw / path.relative_to(partial)
        home.parent.mkdir(parents=True, exist_ok=True)
        if path.name == ANGLES.format(home.parent.name):
            add_angles(home.parent, read_angles(path))
        else:
            os.replace(path, home)
    shutil.rmtree(partial)
