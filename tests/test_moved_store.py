"""After `store` was changed, the new store is filled with what the old one has."""

import os
import shutil
from pathlib import Path

import pytest
import yaml

from pipeline.plan.moved_store import is_dry_run
from pipeline.store import records
from tests.helpers.tiny_checkout import Checkout


class Projections(Checkout):
    target = "scannet_projections"  # with what it needs, and no torch


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Projections:
    tree = Projections(tmp_path_factory.mktemp("checkout") / "tree")
    tree.run()
    return tree


def point_to(checkout: Checkout, store: str) -> None:
    described = yaml.safe_load(checkout.config.read_text())
    checkout.config.write_text(yaml.safe_dump(described | {"store": store}))


def kept(store: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(store)): path.read_bytes()
        for path in store.rglob("*")
        if path.is_file() and path.relative_to(store).parts[0] != "plans"
    }


def test_entries_records_and_digests_are_copied_and_a_damaged_one_is_made_again(
    checkout: Projections,
) -> None:
    old, new = checkout.folder / "store", checkout.folder / "elsewhere/new store"
    before = kept(old)
    point_to(checkout, "elsewhere/new store")
    dry = checkout.snakemake("-n")
    count = sum("@" in Path(name).name and ".records" not in name for name in before)
    assert f"would copy {count} entries of store, the store of the last run" in dry.stderr
    assert not list(new.rglob("*.zip"))
    (damaged,) = old.glob("scannet/projections/*/scene0000_00@*.zarr.zip")
    whole = damaged.read_bytes()
    damaged.chmod(0o644)
    damaged.write_bytes(whole[:200] + bytes([whole[200] ^ 1]) + whole[201:])
    done = checkout.snakemake()
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout + done.stderr
    assert "not copied:" in said
    assert damaged.name in said
    found = kept(new)
    damaged.write_bytes(whole)
    made_again = {name for name in before if damaged.name in name}
    for name, content in before.items():
        if name in made_again and "records" in name:  # it took another time
            assert name in found
        else:
            assert found[name] == content, name
    assert f"projections {damaged.name.partition('@')[0]}: made in" in checkout.logs()
    again = checkout.snakemake()
    assert "Nothing to be done" in again.stdout + again.stderr
    assert "copying" not in again.stdout + again.stderr
    links = [path for path in (checkout.folder / "work").rglob("*.zip") if path.is_symlink()]
    assert all(Path(os.readlink(link)).is_relative_to(new) for link in links)
    for home in new.glob("scannet/*/*/*.zarr.zip"):
        records.check(home)
    shutil.rmtree(new)
    point_to(checkout, "store")


def test_only_a_run_copies() -> None:
    assert is_dry_run(["train_demo", "-n"])
    assert is_dry_run(["-np"])
    assert is_dry_run(["--dry-run"])
    assert not is_dry_run(["train_demo", "--cores", "2", "--keep-going", "-j4"])
