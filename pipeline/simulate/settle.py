"""Move the files of a simulated scan into folders that scans share.

This module is separate from the simulation, and in no key, because it changes no file.
"""

import os
import shutil
from pathlib import Path

from pipeline.simulate.s3dis_text import ANGLES, add_angles, read_angles


def settle(partial: Path, raw: Path) -> None:
    """Move all files below `partial` to the same places below `raw`, one after another.

    Existing files are replaced, except files of angles, which all rooms of an area share: these
    gain lines. Other scans may be moved and read at the same time.
    """
    for path in sorted(path for path in partial.rglob("*") if path.is_file()):
        home = raw / path.relative_to(partial)
        home.parent.mkdir(parents=True, exist_ok=True)
        if path.name == ANGLES.format(home.parent.name):
            add_angles(home.parent, read_angles(path))
        else:
            os.replace(path, home)
    shutil.rmtree(partial)
