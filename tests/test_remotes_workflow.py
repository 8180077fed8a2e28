"""A colleague without raw files runs what another one has given to a web server's folder."""

import copy
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.helpers.tiny_checkout import PARTS, Checkout
from tests.helpers.tiny_remotes import served
from tests.test_moved_store import Projections


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Projections:
    """A checkout with scans and what is made of them without a network."""
    tree = Projections(tmp_path_factory.mktemp("checkout") / "tree")
    done = tree.snakemake(targets=["scannet_labels", "scannet_tags"])
    assert done.returncode == 0, done.stdout + done.stderr
    return tree


def pipeline(tree: Checkout, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipeline", "store", *arguments]
    return subprocess.run(command, cwd=tree.folder, capture_output=True, text=True)


def describe(tree: Checkout, *remotes: dict[str, object]) -> None:
    config = yaml.safe_load(tree.config.read_text())
    tree.config.write_text(yaml.safe_dump(config | {"remotes": [*remotes]}, sort_keys=False))


def test_no_job_is_left_for_a_colleague_without_raw_files(lab: Projections) -> None:
    made = pipeline(lab, "key", "key.pem")
    key = made.stdout.split()[1]
    describe(lab, {"url": "given", "public_key": key})
    asked = pipeline(lab, "push", "scannet", "--key", "key.pem")
    count = len(lab.entries())
    assert f"{count} of {count} entries are to be given to given: " in asked.stdout
    assert "Rights: the terms of ScanNet allow research that is not commercial" in asked.stdout
    assert asked.returncode == 1
    assert "say --yes if they allow it" in asked.stderr
    assert not list((lab.folder / "given").rglob("*.zip*"))
    given = pipeline(lab, "push", "scannet", "--key", "key.pem", "--yes")
    assert f"{count} entries were given" in given.stdout, given.stderr

    colleague = copy.copy(lab)
    colleague.folder = lab.folder.with_name("colleague")
    colleague.folder.mkdir()
    for part in [*PARTS, "clip", "scans.csv"]:
        source = lab.folder / part
        (shutil.copytree if source.is_dir() else shutil.copy)(source, colleague.folder / part)
    colleague.config = colleague.folder / "workflow/config.yaml"
    with served(lab.folder / "given") as url:
        describe(colleague, {"url": url, "public_key": key})
        dry = colleague.snakemake("-n")
        said = dry.stdout + dry.stderr
        assert re.search(rf"would fetch 3 entries \([\d.]+ \w+\) from {url}", said), said
        assert not colleague.entries()
        assert not [*(colleague.folder / "work").rglob("*.zip")]
        done = colleague.snakemake()
        said = done.stdout + done.stderr
        assert done.returncode == 0, said
        assert "made in" not in said
        assert re.search(r"fetched 3 of 3 entries, .* MB/s", said), said
        pulled = pipeline(colleague, "pull", "scannet", "--all")
        assert pulled.returncode == 0, pulled.stderr
    found = colleague.entries()
    assert found == lab.entries()
    links = [*(colleague.folder / "work/scannet/projections").rglob("*.zip")]
    assert len(links) == 3
    assert all(Path(link).is_file() for link in links)
