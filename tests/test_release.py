"""A release folder holds all that a network needs elsewhere, and is not trusted blindly."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub.hub_mixin
import numpy as np
import pytest
from click.testing import CliRunner, Result
from huggingface_hub import ModelCard

from model import load
from model.inference import network as networks
from model.inference import sources
from model.network.trained import Trained
from model.reports.lines import with_scores
from model.scoring.results import as_result
from pipeline.cli.main import main
from pipeline.errors import BadInput
from tests.helpers import tiny_clip, tiny_store
from tests.helpers.tiny_entries import CLASSES
from tests.helpers.tiny_network import network
from tests.helpers.tiny_ply import points

XYZ, RGB = points(200), np.rint(80 * points(200)).astype(np.uint8)
SHIPPED = Path(__file__).parents[1] / "data_manifest/demo/network"
MAIN = {"on": "demo (simulated)", "over": "points", "protocol": "scannet_official"}
FILES = {
    *("README.md", "config.json", "model.safetensors"),
    *(f"tower/{name}" for name in ("merges.txt.gz", "open_clip_config.json")),
    "tower/open_clip_model.safetensors",
}


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A network whose text tower is on this machine only."""
    return network(tmp_path, tiny_clip.write(tmp_path / "clip"))


def table(folder: Path, **changed: Any) -> Path:
    """A table of scores of that network, seed 0."""
    counts = np.tile(np.eye(len(CLASSES), len(CLASSES) + 1, dtype=np.int64), (2, 1, 1))
    result = as_result("ess_esgs", "val", CLASSES, {"room": counts}) | {"seed": 0}
    result |= {"trained_on": None} | changed
    path = folder / "table.json"
    content = {"title": "toys", "simulated": True, "results": [with_scores(result)]}
    path.write_text(json.dumps(content))
    return path


def release(source: Path | str, out: Path, *more: str) -> Result:
    return CliRunner().invoke(main, ["release", str(source), f"--out={out}", *more])


def test_a_released_network_says_the_same_where_nothing_else_is(own: Path, tmp_path: Path) -> None:
    net = load(own)
    labels, heat = net.label(XYZ, RGB).probability, net.query(XYZ, RGB, "chair")
    net.save_pretrained(tmp_path / "first")
    assert files(tmp_path / "first") == FILES
    home = tmp_path / "first" / "model.safetensors"
    assert home.read_bytes() == own.read_bytes()
    shutil.rmtree(tmp_path / "clip")
    own.unlink()
    moved = (tmp_path / "first").rename(tmp_path / "moved")
    again = load(moved)
    np.testing.assert_array_equal(again.label(XYZ, RGB).probability, labels)
    np.testing.assert_array_equal(again.query(XYZ, RGB, "chair"), heat)
    again.save_pretrained(tmp_path / "second")
    assert tiny_store.tree(tmp_path / "second") == tiny_store.tree(moved)


def test_a_folder_with_one_network_under_any_name_is_enough(own: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(BadInput, match=r"has no \.safetensors file and none of the name"):
        load(folder)
    shutil.copy(own, folder / "any.safetensors")
    assert load(folder).classes == CLASSES
    shutil.copy(own, folder / "other.safetensors")
    with pytest.raises(BadInput, match=r"has 2 \.safetensors files and none of the name"):
        load(folder)


def test_colours_scores_and_licences_come_back(own: Path, tmp_path: Path) -> None:
    scores = f"--scores={table(tmp_path)}"
    done = release(own, tmp_path / "out", scores, "--licence=MIT", "--data-licence=mine alone")
    assert done.exit_code == 0, done.output
    content = json.loads((tmp_path / "out" / "config.json").read_text())
    assert content["classes"] == CLASSES
    assert content["tower"]["templates"] == ["a {}", "the {}"]
    assert content["voxel_size"] == 0.1
    content["colors"] = {"chair": "#0102fe"}
    (tmp_path / "out" / "config.json").write_text(json.dumps(content))
    net = load(tmp_path / "out")
    assert net.colors[CLASSES.index("chair")].tolist() == [1, 2, 254]
    assert len(net.details["scores"]) == 2 * 4, "points and voxels, by each protocol"
    assert net.details["scores"][0]["mIoU"] == 1
    card = (tmp_path / "out" / "README.md").read_text()
    assert "| toys (simulated) | ess\\_esgs | val | 1 | points | foreground | 100.0 |" in card
    assert "| licence of the data | mine alone |" in card
    assert ModelCard(card).data.to_dict()["license"] == "mit"


def test_the_network_of_the_repository_is_a_release_folder() -> None:
    net = load(SHIPPED)
    assert list(net.details["colors"]) == sorted(net.classes)
    (score,) = (
        s for s in net.details["scores"] if s["row"] == "shipped" and MAIN.items() <= s.items()
    )
    assert (
        f"| this network | points only | {100 * score['mIoU']:.1f} |"
        in (SHIPPED / "README.md").read_text()
    )
    xyz = XYZ[:50]
    assert net.query(xyz, RGB[:50], "a place to sit").shape == (50,)


def test_the_card_that_somebody_wrote_stays(own: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "README.md").write_text("mine")
    load(own).save_pretrained(tmp_path / "out")
    assert (tmp_path / "out" / "README.md").read_text() == "mine"


def test_names_stay_text_in_the_card(own: Path, tmp_path: Path) -> None:
    net = load(own)
    object.__setattr__(net.trained, "classes", ["<script>alert(1)</script>", "a|b", "`c`"])
    net.details |= {"data": {"name": "x\n---\n# y", "licence": "<b>"}, "licence": "mit\nfoo: bar"}
    net.save_pretrained(tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text()
    assert "<script>" not in card
    assert "a\\|b" in card
    assert "# y" not in card.splitlines()
    meta = ModelCard(card).data.to_dict()
    assert meta["license"] == "mitfoo:bar"
    assert "foo" not in meta


HOSTILE: dict[str, Callable[[dict[str, Any]], Any]] = {
    "no json": lambda c: "{",
    "no object": lambda c: [c],
    "no text": lambda c: b"\xff\xfe{",
    "too deep": lambda c: "[" * 200_000,
    "other format": lambda c: c | {"format": 2},
    "other classes": lambda c: c | {"classes": c["classes"][::-1]},
    "other voxels": lambda c: c | {"voxel_size": 1e9},
    "no inputs": lambda c: {k: v for k, v in c.items() if k != "inputs"},
    "colours that are none": lambda c: c | {"colors": {"chair": "red"}},
    "colours in a list": lambda c: c | {"colors": ["#000000"]},
    "scores in words": lambda c: c | {"scores": "100 %"},
    "data in a list": lambda c: c | {"data": [1]},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_description_is_refused_in_a_sentence(
    name: str, own: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    load(own).save_pretrained(folder)
    path = folder / "config.json"
    bad = HOSTILE[name](json.loads(path.read_text()))
    content = bad if isinstance(bad, str | bytes) else json.dumps(bad)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    for read in (load, networks.Network.from_pretrained):
        with pytest.raises(BadInput) as refused:
            read(folder)
        assert str(refused.value).startswith(f"{path}: ")
        assert "\n" not in str(refused.value)


def test_what_a_description_adds_reaches_no_constructor(own: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    load(own).save_pretrained(folder)
    content = json.loads((folder / "config.json").read_text())
    content |= {"trained": {"network": 1}, "max_voxels": -1, "path": "/etc/passwd", "tower": 3}
    content |= {"weights": "../other.safetensors"}
    (folder / "config.json").write_text(json.dumps(content))
    net = load(folder)
    assert isinstance(net.trained, Trained)
    assert net.max_voxels == networks.MOST_VOXELS
    assert net.path == folder / "model.safetensors"


def test_a_network_is_fetched_from_the_hub_and_pushed_to_it(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A local folder takes the place of the hub."""
    hub = tmp_path / "hub"

    class Api:
        def __init__(self, **options: Any) -> None:
            pass

        def create_repo(self, repo_id: str, **options: Any) -> Any:
            return type("Repo", (), {"repo_id": repo_id})

        def upload_folder(self, *, repo_id: str, folder_path: Path, **options: Any) -> str:
            shutil.copytree(folder_path, hub / repo_id)
            return "done"

    def download(repo_id: str, **options: Any) -> str:
        assert options["revision"] == "v1"
        if not (hub / repo_id).is_dir():
            raise OSError("no such model.\nat all")
        return str(hub / repo_id)

    monkeypatch.setattr(huggingface_hub.hub_mixin, "HfApi", Api)
    monkeypatch.setattr(sources, "snapshot_download", download)
    assert load(own).push_to_hub("me/rooms") == "done"
    assert files(hub / "me/rooms") == FILES
    monkeypatch.chdir(tmp_path)
    net = networks.Network.from_pretrained("me/rooms", revision="v1")
    assert net.query(XYZ, RGB, "chair").shape == (200,)
    with pytest.raises(BadInput, match=r"me/none: cannot be fetched \(no such model\); "):
        networks.Network.from_pretrained("me/none", revision="v1")


def test_a_run_is_released_with_its_recipe_scans_and_keys(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    plan = tiny_store.plan(tmp_path / "store")
    plan.write()
    assert release("scannet/esgs-0", tmp_path / "out").stderr.startswith(
        str(plan.link("train", "esgs-0"))
    )
    plan.link("train", "esgs-0").parent.mkdir(parents=True)
    shutil.copy(own, plan.link("train", "esgs-0"))
    plan.results.mkdir(parents=True)
    shutil.copy(table(tmp_path), plan.results / "table.json")
    done = release("scannet/esgs-0", tmp_path / "out")
    assert done.exit_code == 0, done.output
    net = load(tmp_path / "out")
    assert net.details["data"]["train"] == ["scene0000_00"]
    keys = net.details["data"]["keys"]
    assert keys.items() <= plan.keys.items()
    assert {"train", "targets", "embeddings", "frames", "text", "tags"} <= keys.keys()
    assert not {"evaluate", "supervised", "clouds"} & keys.keys()
    assert len(net.details["scores"]) == 8
    card = (tmp_path / "out" / "README.md").read_text()
    assert f"| key of voxels | {plan.keys['voxels']} |" in card
    assert "ScanNet's terms of use" in card
    for wrong, said in (("scannet/other-0", "is no run"), ("demo/esgs-0", "neither a file nor")):
        done = release(wrong, tmp_path / "more")
        assert done.exit_code == 1
        assert said in done.stderr


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"seed": 1}, "has no row ess_esgs of seed 0"),
        ({"trained_on": 12}, "is of a network with other classes or training scans"),
        ({"classes": CLASSES[::-1]}, "is of a network with other classes or training scans"),
    ],
)
def test_scores_of_another_network_are_refused(
    changed: dict[str, Any], said: str, own: Path, tmp_path: Path
) -> None:
    done = release(own, tmp_path / "out", f"--scores={table(tmp_path, **changed)}")
    assert done.exit_code == 1
    assert said in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_folder_with_something_in_it_is_not_written_over(own: Path, tmp_path: Path) -> None:
    done = release(own, tmp_path)
    assert done.exit_code == 1
    assert "is there already; name a folder that is new or empty" in done.stderr
