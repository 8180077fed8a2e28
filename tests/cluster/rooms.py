"""A clone of the checkout with a smaller demo, to try a cluster with."""

import csv
import subprocess
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]


def clone(folder: Path, train: int, val: int, steps: int) -> None:
    """Clone the checkout, with a config over its own: fewer rooms and steps."""
    subprocess.run(["git", "clone", "-q", str(ROOT), str(folder)], check=True)
    with (folder / "data_manifest/demo/scans.csv").open(encoding="utf-8") as file:
        rows = [*csv.DictReader(file)]
    chosen = [row for row in rows if row["split"] == "train"][:train]
    chosen += [row for row in rows if row["split"] == "val"][:val]
    with (folder / "rooms.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(chosen)
    changes = {"demo": {"scans": "rooms.csv", "train": {"optimiser": {"steps": steps}}}}
    (folder / "mine.yaml").write_text(yaml.safe_dump(changes), encoding="utf-8")
