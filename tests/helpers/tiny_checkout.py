"""A copy of the checkout with a tiny ScanNet download, on which the real workflow runs in a minute.

The rooms are analytic, the CLIP has random weights and the network learns for a few steps: what is
looked at is what runs and what comes out whole, not how good it is.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import yaml

from tests.helpers import tiny_clip
from tests.helpers.analytic import write_analytic_scan

ROOT = Path(__file__).parents[2]
PARTS = ("Snakefile", "workflow", "pipeline", "model", "envs", "data_manifest")
SCANS = {"scene0000_00": "train", "scene0001_00": "train", "scene0002_00": "val"}

# Rows that share everything but networks, even these, or pseudo-labels with each other.
ABLATION = {
    "without ESS": {"train": {"variants": ["esgs"]}},
    "no text loss": {"train": {"loss": {"text": 0}}},
    "sure labels": {"pseudo_labels": {"keep_share": 0.5}},
    "sure labels, longer": {
        "pseudo_labels": {"keep_share": 0.5},
        "train": {"optimiser": {"steps": 13}},
    },
}


class Checkout:
    """A checkout whose ScanNet is `SCANS`; `snakemake` runs in it as a user would."""

    dataset = "scannet"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for part in PARTS:
            source = ROOT / part
            if source.is_dir():
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(source, folder / part, ignore=ignored)
            else:
                folder.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, folder / part)
        self.raw = folder / "raw"
        for number, scan in enumerate(SCANS):
            write_analytic_scan(self.raw / "scans", scan, lost=[number], crlf=number == 1)
        tiny_clip.write(folder / "clip")
        rows = "".join(f"{scan},{split}\n" for scan, split in SCANS.items())
        (folder / "scans.csv").write_text("scan,split\n" + rows)
        self.config = folder / "workflow" / "config.yaml"
        config = yaml.safe_load(self.config.read_text())
        config["scannet"] = {
            "scans": "scans.csv",
            "raw": "raw",
            "threads": 1,
            "frames": {"every": 1},
            "voxels": {"voxel_size": 0.1},
            "projections": {"border": 2},
            "embeddings": {"model": "local-dir:clip", "recipe": "plain", "batch": 8},
            "train": {
                "variants": ["esgs", "ess_esgs"],
                "network": {"planes": [8] * 8, "stem_width": 8},
                "optimiser": {"steps": 12, "batch": 2},
                "adapter": {"epochs": 3, "points": 500},
            },
            "ablation": ABLATION,
        }
        self.config.write_text(yaml.safe_dump(config, sort_keys=False))

    def read_by_this_code(self) -> None:
        """Let code that runs from here, and not from the copy, find the tower."""
        tower = f"local-dir:{self.folder / 'clip'}"
        self.config.write_text(self.config.read_text().replace("local-dir:clip", tower))

    @property
    def target(self) -> str:
        """What is asked for."""
        return f"train_{self.dataset}"

    def snakemake(
        self, *arguments: str, cores: int = 2, targets: Iterable[str] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Run `snakemake <target>` with more targets and arguments."""
        wanted = [self.target, *targets]
        command = [sys.executable, "-m", "snakemake", *wanted, "--cores", str(cores)]
        return subprocess.run(
            [*command, *arguments], cwd=self.folder, capture_output=True, text=True
        )

    def run(self, *arguments: str) -> None:
        """Run all that is missing; fails with the output where a job does."""
        done = self.snakemake(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr

    def logs(self) -> str:
        """What all jobs have said."""
        return "\n".join(p.read_text() for p in sorted((self.folder / "logs").rglob("*.log")))

    def stale(self, *arguments: str) -> set[str]:
        """The stages, and the target that writes tables, that `snakemake -n` would run."""
        done = self.snakemake("-n", *arguments)
        said = done.stdout + done.stderr
        assert done.returncode == 0, said
        table = said.partition("Job stats:")[2].partition("Reasons:")[0].partition("\n\n")[0]
        stage = r"([a-z_]+?(?:_round\d)?)(?:_\d+)?"  # jobs of scans have numbers
        jobs = re.findall(rf"^(?:{self.dataset}_)?{stage}\s+\d+$", table, re.M)
        return set(jobs) - {"total"}

    def entries(self) -> dict[str, bytes]:
        """Every entry of the store by its path."""
        store = self.folder / "store"
        return {
            str(path.relative_to(store)): path.read_bytes()
            for path in store.rglob("*")
            if path.is_file() and "@" in path.name and not path.parent.name.startswith(".")
        }
