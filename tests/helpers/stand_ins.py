"""A store with every entry that a checkout plans, each a stand-in of one byte.

Snakemake plans by which entries are present, whatever they contain.
"""

import subprocess
import sys
from pathlib import Path

_FILL = """
import sys
from pathlib import Path
from pipeline.plan import config
from pipeline.store import filesystem
plan = config.plan(sys.argv[1])
for entry in plan.entries:
    home = plan.home(*entry)
    home.parent.mkdir(parents=True, exist_ok=True)
    home.write_bytes(b"x")
    filesystem.reset_time(home)
plan.results.mkdir(parents=True, exist_ok=True)
Path("benchmarks/scannet/report").mkdir(parents=True, exist_ok=True)
Path("benchmarks/scannet/report/report.tsv").write_text("x")
for suffix in ("txt", "json", "csv"):
    (plan.results / f"table.{suffix}").write_text("x")
print(len(plan.entries))
"""


def fill(checkout: Path, dataset: str = "scannet") -> int:
    """Write a stand-in for every entry; the number of entries."""
    command = [sys.executable, "-c", _FILL, dataset]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=True)
    return int(done.stdout)
