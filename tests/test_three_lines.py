"""A network in three lines: arrays in, arrays out, exactly as `predict` labels a scan."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from numpy.typing import NDArray
from plyfile import PlyData

from model import load
from model.inference.network import Network
from pipeline.cli.main import main
from pipeline.errors import BadInput
from pipeline.readers.ply import read_points
from tests.helpers import tiny_clip
from tests.helpers.tiny_entries import CLASSES
from tests.helpers.tiny_network import network
from tests.helpers.tiny_ply import points, write_ply

SHIPPED = Path(__file__).parents[1] / "data_manifest/demo/network/ess_esgs.safetensors"
QUERY = "a place to sit"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    return network(folder, tiny_clip.write(folder / "clip"))


@pytest.fixture(scope="module")
def net(tiny: Path) -> Network:
    return load(tiny)


def colors(xyz: NDArray[np.float64]) -> NDArray[np.uint8]:
    return np.rint(80 * xyz.clip(0, 3)).astype(np.uint8)


@pytest.mark.parametrize("given", [None, "normals of the file"])
def test_points_are_labelled_as_predict_labels_them(
    given: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the network that comes with the repository, which takes normals, from any folder."""
    normal = np.tile([0.0, 0.6, 0.8], (3000, 1)) if given else None
    scan = write_ply(tmp_path / "room.ply", points(), normal=normal)
    options = [f"--scan={scan}", f"--network={SHIPPED}", f"--query={QUERY}", f"--out={tmp_path}"]
    done = CliRunner().invoke(main, ["predict", *options])
    assert done.exit_code == 0, done.output
    monkeypatch.chdir(tmp_path)
    xyz, rgb, normals = read_points(scan)
    own = load(SHIPPED)
    labels = own.label(xyz, rgb, normals)
    vertex = PlyData.read("labels.ply")["vertex"]
    np.testing.assert_array_equal(labels.ids, vertex["label"])
    np.testing.assert_array_equal(labels.confidence, vertex["confidence"])
    shown = np.stack([vertex[channel] for channel in ("red", "green", "blue")], 1)
    np.testing.assert_array_equal(own.colors[labels.ids], shown)
    heat = own.query(xyz, rgb, QUERY, normals)
    np.testing.assert_array_equal(heat, PlyData.read("heat.ply")["vertex"]["similarity"])


def test_labels_are_names_numbers_and_probabilities_of_the_points(net: Network) -> None:
    xyz = points(500)
    labels = net.label(xyz, colors(xyz))
    assert len(labels) == 500
    assert labels.classes == CLASSES
    assert labels.names.tolist() == [CLASSES[number] for number in labels.ids]
    assert labels.probability.shape == (500, len(CLASSES))
    np.testing.assert_allclose(labels.probability.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(labels.confidence, labels.probability.max(axis=1))


def test_georeferenced_points_have_the_labels_of_those_near_the_origin(net: Network) -> None:
    xyz = points()
    far = net.label(xyz + np.array([448262, 5411932, 2000]), colors(xyz))
    np.testing.assert_array_equal(far.ids, net.label(xyz, colors(xyz)).ids)


def test_several_queries_are_columns(net: Network) -> None:
    xyz = points(300)
    both = net.query(xyz, colors(xyz), ["chair", "table"])
    assert both.shape == (300, 2)
    np.testing.assert_allclose(net.query(xyz, colors(xyz), "table"), both[:, 1], atol=1e-6)
    assert np.abs(both).max() <= 1 + 1e-5


def test_colours_are_bytes_or_floats_up_to_one_or_unknown(net: Network) -> None:
    xyz, rgb = points(400), colors(points(400))
    expected = net.label(xyz, rgb).probability
    for same in (rgb.astype(np.int64), rgb / 255, (rgb / 255).astype(np.float32), rgb.tolist()):
        np.testing.assert_array_equal(net.label(xyz, same).probability, expected)
    with pytest.warns(UserWarning, match="no colours are given; all points become grey"):
        grey = net.label(xyz).probability
    np.testing.assert_array_equal(net.label(xyz, np.full((400, 3), 128)).probability, grey)


def test_shares_of_white_that_became_integers_are_told(net: Network) -> None:
    xyz = points(40)
    for black in ((colors(xyz) > 99).astype(int), np.zeros((40, 3)), colors(xyz) / 255 / 255):
        with pytest.warns(UserWarning, match="rgb: all points are black .0 or 1 of 255."):
            net.label(xyz, black)


def test_a_query_that_is_longer_than_the_tower_reads_is_told() -> None:
    own = load(SHIPPED)
    with pytest.warns(UserWarning, match="^'chair chair chair .*fills the context of the text"):
        own.query(XYZ, RGB, "chair " * 500)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        own.query(XYZ, RGB, ["a place to sit", "a chair that stands beside the table"])


XYZ, RGB = points(9), np.full((9, 3), 90, np.uint8)
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no point": ({"xyz": np.zeros((0, 3)), "rgb": np.zeros((0, 3))}, "xyz: has no point; "),
    "flat": ({"xyz": XYZ.ravel()}, "xyz: has the shape (27,); give one of shape (N, 3)."),
    "transposed": ({"xyz": XYZ.T}, "xyz: has the shape (3, 9); "),
    "ragged": ({"xyz": [[1, 2, 3], [4, 5]]}, "xyz: is no array of numbers; "),
    "words": ({"xyz": [["a", "b", "c"]]}, "xyz: is no array of numbers; "),
    "gradients": ({"xyz": torch.ones((9, 3), requires_grad=True)}, "xyz: is no array of numbers; "),
    "masked": ({"xyz": np.ma.masked_greater(XYZ, 2)}, "xyz: has values that are masked; "),
    "nan": ({"xyz": np.where(XYZ > 2.5, np.nan, XYZ)}, "xyz: is not finite in "),
    "millimetres": ({"xyz": points(999) * 1000, "rgb": None}, "m high if its unit is the metre"),
    "other count": ({"rgb": RGB[:5]}, "rgb: has the shape (5, 3); give one of shape (9, 3)."),
    "alpha": ({"rgb": np.zeros((9, 4))}, "rgb: has the shape (9, 4); "),
    "255.0": ({"rgb": np.full((9, 3), 255.0)}, "rgb: has floats from 255 to 255; give floats"),
    "256": ({"rgb": np.full((9, 3), 256)}, "rgb: has integers from 256 to 256; give them from"),
    "flags": ({"rgb": np.zeros((9, 3), bool)}, "rgb: is no array of numbers; "),
    "normal": ({"normal": np.full((9, 3), np.inf)}, "normal: is not finite in 9 of 9 points; "),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.filterwarnings("ignore:no colours")
def test_arrays_that_are_no_cloud_are_refused_in_a_sentence(name: str, net: Network) -> None:
    changed, said = BAD[name]
    given: dict[str, Any] = {"xyz": XYZ, "rgb": RGB} | changed
    for ask in (net.label, lambda **cloud: net.query(words="chair", **cloud)):
        with pytest.raises(BadInput) as refused:
            ask(**given)
        assert said in str(refused.value)


@pytest.mark.parametrize("words", ["", "  ", [], ["chair", ""], [3], None, 5])
def test_a_query_without_words_is_refused(words: Any, net: Network) -> None:
    with pytest.raises(BadInput, match="query: has no words"):
        net.query(XYZ, RGB, words)


def test_a_cloud_of_one_point_has_a_label() -> None:
    labels = load(SHIPPED).label([[1.0, 2.0, 0.5]], [[200, 10, 10]])
    assert len(labels.names) == 1


DAMAGE = {
    "tensors": (b'"network.head.weight"', b'"network.head.weighs"'),
    "planes": (b'\\"planes\\": [16, 16', b'\\"planes\\": [16, -6'),
    "voxel size": (b'"voxel_size": "0.1"', b'"voxel_size": "1e9"'),
    "classes": (b'[\\"floor\\", \\"wall\\", ', b'[\\"floor\\", 123456, '),
    "tower": (b'"tower": "{\\"model\\"', b'"tower": "{\\"mOdel\\"'),
}


@pytest.mark.parametrize("bad", ["cut off", *DAMAGE])
def test_a_damaged_network_is_refused_in_a_sentence(bad: str, tiny: Path, tmp_path: Path) -> None:
    content, path = tiny.read_bytes(), tmp_path / "network.safetensors"
    content = content.replace(*DAMAGE[bad]) if bad in DAMAGE else content[:-100]
    assert content != tiny.read_bytes()
    path.write_bytes(content)
    with pytest.raises(BadInput) as refused:
        load(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "source", ["nothing.safetensors", "no/such/network", "folder/net.safetensors"]
)
def test_what_is_no_network_at_all_is_named(source: str) -> None:
    with pytest.raises(
        BadInput, match=r"no such file; name a \.safetensors file, a release folder"
    ):
        load(source)


def test_a_text_tower_is_found_above_the_network_or_where_it_is_named(tmp_path: Path) -> None:
    tower = tiny_clip.write(tmp_path / "towers" / "clip").removeprefix("local-dir:")
    home = tmp_path / "networks" / "mine"
    home.mkdir(parents=True)
    path = network(home, f"local-dir:{tower}", model="local-dir:towers/clip")
    found = load(path).query(XYZ, RGB, "chair")
    moved = (tmp_path / "towers").rename(tmp_path / "elsewhere")
    with pytest.raises(BadInput, match=r"no such file; .* `load\(network, tower=FOLDER\)`"):
        load(path).query(XYZ, RGB, "chair")
    np.testing.assert_array_equal(load(path, tower=moved / "clip").query(XYZ, RGB, "chair"), found)
    other = tiny_clip.write(tmp_path / "other", seed=1).removeprefix("local-dir:")
    with pytest.raises(BadInput, match="other weights than those"):
        load(path, tower=other).query(XYZ, RGB, "chair")
    with pytest.raises(BadInput, match="no such file or folder; give the text tower's"):
        load(path, tower=tmp_path / "nowhere")


def test_templates_that_this_version_does_not_have_are_refused_in_a_sentence(
    tmp_path: Path,
) -> None:
    path = network(tmp_path, tiny_clip.write(tmp_path / "clip"), templates="imagenet_81")
    with pytest.raises(BadInput, match="names the templates 'imagenet_81', which this version"):
        load(path).query(points(), None, "a chair")
