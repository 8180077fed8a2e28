"""The config is read as a run reads it, and a store knows whose plans use it."""

from pathlib import Path

import pytest
import yaml

from pipeline.errors import BadInput
from pipeline.plan import config, manifest, registered, targets
from pipeline.plan.making import make_plans

ROOT = Path(__file__).parent.parent
DATASETS = ("demo", "simulated", "demo_s3dis", "scannet", "folder", "s3dis")


@pytest.fixture(autouse=True)
def checkout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Commands run in the checkout, here on a store of their own."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("SCAN_STORE", str(tmp_path / "store"))


def edited(folder: Path, old: str, new: str) -> Path:
    text = (ROOT / config.CONFIG).read_text()
    assert old in text
    path = folder / "config.yaml"
    path.write_text(text.replace(old, new))
    return path


def test_the_config_has_the_defaults_of_the_schema_and_its_datasets_are_known() -> None:
    loaded = config.load()
    assert config.datasets(loaded) == DATASETS
    assert loaded["scannet"]["frames"]["every"] == 20
    assert loaded["work"] == "work"


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ("train_demo", "demo"),
        ("--cores 2 train_demo_s3dis -n", "demo_s3dis"),
        ("train_s3dis train_demo", "demo s3dis"),
        ("--until scannet_train_network", "scannet"),
        ("results/simulated/latest/table.txt", "simulated"),
        ("help --config store=scannet", ""),
        ("--snakefile /home/s3dis/folder/Snakefile train_demo", "demo"),
        ("train_demos3dis train_demo2 xs3dis", ""),
        ("transfer_demo", "demo demo_s3dis"),
        ("--target-jobs transfer_scannet:", "scannet s3dis"),
        ("--target-jobs transfer_scannet_tables:", "scannet s3dis"),
        ("transfer_demo_s3dis", "demo_s3dis"),
    ],
)
def test_a_command_asks_for_the_datasets_that_its_targets_name_as_a_whole(
    arguments: str, found: str
) -> None:
    pairs = {"demo": "demo_s3dis", "scannet": "s3dis"}
    assert targets.wanted(DATASETS, arguments.split(), pairs) == found.split()


def test_a_section_of_any_name_is_a_dataset_with_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    mine = "reader: s3dis, scans: a.csv, simulate: {}, embeddings: {model: M}"
    path.write_text(f"store: store\nmine_2: {{{mine}}}\n")
    loaded = config.load(path)
    assert config.datasets(loaded) == ("mine_2",)
    assert loaded["mine_2"]["frames"] == {"every": 20}
    assert loaded["mine_2"]["simulate"]["n_cameras"] == 3, "what a room is made by follows `reader`"
    assert loaded["mine_2"]["projections"]["max_offset"] == 0.05, "and so does what is compared"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("store: store", "store: store\nwrok: work", "wrok: 'work' is not of type 'object'"),
        ("\ndemo:", "\nDemo:", "'Demo' does not match"),
        ("reader: s3dis", "reader: s3dsi", r"reader: 's3dsi' is not one of"),
        ("n_views: 6", "n_frames: 6", r"simulate: .*'n_frames' was unexpected"),
        ("every: 1", f"every: {'9' * 5000}", "cannot be read"),
        ("every: 1", "every: 0", r"frames\.every: 0 is less than"),
        ("demo: demo_s3dis", "demo: demo_s3", r"transfer: 'demo_s3' is not one of its datasets"),
        ("store: store", "store: [", "not valid JSON or YAML"),
    ],
)
def test_a_bad_config_is_told_in_one_sentence(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    with pytest.raises(BadInput, match=said) as told:
        config.load(edited(tmp_path, old, new))
    assert "\n" not in str(told.value)
    assert len(str(told.value)) < 400


def test_a_config_changes_some_settings_of_the_one_that_it_is_based_on(tmp_path: Path) -> None:
    base, path, third = (tmp_path / f"{name}.yaml" for name in ("base", "path", "third"))
    base.write_text("store: s\nmine: {scans: a.csv, frames: {every: 3}, embeddings: {model: M}}\n")
    path.write_text(f"based_on: {base}\nwork: w\nmine: {{voxels: {{voxel_size: 0.5}}}}\n")
    loaded = config.load(path)
    assert (loaded["store"], loaded["work"]) == ("s", "w")
    assert loaded["mine"]["frames"] == {"every": 3}
    assert loaded["mine"]["voxels"] == {"voxel_size": 0.5}
    third.write_text(f"based_on: {path}\n")
    with pytest.raises(BadInput, match=r"third\.yaml: is based on .*, which is based on another"):
        config.load(third)
    base.unlink()
    with pytest.raises(BadInput, match=r"base\.yaml: cannot be read \(No such file"):
        config.load(path)


def test_a_config_without_a_store_is_laid_over_that_of_the_checkout(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("folder:\n  raw: /data/scans\n  frames: {every: 10}\n")
    loaded, whole = config.load(path), config.load()
    assert loaded["folder"]["frames"] == {"every": 10}
    whole["folder"] |= {"raw": "/data/scans", "frames": {"every": 10}}
    assert loaded == whole


def test_a_change_of_one_dataset_is_none_of_those_that_share_its_section(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("demo: {voxels: {voxel_size: 0.07}, frames: {every: 2}}\n")
    found, usual = config.load(path), config.load()
    assert found["demo"]["voxels"]["voxel_size"] == 0.07
    for name in ("simulated", "demo_s3dis"):
        assert found[name] == usual[name]


def test_an_absent_config_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"none\.yaml: cannot be read \(No such file"):
        config.load(tmp_path / "none.yaml")


def test_an_unknown_dataset_is_refused_with_the_known_ones() -> None:
    with pytest.raises(BadInput, match=f"no dataset 'scanet'; name one of {', '.join(DATASETS)}"):
        config.plan("scanet")


def test_without_raw_data_there_is_a_plan_with_the_keys_of_a_run(tmp_path: Path) -> None:
    absent = edited(tmp_path, "raw: data/scannet", f"raw: {tmp_path}/nowhere")
    tower = "model: local-dir:data_manifest/demo/clip"
    absent.write_text(absent.read_text().replace("preset: good", tower))
    planned = config.plan("scannet", absent)
    assert planned.digest("frames", planned.facts.scans[0]) == "unknown"
    assert planned.facts.weights, "keys hold the digest of local weights"
    assert planned.keys == planned.facts.keys
    unwanted = config.plan("scannet", absent, wanted=False)
    assert planned.keys["embeddings"] != unwanted.keys["embeddings"]


def test_a_plan_that_was_registered_is_found_again_by_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "store"
    planned = config.plan("demo", wanted=False)
    monkeypatch.setenv("LOGNAME", "ada")
    registered.register(planned)
    registered.register(planned)
    monkeypatch.setenv("LOGNAME", "bob")
    registered.register(planned)
    found = registered.registered(store)
    assert sorted(each.user for each in found) == ["ada", "bob"], "one line for each user"
    assert {each.work for each in found} == {str(ROOT / "work")}
    for each in found:
        assert each.plan.keys == planned.keys
        homes = {each.plan.home(*entry) for entry in each.plan.entries}
        assert homes == {planned.home(*entry) for entry in planned.entries}
    assert [p.suffix for p in (store / registered.PLANS).iterdir()] == [".json", ".json"]


def test_plans_are_found_in_the_store_that_was_asked_about(tmp_path: Path) -> None:
    """The path that its user wrote may be relative, or that of another machine."""
    registered.register(config.plan("demo", wanted=False))
    moved = (tmp_path / "store").rename(tmp_path / "moved")
    (found,) = registered.registered(moved)
    assert found.plan.home("text", "classes").is_relative_to(moved)


def test_a_store_that_cannot_be_written_is_no_fault_but_the_run_says_so_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SCAN_STORE", str(tmp_path / "file" / "store"))
    planned = config.plan("demo", wanted=False)
    capsys.readouterr()
    registered.register(planned)
    registered.register(planned)
    (told,) = capsys.readouterr().err.splitlines()
    where = tmp_path / "file" / "store" / registered.PLANS
    assert told.startswith(f"{where}: this run cannot be registered (Not a directory), so `python")
    assert told.endswith("prune` may remove what it uses; ask its owner for access.")
    assert registered.registered(tmp_path / "file" / "store") == []


@pytest.mark.parametrize("text", ["", "[]", '{"plan": {}}'])
def test_what_is_no_plan_is_named_and_not_overlooked(tmp_path: Path, text: str) -> None:
    folder = tmp_path / "store" / registered.PLANS
    folder.mkdir(parents=True)
    (folder / "x.json").write_text(text)
    with pytest.raises(BadInput, match=r"x\.json: is not a plan that a run has written"):
        registered.registered(tmp_path / "store")


def test_a_plan_follows_the_blessings_of_the_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = config.plan("demo", wanted=False).keys
    path = tmp_path / "blessed.csv"
    line = f"text,{before['text']},{'0' * 12},demo/classes@1,bytes\n"
    path.write_text("stage,new,old,entries,how\n" + line)
    monkeypatch.setattr(manifest, "BLESSED", path)
    after = config.plan("demo", wanted=False).keys
    assert after["text"] == "0" * 12
    changed = {stage for stage in before if before[stage] != after[stage]}
    assert changed == {
        "text",
        "pseudo_labels",
        "adapter",
        "refined_labels",
        "train",
        "supervised",
        "evaluate",
        "clouds",
        "report",
        "page",
    }


def test_what_one_dataset_says_does_not_reach_another() -> None:
    loaded = config.load()
    assert loaded["s3dis"]["projections"]["max_offset"] == 0.05
    assert loaded["scannet"]["projections"]["max_offset"] == 0.3
    for section in ("projections", "voxels", "train"):
        assert loaded["demo"][section] is not loaded["simulated"][section]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("\nscannet:", "\ntrain:", "no dataset can be called 'train'"),
        ("demo: demo_s3dis", "demo: demo", "'demo' is paired with itself"),
        ("source: none}", "source: file}", "folder.tags: has `source: file` and names no file"),
    ],
)
def test_names_that_could_not_work_are_refused(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    with pytest.raises(BadInput, match=said):
        config.load(edited(tmp_path, old, new))


def test_a_fault_in_a_dataset_that_is_not_asked_for_stops_no_other(tmp_path: Path) -> None:
    described = edited(tmp_path, "preset: good", "preset: good\n    model: ViT-typo")
    loaded = config.load(described)
    names = config.datasets(loaded)
    plans = make_plans(names, loaded, ["demo"])
    assert "demo" in plans
    assert "scannet" not in plans, "the first dataset with that model"
    with pytest.raises(BadInput, match="scannet: ViT-typo"):
        make_plans(names, loaded, ["demo", "scannet"])


@pytest.mark.parametrize(
    "text",
    [
        "store: shared\n",
        "store: shared\ndemo: {scans_per_job: 3}\n",
        "store: shared\nfolder: {train: {seeds: [4]}}\n",
    ],
)
def test_a_config_with_a_store_and_parts_of_datasets_is_laid_over_too(
    text: str, tmp_path: Path
) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    found, base = config.load(tmp_path / "mine.yaml"), config.load()
    assert found["store"] == "shared"
    assert config.datasets(found) == config.datasets(base)
    changed = yaml.safe_load(text)
    for name in config.datasets(base):
        if name not in changed:
            assert found[name] == base[name]
    assert found["demo"]["scans_per_job"] == changed.get("demo", base["demo"])["scans_per_job"]
