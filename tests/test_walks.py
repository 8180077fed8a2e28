"""The contract of CONTRIBUTING.md: each example adds one file, works, and changes no other key."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from model.network import files
from pipeline.look.measure import nbytes
from pipeline.store import groups
from tests.helpers import walks
from tests.helpers.npz_scan import SCAN, npz_frames, write_npz
from tests.helpers.tiny_checkout import ROOT, Checkout

WALKS = walks.read_walks()
USED = "workflow/used.yaml"
# What is computed again because the example is used, besides all that is downstream of it.
STAGE_OF = {"recipe": "embeddings", "codec": "embeddings", "loss term": "train"}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """Two scans and one network of two steps; `used.yaml` is its config with a walk's settings."""
    made = Checkout(tmp_path_factory.mktemp("checkout") / "tree")
    (made.folder / "scans.csv").write_text("scan,split\nscene0000_00,train\nscene0002_00,val\n")
    config = yaml.safe_load(made.config.read_text())
    config = {key: config[key] for key in ("store", "scannet", "demo_s3dis")}
    config["scannet"]["train"] |= {"variants": ["esgs"], "optimiser": {"steps": 2, "batch": 1}}
    made.config.write_text(yaml.safe_dump(config))
    mine = made.folder / "data" / "mine"  # as the walk of the reader says
    write_npz(mine / SCAN, npz_frames(whole=True))
    (mine / "scans.csv").write_text(f"scan,split\n{SCAN},train\n")
    return made


@pytest.fixture(scope="module")
def before(checkout: Checkout) -> walks.Keys:
    ((found,), _) = walks.keys(checkout.folder, "workflow/config.yaml")
    return found


def with_settings(checkout: Checkout, *names: str) -> str:
    """The config with all that some walks add to it; their dataset reads with the tiny CLIP."""
    config = yaml.safe_load(checkout.config.read_text())
    own = config["scannet"]
    for name in names:
        config["scannet"] = walks.merged(config["scannet"], WALKS[name].settings)
        for dataset, section in WALKS[name].datasets.items():
            small = {key: own[key] for key in ("embeddings", "frames", "voxels", "train")}
            config[dataset] = section | small
    return str(yaml.safe_dump(config))


def different(one: dict[str, str], other: dict[str, str]) -> set[str]:
    return {stage for stage in one.keys() | other.keys() if one.get(stage) != other.get(stage)}


def test_there_is_a_walk_for_each_kind_of_part() -> None:
    assert set(WALKS) == {"reader", "recipe", "codec", "stage", "loss term", "protocol"}


@pytest.mark.parametrize("name", WALKS)
def test_a_walk_is_one_new_file_and_changes_only_keys_of_what_uses_it(
    checkout: Checkout, before: walks.Keys, name: str
) -> None:
    walk = WALKS[name]
    assert len(walk.files) == 1
    (checkout.folder / USED).write_text(with_settings(checkout, name))
    walks.write(walk, checkout.folder)
    try:
        (added, used), upstream = walks.keys(checkout.folder, "workflow/config.yaml", USED)
    finally:
        for path in walk.files:
            (checkout.folder / path).unlink()
    own = {"protocol": {"report", "page"}, "stage": {"coverage"}}.get(name, set())
    for dataset in before:
        assert different(before[dataset], added[dataset]) == own, dataset
    assert set(used) == set(before) | set(walk.datasets)
    expected = walks.downstream(STAGE_OF[name], upstream) if name in STAGE_OF else set()
    assert different(added["scannet"], used["scannet"]) == expected
    others = set(before) - {"scannet"}
    assert {dataset: used[dataset] for dataset in others} == {d: added[d] for d in others}


# All walks in one checkout, which runs them.


@pytest.fixture(scope="module")
def walked(checkout: Checkout, before: walks.Keys) -> Checkout:
    """All examples are added and used, and run together: this takes most of the time."""
    for walk in WALKS.values():
        walks.write(walk, checkout.folder)
    (checkout.folder / USED).write_text(with_settings(checkout, *WALKS))
    (checkout.folder / USED).replace(checkout.config)
    coverage = walks.places(checkout.folder, "scannet", "coverage/scene0002_00")
    raw = walks.places(checkout.folder, "mine", f"frames/{SCAN}", f"voxels/{SCAN}")
    done = checkout.snakemake(targets=[link for link, _ in [*coverage, *raw]])
    assert done.returncode == 0, done.stdout + done.stderr
    return checkout


def recorded(walked: Checkout, stage: str) -> tuple[list[Path], set[str]]:
    """The entries of a stage, and the modules that are recorded as having made them."""
    (folder,) = (walked.folder / "store" / "scannet" / stage).iterdir()
    recipe = json.loads((folder / "recipe.json").read_text())
    return sorted(folder.glob("*@*")), set(recipe["code"])


def test_the_files_pass_ruff_and_mypy(walked: Checkout) -> None:
    shutil.copy(ROOT / "pyproject.toml", walked.folder)
    added = [path for walk in WALKS.values() for path in walk.files]
    for tool in (
        ["ruff", "check", "--no-cache"],
        ["ruff", "format", "--check", "--no-cache"],
        ["mypy", "--follow-imports=silent"],
    ):
        done = walks.python(walked.folder, "-m", *tool, *added)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_reader_reads_a_scan(walked: Checkout) -> None:
    entries = walks.places(walked.folder, "mine", f"frames/{SCAN}", f"voxels/{SCAN}")
    frames, voxels = (groups.read(home) for _, home in entries)
    written = npz_frames(whole=True)
    assert np.array_equal(np.asarray(frames["depth"]), [frame.depth for frame in written])
    assert np.asarray(frames["color"]).tobytes() == b"".join(frame.color for frame in written)
    assert len(np.asarray(voxels["coords"])) > 0


def test_a_training_on_the_new_dataset_can_be_planned(walked: Checkout) -> None:
    """It has no labels, so it is shown and not scored."""
    done = walks.python(walked.folder, "-m", "snakemake", "train_mine", "-n", "--cores", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "mine_train" in done.stdout
    assert "mine_clouds" in done.stdout
    assert "mine_labels" not in done.stdout


def test_the_recipe_and_the_codec_make_the_embeddings(walked: Checkout) -> None:
    entries, code = recorded(walked, "embeddings")
    assert {"pipeline.clip.recipes.mean", "pipeline.grids.codecs.fp32"} <= code
    assert "pipeline.clip.recipes.plain" not in code
    assert "pipeline.grids.codecs.fp16" not in code
    assert len(entries) == 2
    for home in entries:
        entry = groups.read(home)
        assert entry.attrs["codec"] == "fp32"
        assert np.asarray(entry["grid"]).dtype == np.float32


def test_the_codec_can_be_compared_with_the_others(walked: Checkout, tmp_path: Path) -> None:
    """What `look codecs` needs of it."""
    codec = walks.imported(WALKS["codec"], tmp_path)
    entry = groups.read(recorded(walked, "embeddings")[0][0])
    grid = np.asarray(entry["grid"])
    of_a_frame, of_the_scan = nbytes(entry, codec)
    assert of_a_frame * len(grid) + of_the_scan == grid.nbytes
    assert of_the_scan == 0


def test_the_stage_has_a_command_and_its_entry_is_right(walked: Checkout) -> None:
    done = walks.python(walked.folder, "-m", "pipeline", "--help")
    assert "  coverage  " in done.stdout
    ((_, home),) = walks.places(walked.folder, "scannet", "coverage/scene0002_00")
    names = ("projections/scene0002_00", "voxels/scene0002_00")
    pairs, voxels = (groups.read(e) for _, e in walks.places(walked.folder, "scannet", *names))
    views = np.asarray(groups.read(home)["views"])
    assert views.shape == (len(np.asarray(voxels["coords"])),)
    assert views.sum() == len(np.asarray(pairs["voxel"])) > 0
    link = walked.folder / "work" / "scannet" / "coverage" / home.parent.name
    assert (link / "scene0002_00.zarr.zip").resolve() == home.resolve()


def test_an_entry_that_only_a_link_asks_for_is_not_in_use(walked: Checkout) -> None:
    done = walks.python(walked.folder, "-m", "pipeline", "store", "prune")
    assert done.returncode == 0, done.stderr
    assert "scannet/coverage/" in done.stdout
    assert "scannet/voxels/" not in done.stdout


def test_the_loss_term_takes_part_in_a_training(walked: Checkout) -> None:
    (network,), code = recorded(walked, "train")
    assert "model.training.losses.squared" in code
    _, metadata = files.read(network)
    assert json.loads(metadata["config"])["loss"]["squared"] == 0.5
    losses = json.loads(metadata["curves"])["network"]["loss"]
    assert len(losses) == 2
    assert np.isfinite(losses).all()


def test_the_protocol_is_in_the_tables(walked: Checkout) -> None:
    tables = walked.folder / "results" / "scannet" / "latest"
    for suffix in ("txt", "json", "csv"):
        assert "frequency_weighted" in (tables / f"table.{suffix}").read_text()


def test_only_a_stage_adds_a_line_to_the_closures(walked: Checkout) -> None:
    tests = walked.folder / "tests"
    tests.mkdir()
    for name in ("test_provenance.py", "closures.txt"):
        shutil.copy(ROOT / "tests" / name, tests)
    done = walks.python(walked.folder, "-m", "tests.test_provenance")
    assert done.returncode == 0, done.stderr
    lines = (ROOT / "tests" / "closures.txt").read_text().splitlines()
    now = (tests / "closures.txt").read_text().splitlines()
    (new,) = [line for line in now if line not in lines]
    assert new.startswith("pipeline.stages.coverage: ")
    assert [line for line in now if line != new] == lines
