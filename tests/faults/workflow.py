"""What the fault tests run: the whole workflow of a tiny checkout, or its first stages alone."""

import subprocess
import sys
from collections.abc import Sequence

from tests.helpers.tiny_checkout import SCANS, Checkout

FEW = ("projections", "tags")  # with all upstream of them the stages that need no torch
_LINKS = """
import sys
from pipeline.plan import config
plan = config.plan(sys.argv[1])
for stage in sys.argv[2].split(","):
    for scan in sys.argv[3].split(","):
        print(plan.link(stage, scan))
"""


def command(tree: Checkout, stages: Sequence[str]) -> list[str]:
    """The command that makes some stages of all scans in a checkout; everything if none is given.

    Each stage must be one of those that work on one scan at a time.
    """
    targets = [tree.target]
    if stages:
        asked = [tree.dataset, ",".join(stages), ",".join(SCANS)]
        planned = [sys.executable, "-c", _LINKS, *asked]
        done = subprocess.run(planned, cwd=tree.folder, capture_output=True, text=True, check=True)
        targets = done.stdout.split()
    return [sys.executable, "-m", "snakemake", *targets, "--cores", "2"]
