"""A store with every entry that a checkout plans, each a stand-in of one byte.

Snakemake plans by which entries are present, whatever they contain.
"""

import subprocess
import sys
from pathlib import Path

_FILL = """
import sys
from pathlib import Path
from pipeline.plan import ablation, config
from pipeline.store import filesystem
plan = config.plan(sys.argv[1])
rows = ablation.rows(plan) if "rows" in sys.argv else {}
homes = {each.home(*entry) for each in (plan, *rows.values()) for entry in each.entries}
for home in homes:
    home.parent.mkdir(parents=True, exist_ok=True)
    home.write_bytes(b"x")
    filesystem.reset_time(home)
folders = [plan.results, *([ablation.results(rows)] if rows else [])]
Path("benchmarks/scannet/report").mkdir(parents=True, exist_ok=True)
Path("benchmarks/scannet/report/report.tsv").write_text("x")
for folder in folders:
    folder.mkdir(parents=True, exist_ok=True)
    for suffix in ("txt", "json", "csv"):
        (folder / f"table.{suffix}").write_text("x")
pages = [plan.page(plan.results), *([next(iter(rows.values())).page(folders[1])] if rows else [])]
for page in pages:
    page.parent.mkdir(parents=True, exist_ok=True)
    for name in ("index.html", "run.json"):
        page.with_name(name).write_text("x")
print(len(homes))
"""


def fill(checkout: Path, dataset: str = "scannet", rows: bool = False) -> int:
    """Write a stand-in for every entry, of the rows of an ablation too; the number of entries."""
    command = [sys.executable, "-c", _FILL, dataset, *(["rows"] if rows else [])]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=True)
    return int(done.stdout)
