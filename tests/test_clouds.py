"""A labelled cloud explains its colours and numbers in its header, and is written atomically."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plyfile import PlyData

from model.inference.ply import read_comments, write_heat, write_labels
from model.inference.regions import connected_regions
from pipeline.errors import BadInput
from pipeline.palette import palette

CLASSES = ["wall", "chaise „longue“", "line\nbreak"]
XYZ = np.array([[0, 0, 0], [1, 2, 3], [4, 5, 6.5]], np.float32)


def write(path: Path) -> None:
    label, sure = np.array([1, -1, 1]), np.array([0.5, 0, 1])
    colors = palette(CLASSES, {"wall": "#aec7e8", "chaise „longue“": "#010203"})
    write_labels(path, XYZ, label, sure, np.array([0, -1, 0]), CLASSES, colors)


def test_a_point_has_the_colour_of_its_class_and_the_header_is_the_legend(tmp_path: Path) -> None:
    write(tmp_path / "new" / "cloud.ply")
    vertex = PlyData.read(str(tmp_path / "new" / "cloud.ply"))["vertex"]
    np.testing.assert_array_equal(np.stack([vertex[axis] for axis in "xyz"], 1), XYZ)
    rgb = np.stack([vertex[name] for name in ("red", "green", "blue")], 1)
    assert rgb.tolist() == [[1, 2, 3], [0, 0, 0], [1, 2, 3]]
    assert vertex["label"].tolist() == [1, -1, 1]
    assert vertex["confidence"].tolist() == [0.5, 0, 1]
    assert vertex["segment"].tolist() == [0, -1, 0]
    legend = read_comments(tmp_path / "new" / "cloud.ply")
    assert [line["name"] for line in legend] == CLASSES
    assert [line["class"] for line in legend] == [0, 1, 2]
    assert [line["points"] for line in legend] == [0, 2, 0]
    assert legend[0]["color"] == "#aec7e8"


def test_classes_without_a_colour_get_one_each() -> None:
    colors = palette([str(number) for number in range(200)])
    assert len(np.unique(colors, axis=0)) == 200
    assert (palette(["a", "b"], {"b": "#ff0010"})[1] == [255, 0, 16]).all()


def test_heat_is_hot_where_the_query_fits_best(tmp_path: Path) -> None:
    similarity = np.array([0.1, 0.3, 0.2], np.float32)
    write_heat(tmp_path / "heat.ply", XYZ, similarity, "a place to sit")
    vertex = PlyData.read(str(tmp_path / "heat.ply"))["vertex"]
    np.testing.assert_array_equal(vertex["similarity"], similarity)
    brightness = sum(vertex[name].astype(int) for name in ("red", "green", "blue"))
    assert np.argsort(brightness).tolist() == [0, 2, 1]
    (meaning,) = read_comments(tmp_path / "heat.ply")
    assert meaning["query"] == "a place to sit"
    assert 0.1 <= meaning["from"] < meaning["to"] <= 0.3


def test_equal_similarities_can_be_written(tmp_path: Path) -> None:
    write_heat(tmp_path / "heat.ply", XYZ, np.full(3, 0.25), "x")
    assert len(PlyData.read(str(tmp_path / "heat.ply"))["vertex"]["red"]) == 3


def test_a_file_that_cannot_be_written_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "cloud.ply"
    write(path)
    before = path.read_bytes()

    def full(self: PlyData, partial: str) -> None:
        Path(partial).write_bytes(before[:60])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(PlyData, "write", full)
    with pytest.raises(BadInput, match="No space left"):
        write(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


VOXELS = st.dictionaries(
    st.tuples(*[st.integers(0, 6)] * 3), st.integers(-1, 1), min_size=1, max_size=40
)


@given(VOXELS)
def test_regions_are_those_of_a_flood_fill(voxels: dict[tuple[int, int, int], int]) -> None:
    found = connected_regions(np.array(list(voxels)), np.array(list(voxels.values())))
    of_voxel = dict(zip(voxels, found.tolist(), strict=True))
    left, sizes = {v for v, label in voxels.items() if label >= 0}, {}
    assert {v for v in voxels if of_voxel[v] >= 0} == left
    while left:
        flood = [left.pop()]
        for x, y, z in flood:
            near = [
                (x + i, y + j, z + k) for i in (-1, 0, 1) for j in (-1, 0, 1) for k in (-1, 0, 1)
            ]
            met = [n for n in near if n in left and voxels[n] == voxels[flood[0]]]
            left.difference_update(met)
            flood += met
        (name,) = {of_voxel[v] for v in flood}
        assert name not in sizes
        sizes[name] = len(flood)
    assert sorted(sizes) == list(range(len(sizes)))
    assert [sizes[n] for n in range(len(sizes))] == sorted(sizes.values(), reverse=True)
