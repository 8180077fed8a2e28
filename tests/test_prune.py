"""What a config in use needs, or a process is making, is never listed; all else is."""

import json
import os
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.cli.main import main
from pipeline.errors import BadInput
from pipeline.facts import Facts
from pipeline.plan import config, registered
from pipeline.plan.plan import Plan
from pipeline.store import damaged, entry, lease, publish, records
from pipeline.upkeep import in_use, inventory, prune, unused
from tests.helpers import tiny_store
from tests.helpers.full_disk import full_disk

ROOT = Path(__file__).parent.parent
QUICK = {"pause": 0.05, "patience": 0.2}  # seconds
POOL = ("a", "b", "c")

settings_of_a_plan = st.fixed_dictionaries(
    {
        "train": st.lists(st.sampled_from(POOL), min_size=1, unique=True),
        "val": st.just(("v",)),
        "voxel_size": st.sampled_from([0.05, 0.1]),
        "raw": st.sampled_from("01"),
        "dataset": st.sampled_from(["scannet", "s3dis"]),
    }
)


def put(home: Path, recipe: Any = None) -> Path:
    """An entry of one byte, which is not opened here."""
    if not home.exists():
        with publish.place(home, recipe) as path:
            path.write_bytes(b"x")
    return home


def entries(root: Path) -> set[Path]:
    return {
        path / name
        for path in inventory.folders(root)[0]
        for name in inventory.list_folder(path).entries
    }


@settings(max_examples=40)
@given(st.data())
def test_what_a_plan_needs_is_never_listed_and_all_else_is(data: st.DataObject) -> None:
    chosen = data.draw(st.lists(settings_of_a_plan, min_size=1, max_size=4), label="plans")
    uses = data.draw(st.lists(st.sampled_from(["given", "registered", "no"]), min_size=4))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "store")
        root.mkdir()
        used: set[Path] = set()
        needed: set[Path] = set()
        for number, (choice, use) in enumerate(zip(chosen, uses, strict=False)):
            plan = tiny_store.plan(root, **choice, work=f"{folder}/{number}")
            homes = [plan.home(*what) for what in plan.entries]
            for home in data.draw(st.lists(st.sampled_from(homes), max_size=5)):
                put(home, {"of": home.parent.name})
            if use == "registered":
                registered.register(plan)
            if use == "given":
                used |= in_use.of_plan(plan)
            if use != "no":
                needed |= set(homes)
        for user in registered.registered(root):
            used |= in_use.of_plan(user.plan)
        before, present = tiny_store.tree(root), entries(root)

        unreachable = unused.find(root, used, **QUICK)
        assert unreachable.entries.keys() == present - needed
        assert unreachable.bytes == len(present - needed)
        assert tiny_store.tree(root) == before, "a dry run changed the store"

        _, kept = prune.remove(root, unreachable)
        assert not kept
        assert entries(root) == present & needed
        for folder_ in {home.parent for home in present}:
            rest = {home.name for home in present & needed if home.parent == folder_}
            assert records.digests_by_entry(folder_).keys() == rest
            assert (folder_ / publish.RECIPE).exists() == bool(rest)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "store").mkdir()
    return tmp_path / "store"


@pytest.fixture
def home(root: Path) -> Path:
    """An entry that is not in use."""
    return put(tiny_store.plan(root).home("frames", "scene0000_00"))


def test_records_and_recipe_stay_with_the_entries_that_stay(root: Path) -> None:
    plan = tiny_store.plan(root)
    kept, spare = (plan.home("frames", name) for name in ("scene0000_00", "scene0001_00"))
    for home in (kept, spare):
        put(home, {"of": "frames"})
    prune.remove(root, unused.find(root, {kept.relative_to(root)}))
    assert not spare.exists()
    assert records.digests_by_entry(kept.parent).keys() == {kept.name}
    assert kept.with_name(publish.RECIPE).exists()
    prune.remove(root, unused.find(root, set()))
    assert sorted(os.listdir(kept.parent)) == [records.FOLDER]


@pytest.mark.parametrize(
    "change",
    [
        lambda facts: facts["keys"].update(superpoints="0123456789ab"),
        lambda facts: facts["keys"].update(text="0123456789ab"),
        lambda facts: facts["section"].pop("train"),
        lambda facts: facts["section"]["embeddings"].update(recipe="of_another_version"),
        lambda facts: facts["section"].update(reader="of_another_version"),
        lambda facts: facts.pop("raw_digests"),
        lambda facts: facts["raw_digests"].pop("scene0001_00"),
    ],
)
def test_all_folders_of_a_plan_that_this_code_would_not_make_are_in_use(
    root: Path, change: Any
) -> None:
    plan = tiny_store.plan(root)
    facts = plan.facts.to_json() | {"keys": plan.keys}
    change(facts)
    theirs = Plan(Facts.from_json(facts))
    theirs.keys = facts["keys"]
    mine = {put(plan.home("frames", name)) for name in ("scene0000_00", "scene0001_00")}
    unknown = root / "scannet" / "superpoints" / "0123456789ab" / "x@1.zarr.zip"
    listed = unused.find(root, in_use.of_plan(theirs)).entries.keys()
    assert not listed & mine
    put(unknown)
    listed = unused.find(root, in_use.of_plan(theirs)).entries.keys()
    assert (unknown in listed) == ("superpoints" not in facts["keys"])


def write_lease(home: Path, holder: dict[str, Any], beat: int = 0) -> Path:
    path = lease.path_for(home)
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"{beat:020d}\n{json.dumps(holder)}")
    return path


GONE = {**json.loads(lease.process_identity()), "start": "0"}
ELSEWHERE = {**GONE, "machine": "another"}


@pytest.fixture
def beating(home: Path) -> Iterator[Path]:
    """The lease of a process on another machine, which is alive."""
    path, done = write_lease(home, ELSEWHERE), threading.Event()

    def beat() -> None:
        number = 0
        while not done.wait(0.01):
            number += 1
            with path.open("r+") as file:
                file.write(f"{number:020d}")

    thread = threading.Thread(target=beat)
    thread.start()
    yield path
    done.set()
    thread.join()


def test_an_entry_that_is_being_made_here_is_kept(root: Path, home: Path) -> None:
    with lease.Leases(beat=0.02).take(home) as mine:
        assert mine
        unreachable = unused.find(root, set(), **QUICK)
        assert not unreachable.leases
        assert not unreachable.entries
    assert unused.find(root, set(), **QUICK).entries.keys() == {home}


def test_a_lease_of_a_dead_process_of_this_machine_is_found_without_waiting(
    root: Path, home: Path
) -> None:
    path = write_lease(home, GONE)
    unreachable = unused.find(root, set(), pause=999, patience=999)
    assert unreachable.leases.keys() == {path}
    assert unreachable.entries.keys() == {home}


def test_an_entry_whose_lease_beats_elsewhere_is_kept(
    root: Path, home: Path, beating: Path
) -> None:
    unreachable = unused.find(root, set(), **QUICK)
    assert not unreachable.leases
    assert not unreachable.entries


def test_a_lease_from_elsewhere_that_does_not_change_is_dead(root: Path, home: Path) -> None:
    path = write_lease(home, ELSEWHERE)
    unreachable = unused.find(root, set(), **QUICK)
    assert unreachable.leases.keys() == {path}
    prune.remove(root, unreachable)
    assert not path.exists()
    assert not home.exists()


def test_a_dead_lease_that_was_taken_meanwhile_is_kept(root: Path, home: Path) -> None:
    path = write_lease(home, GONE)
    unreachable = unused.find(root, set(), **QUICK)
    write_lease(home, ELSEWHERE)
    gone, kept = prune.remove(root, unreachable)
    assert not gone
    assert kept.keys() == {path, home}
    assert path.exists()


def test_a_lease_taken_meanwhile_keeps_the_entry_its_record_and_scratch(
    root: Path, home: Path
) -> None:
    scratch = home.parent / f"{entry.SCRATCH}abc"
    scratch.mkdir()
    unreachable = unused.find(root, set(), **QUICK)
    assert unreachable.entries.keys() == {home}
    assert unreachable.scratch.keys() == {scratch}
    write_lease(home, ELSEWHERE)
    gone, kept = prune.remove(root, unreachable)
    assert not gone
    assert kept.keys() == {home, scratch}
    assert home.name in records.digests_by_entry(home.parent)


def test_a_plan_registered_meanwhile_keeps_its_entries(root: Path, home: Path) -> None:
    unreachable = unused.find(root, set(), **QUICK)
    assert unreachable.entries.keys() == {home}
    registered.register(tiny_store.plan(root))
    assert prune.remove(root, unreachable)[1].keys() == {home}
    assert home.exists()


@pytest.mark.parametrize("at", [0, 1, 2, 3])
@pytest.mark.parametrize("call", ["rename", "_remove"])
def test_what_a_run_found_that_began_during_the_removal_is_put_back(
    root: Path, call: str, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run begins at any moment between the first move and the last removal."""
    plan = tiny_store.plan(root, train=("a", "b", "c"), work=str(root.parent / "work"))
    homes = [put(plan.home("frames", name), {"of": "frames"}) for name in "abc"]
    spare = put(plan.home("frames", "a").with_name("z@0.zarr.zip"))
    unreachable = unused.find(root, set(), **QUICK)
    assert unreachable.entries.keys() == {*homes, spare}
    count, found = 0, set[Path]()
    owner: Any = Path if call == "rename" else prune
    real = getattr(owner, call)

    def begin(path: Path, *given: Any) -> Any:
        nonlocal count, found
        if count == at:
            registered.register(plan)
            found = {home for home in homes if home.exists()}
        count += 1
        return real(path, *given)

    monkeypatch.setattr(owner, call, begin)
    removed, kept = prune.remove(root, unreachable)
    assert count > at
    assert found <= entries(root)
    assert entries(root) == set(kept) & {*homes}
    assert {*removed} == {*homes, spare} - set(kept)
    assert sorted(os.listdir(spare.parent)) == sorted(
        [records.FOLDER, *(home.name for home in kept), *([publish.RECIPE] if kept else [])]
    )
    for home in kept:
        records.check(home)


def test_a_plan_that_cannot_be_read_during_the_removal_puts_all_back(
    root: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unreachable = unused.find(root, set(), **QUICK)

    def move(*given: Any) -> Path:
        (root / registered.PLANS).mkdir()
        (root / registered.PLANS / "x.json").write_text("{")
        return real(*given)

    real = prune._move_away
    monkeypatch.setattr(prune, "_move_away", move)
    with pytest.raises(BadInput):
        prune.remove(root, unreachable)
    records.check(home)
    assert entries(root) == {home}


def test_entries_can_be_removed_on_a_full_disk(root: Path, home: Path) -> None:
    unreachable = unused.find(root, set(), **QUICK)
    with full_disk(root):
        removed, kept = prune.remove(root, unreachable)
    assert (removed, kept) == ([home], {})
    assert not home.exists()


def test_scratch_is_removed_where_no_process_works(root: Path, home: Path) -> None:
    scratch = home.parent / f"{entry.SCRATCH}abc"
    (scratch / "inner").mkdir(parents=True)
    (scratch / "inner" / "part").write_bytes(b"half")
    used = {Path("scannet")}
    unreachable = unused.find(root, used, **QUICK)
    assert unreachable.scratch == {scratch: 4}
    assert not unreachable.entries
    prune.remove(root, unreachable)
    assert not scratch.exists()
    assert home.exists()


def test_scratch_beside_a_lease_in_force_is_kept(root: Path, home: Path, beating: Path) -> None:
    (home.parent / f"{entry.SCRATCH}abc").mkdir()
    assert not unused.find(root, set(), **QUICK).scratch


def test_scratch_that_is_being_written_is_kept(root: Path, home: Path) -> None:
    scratch = home.parent / f"{entry.SCRATCH}abc"
    scratch.mkdir()
    timer = threading.Timer(0.1, (scratch / "part").write_bytes, [b"more"])
    timer.start()
    assert not unused.find(root, set(), pause=0.5).scratch
    timer.join()


def test_what_was_moved_aside_is_listed_and_removed_only_on_request(root: Path, home: Path) -> None:
    aside = damaged.move_aside(home)
    home.mkdir()
    (home / "file").write_bytes(b"yy")
    aside_folder = damaged.move_aside(home)
    unreachable = unused.find(root, {Path("scannet")}, **QUICK)
    assert unreachable.damaged == {aside: 1, aside_folder: 2}
    prune.remove(root, unreachable)
    assert os.listdir(aside.parent) == []


def test_links_are_removed_and_never_followed(root: Path, home: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_bytes(b"x")
    aside = home.parent / damaged.FOLDER
    aside.mkdir()
    (aside / "link").symlink_to(precious)
    scratch = home.parent / f"{entry.SCRATCH}abc"
    scratch.mkdir()
    (scratch / "link").symlink_to(precious)
    (root / "linked").symlink_to(precious)
    prune.remove(root, unused.find(root, set(), **QUICK))
    assert not os.path.lexists(aside / "link")
    assert not scratch.exists()
    assert (precious / "file").exists()


def run_prune(*arguments: str) -> Result:
    """`python -m pipeline store prune` with the config of the checkout."""
    return CliRunner().invoke(main, ["store", "prune", "--config", "config.yaml", *arguments])


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a config whose ScanNet has no raw data; its store is `store`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SCAN_STORE", raising=False)
    Path("data_manifest").symlink_to(ROOT / "data_manifest")
    described = yaml.safe_load((ROOT / config.CONFIG).read_text())
    described["store"] = "store"
    described["scannet"]["raw"] = "nowhere"
    Path("config.yaml").write_text(yaml.safe_dump(described))
    return tmp_path


def test_the_command_lists_first_and_removes_with_delete(checkout: Path, root: Path) -> None:
    plan = config.plan("scannet", Path("config.yaml"))
    mine = put(plan.home("text", "classes").absolute())
    stale = put(mine.parents[1] / "0123456789ab" / mine.name)
    theirs = tiny_store.plan(root, dataset="s3dis", work=str(checkout / "gone"))
    used = put(theirs.home("frames", "scene0000_00"))
    registered.register(theirs)
    (name,) = (user.path.stem for user in registered.registered(root))

    done = run_prune()
    assert done.exit_code == 0
    assert "scannet/text/0123456789ab: 1 entries, 1 B" in done.stdout
    assert "1 entries are in no plan in use" in done.stdout
    user = f"on {socket.gethostname()}, s3dis in {checkout / 'gone'} (gone: --forget {name})"
    assert user in done.stdout
    assert entries(root) == {mine, stale, used}

    assert run_prune("--delete").exit_code == 0
    assert entries(root) == {mine, used}

    assert run_prune("--forget", "../../config").exit_code == 1
    assert run_prune("--delete", "--forget", name).exit_code == 0
    assert entries(root) == {mine}


@pytest.fixture
def unplanned(checkout: Path) -> Path:
    """A checkout whose ScanNet cannot be planned, as its weights are missing."""
    described = yaml.safe_load(Path("config.yaml").read_text())
    described["scannet"]["embeddings"] = {"model": "local-dir:nowhere", "pretrained": None}
    Path("config.yaml").write_text(yaml.safe_dump(described))
    return checkout


def test_a_dataset_that_cannot_be_planned_is_kept_whole(unplanned: Path, root: Path) -> None:
    kept = put(root / "scannet" / "voxels" / "0123456789ab" / "x@1.zarr.zip")
    other = put(root / "s3dis" / "voxels" / "0123456789ab" / "x@1.zarr.zip")
    done = run_prune("--delete")
    assert done.exit_code == 0
    assert "All of scannet counts as in use" in done.stdout
    assert kept.exists()
    assert not other.exists()


def test_the_last_run_of_this_work_tree_replaces_what_cannot_be_planned(
    unplanned: Path, root: Path
) -> None:
    ran = tiny_store.plan(root, work=str(unplanned / "work"))
    kept = put(ran.home("voxels", "scene0000_00"))
    other = put(root / "scannet" / "voxels" / "0123456789ab" / "x@1.zarr.zip")
    registered.register(ran)
    done = run_prune("--delete")
    assert done.exit_code == 0
    assert "counts as in use" not in done.stdout
    assert kept.exists()
    assert not other.exists()


def test_nothing_is_removed_where_a_registered_plan_cannot_be_read(
    checkout: Path, root: Path
) -> None:
    home = put(root / "scannet" / "voxels" / "0123456789ab" / "x@1.zarr.zip")
    (root / registered.PLANS).mkdir()
    (root / registered.PLANS / "x.json").write_text("{")
    assert run_prune("--delete").exit_code == 1
    assert home.exists()
    with pytest.raises(BadInput):
        prune.remove(root, unused.Unreachable(entries={home: 1}))
    assert home.exists()


def test_two_stores_are_not_pruned_at_a_time(checkout: Path) -> None:
    described = yaml.safe_load(Path("config.yaml").read_text()) | {"store": "other"}
    Path("other.yaml").write_text(yaml.safe_dump(described))
    Path("other").mkdir()
    done = run_prune("--config", "other.yaml")
    assert done.exit_code == 1
    assert "names another store" in done.stderr
