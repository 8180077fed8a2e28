"""Features made elsewhere are checked, kept and fused as those of an image tower are."""

import pickle
import re
import shutil
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import zarr

from pipeline.errors import BadInput
from pipeline.facts import Facts
from pipeline.grids.affine import pixel_to_grid
from pipeline.grids.codecs import fp16
from pipeline.jobs import entries
from pipeline.plan import config, schema, weights
from pipeline.plan.plan import Plan
from pipeline.readers.features import embeddings as taken
from pipeline.readers.features import reader
from pipeline.readers.features import text as taken_text
from pipeline.stages import embeddings, frames, projections, targets, text, voxels
from pipeline.store import arrays, groups, publish
from tests.helpers import room, tiny_clip, tiny_store

SCAN = "scene0000_00"
WORDS = [{"name": "table", "prompts": ["table"]}, {"name": "chair", "prompts": ["chair"]}]
TOWER = {"recipe": "plain", "image_size": None, "window": None, "stride": None, "batch": 4}


def put_texts(folder: Path, names: Any = ("chair", "lamp", "table"), width: int = 4) -> np.ndarray:
    matrix = np.random.default_rng(0).normal(size=(len(names), width)).astype(np.float32)
    np.savez(folder / reader.TEXT, embedding=matrix, classes=np.array(names))
    return matrix


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Features of the frames 0, 20 and 40 of a scan: 2 x 3 cells of 4 numbers."""
    home = tmp_path / "features"
    (home / SCAN).mkdir(parents=True)
    put_texts(home)
    rng = np.random.default_rng(1)
    for frame_id in (0, 20, 40):
        np.save(home / SCAN / f"{frame_id}.npy", rng.normal(size=(2, 3, 4)).astype(np.float32))
    return home


def opened(folder: Path) -> reader.Features:
    return reader.open_features(folder, SCAN, reader.read_texts(folder))


def framed(ids: list[int]) -> Any:
    group = zarr.create_group(zarr.storage.MemoryStore())
    group.create_array("frame_id", data=np.array(ids, np.int64))
    group.attrs["color_size"] = [30, 20]
    return group


def test_the_frames_that_are_asked_for_become_grids_of_unit_vectors_in_their_order(
    folder: Path,
) -> None:
    out = room.run(taken, {}, frames=framed([40, 0]), raw=opened(folder))
    assert (out["grid"].shape, out["grid"].dtype) == ((2, 2, 3, 4), np.float16)
    for frame_id, grid in zip((40, 0), out["grid"][:], strict=True):
        given = np.load(folder / SCAN / f"{frame_id}.npy")
        expected = given / np.linalg.norm(given, axis=-1, keepdims=True)
        np.testing.assert_allclose(grid, expected, atol=1e-3)
    assert out.attrs["pixel_to_grid"] == pixel_to_grid((30, 20), (3, 2))
    exact = taken.Worker({}, {"codec": fp16}).exact(framed([40, 0]), opened(folder))
    np.testing.assert_allclose(np.linalg.norm(exact, axis=-1), 1, atol=1e-6)
    np.testing.assert_array_equal(exact.astype(np.float16), out["grid"][:])


@pytest.mark.parametrize(
    ("size", "shape", "right"),
    [
        ([30, 20], (3, 2), False),
        ([20, 30], (2, 3), False),
        ([20, 30], (3, 2), True),
        ([30, 20], (2, 2), True),  # a model that reads square images
        ([20, 20], (3, 2), True),
    ],
)
def test_grids_with_columns_first_are_refused(
    folder: Path, size: list[int], shape: tuple[int, int], right: bool
) -> None:
    np.save(folder / SCAN / "0.npy", np.ones((*shape, 4), np.float32))
    group = framed([0])
    group.attrs["color_size"] = size
    if right:
        assert room.run(taken, {}, frames=group, raw=opened(folder))["grid"].shape[1:3] == shape
    else:
        with pytest.raises(BadInput, match=r"/0\.npy: has . rows and . columns.*rows first"):
            room.run(taken, {}, frames=group, raw=opened(folder))


def test_an_array_of_zarr_is_read_as_the_same_array_of_numpy_is(folder: Path) -> None:
    plain = room.run(taken, {}, frames=framed([0, 20]), raw=opened(folder))["grid"][:]
    for frame_id in (0, 20):
        path = folder / SCAN / f"{frame_id}.npy"
        zarr.save_array(path.with_suffix(".zarr"), np.load(path), zarr_format=3)
        path.unlink()
    assert {Path(n).parts[0] for n in reader.scan_files(folder, SCAN)} == {
        *("0.zarr", "20.zarr", "40.npy")
    }
    again = room.run(taken, {}, frames=framed([0, 20]), raw=opened(folder))["grid"][:]
    np.testing.assert_array_equal(plain, again)


def test_pixels_without_a_feature_stay_zeros(folder: Path) -> None:
    path = folder / SCAN / "20.npy"
    given = np.load(path)
    given[1, 2] = 0
    np.save(path, given.astype(np.float16))
    grid = room.run(taken, {"codec": "int8"}, frames=framed([20]), raw=opened(folder))
    assert not grid["code"][0, 1, 2].any()
    assert grid["code"][0, 0].any(axis=-1).all()


def test_texts_are_rows_by_name_at_unit_length(folder: Path) -> None:
    matrix = put_texts(folder)
    out = room.run(taken_text, {"classes": ["table", "chair"]}, raw=reader.read_texts(folder))
    rows = matrix[[2, 0]]
    expected = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    np.testing.assert_allclose(out["embedding"][:], expected, rtol=1e-6)
    assert out.attrs["classes"] == ["table", "chair"]
    with pytest.raises(BadInput, match="has no row for 2 of the classes, the first: sofa"):
        room.run(taken_text, {"classes": ["sofa", "chair", "mug"]}, raw=reader.read_texts(folder))


# What is refused


def frame(array: np.ndarray) -> Any:
    return lambda home: np.save(home / SCAN / "20.npy", array)


def cut(home: Path) -> None:
    path = home / SCAN / "20.npy"
    path.write_bytes(path.read_bytes()[:-7])


def pickled(home: Path) -> None:
    (home / SCAN / "20.npy").write_bytes(pickle.dumps(np.zeros((2, 3, 4))))


def archive(home: Path) -> None:
    shutil.copy(home / reader.TEXT, home / SCAN / "20.npy")


def objects(home: Path) -> None:
    np.save(home / SCAN / "20.npy", np.full((2, 3, 4), None), allow_pickle=True)


def in_python_s_code(home: Path) -> None:
    (home / SCAN / "20.npy").unlink()
    group = zarr.open_group(home / SCAN, mode="a", zarr_format=2)
    group.create_array("20.zarr", shape=(2, 3, 4), dtype="f4", compressors=numcodecs.Pickle())


def zarr_without_a_chunk(home: Path) -> None:
    (home / SCAN / "20.npy").unlink()
    path = home / SCAN / "20.zarr"
    zarr.create_array(store=str(path), shape=(2, 3, 4), dtype="f4", chunks=(1, 3, 4))[:] = ONES
    next(file for file in path.rglob("*") if file.is_file() and file.name != "zarr.json").unlink()


ONES = np.ones((2, 3, 4), np.float32)
BAD_FRAMES = {
    "another shape": (frame(ONES[0]), r"20\.npy: is float32 \(3, 4\), not float16 or float32"),
    "no cells": (frame(ONES[:0]), "20.npy: "),
    "whole numbers": (frame(ONES.astype(int)), r"is int64 \(2, 3, 4\), not float16"),
    "another width": (frame(ONES[..., :3]), "vectors of 3 numbers, and the texts have 4"),
    "another size": (frame(ONES[:1]), r"has grids of \(1, 3\) and of \(2, 3\) cells"),
    "infinite": (frame(ONES * np.inf), "has numbers that are not finite"),
    "not a number": (frame(ONES * np.nan), "has numbers that are not finite"),
    "cut short": (cut, r"20\.npy: cannot be read \("),
    "a pickle": (pickled, "it is not an array of numpy"),
    "an archive": (archive, "it is not an array of numpy"),
    "objects": (objects, r"20\.npy: cannot be read \("),
    "zarr that runs code": (in_python_s_code, r"20\.zarr: cannot be read \("),
    "zarr that lacks a chunk": (zarr_without_a_chunk, "1 of its 2 chunks have no file"),
    "missing": (lambda home: (home / SCAN / "20.npy").unlink(), "has no features of frame 20"),
    "no id": (lambda h: np.save(h / SCAN / "a.npy", ONES), r"a\.npy: is not named by the id"),
    "twice": (lambda h: np.save(h / SCAN / "020.npy", ONES), "is a duplicate of frame 20"),
}


@pytest.mark.parametrize(("spoil", "said"), BAD_FRAMES.values(), ids=BAD_FRAMES.keys())
def test_bad_features_are_named_in_one_sentence(folder: Path, spoil: Any, said: str) -> None:
    spoil(folder)
    with pytest.raises(BadInput, match=said) as caught:
        room.run(taken, {}, frames=framed([0, 20]), raw=opened(folder))
    assert str(caught.value).startswith(str(folder))
    assert "\n" not in str(caught.value)


BAD_TEXTS = {
    "missing": (None, "cannot be read"),
    "no names": ({"embedding": ONES[0]}, "classes is not a file in the archive"),
    "too few names": ({"embedding": ONES[0], "classes": ["a"]}, "names its 3 rows by"),
    "numbers for names": ({"embedding": ONES[0], "classes": [1, 2, 3]}, "names its 3 rows by"),
    "a name twice": ({"embedding": ONES[0], "classes": ["a", "b", "a"]}, "has two rows for a"),
    "pickled names": (
        {"embedding": ONES[0], "classes": np.array(["a", 2, None])},
        "cannot be read",
    ),
    "no matrix": ({"embedding": ONES, "classes": ["a", "b"]}, "not float"),
    "a row of zeros": ({"embedding": 0 * ONES[0], "classes": list("abc")}, "a row of zeros"),
    "infinite": ({"embedding": np.inf * ONES[0], "classes": list("abc")}, "not finite"),
}


@pytest.mark.parametrize(("content", "said"), BAD_TEXTS.values(), ids=BAD_TEXTS.keys())
def test_bad_texts_are_named_in_one_sentence(tmp_path: Path, content: Any, said: str) -> None:
    if content is not None:
        np.savez(tmp_path / reader.TEXT, **content)
    with pytest.raises(BadInput, match=said) as caught:
        reader.read_texts(tmp_path)
    assert str(caught.value).startswith(str(tmp_path / reader.TEXT))
    assert "\n" not in str(caught.value)


# In a run


def test_what_our_tower_gives_and_is_brought_as_files_is_fused_to_the_same_targets(
    tmp_path: Path,
) -> None:
    model = {"model": tiny_clip.write(tmp_path / "clip"), "pretrained": None}
    raw = room.recording(n_frames=4)
    inputs = {
        "frames": room.run(frames, {"every": 1}, raw=raw),
        "voxels": room.run(voxels, {"voxel_size": 0.1}, raw=room.cloud()),
    }
    seen = room.run(projections, room.PROJECTIONS, **inputs)
    ours = room.run(embeddings, model | TOWER, frames=inputs["frames"])
    words = room.run(text, model | {"classes": WORDS, "templates": ["a {}"]})

    plan = Plan(Facts.from_json(facts_with(tmp_path, tmp_path / "features")))
    (tmp_path / "features" / SCAN).mkdir(parents=True)
    for frame_id, grid in zip(inputs["frames"]["frame_id"][:], ours["grid"][:], strict=True):
        np.save(tmp_path / "features" / SCAN / f"{frame_id:06d}.npy", grid.astype(np.float32))
    names = np.array(words.attrs["classes"])
    np.savez(tmp_path / "features" / reader.TEXT, embedding=words["embedding"][:], classes=names)
    plan = planned_now(plan)
    with publish.place(plan.home("frames", SCAN)) as path, groups.create(path) as out:
        arrays.write(out, "frame_id", inputs["frames"]["frame_id"][:])
        out.attrs["color_size"] = inputs["frames"].attrs["color_size"]
    for stage, name in (("embeddings", SCAN), ("text", "classes")):
        with publish.place(plan.home(stage, name), plan.recipe(stage)) as path:
            entries.load(stage, plan)(name, path)
    theirs: Any = groups.read(plan.home("embeddings", SCAN))
    assert theirs.attrs["pixel_to_grid"] == ours.attrs["pixel_to_grid"]
    both = [room.run(targets, {}, embeddings=e, projections=seen) for e in (ours, theirs)]
    assert len(both[0]["voxel"][:]) > 100
    np.testing.assert_array_equal(both[0]["voxel"][:], both[1]["voxel"][:])
    np.testing.assert_allclose(both[0]["feature"][:], both[1]["feature"][:], atol=1e-3)
    read: Any = groups.read(plan.home("text", "classes"))
    np.testing.assert_allclose(read["embedding"][:], words["embedding"][:], atol=1e-6)


def facts_with(root: Path, folder: Path) -> dict[str, Any]:
    facts = tiny_store.facts(root / "store", [SCAN], []) | {"classes": WORDS}
    facts["section"]["embeddings"] = {"features": str(folder), "recipe": "plain"}
    return facts


def planned_now(plan: Plan) -> Plan:
    """The plan again, with what is in the files now."""
    facts: Any = plan.facts.to_json()
    root, folder = Path(facts["store"]), plan.facts.features
    facts["weights"] = weights.weights_digest(facts["section"]["embeddings"], root)
    assert folder is not None
    found = weights.features_digests(folder, [SCAN], root / "scannet" / "raw", True)
    facts["raw_digests"][SCAN] |= found[SCAN]
    return Plan(Facts.from_json(facts))


def test_entries_are_named_by_what_the_files_hold_and_not_by_where_they_lie(
    tmp_path: Path, folder: Path
) -> None:
    plan = planned_now(Plan(Facts.from_json(facts_with(tmp_path, folder))))
    moved = tmp_path / "elsewhere"
    shutil.copytree(folder, moved)
    same = planned_now(Plan(Facts.from_json(facts_with(tmp_path, moved))))
    assert same.home("embeddings", SCAN) == plan.home("embeddings", SCAN)
    assert same.keys == plan.keys

    np.save(moved / SCAN / "20.npy", 2 * ONES)
    other = planned_now(same)
    assert other.keys == plan.keys
    for stage in ("embeddings", "targets"):
        assert other.home(stage, SCAN) != plan.home(stage, SCAN)
    assert other.home("projections", SCAN) == plan.home("projections", SCAN)
    with pytest.raises(BadInput, match=f"the features of {SCAN} have changed"):
        weights.open_features(same, SCAN)

    put_texts(moved, ("chair", "mug", "table"))
    with pytest.raises(BadInput, match="the texts have changed"):
        weights.open_texts(other)
    texts = planned_now(other)
    assert texts.keys["embeddings"] == plan.keys["embeddings"]
    assert texts.keys["text"] != plan.keys["text"]


def test_a_machine_without_the_features_plans_by_what_the_store_remembers(
    tmp_path: Path, folder: Path
) -> None:
    plan = planned_now(Plan(Facts.from_json(facts_with(tmp_path, folder))))
    folder.rename(tmp_path / "gone")
    assert planned_now(Plan(plan.facts)).home("embeddings", SCAN) == plan.home("embeddings", SCAN)
    with pytest.raises(BadInput, match=f"no such folder, and the store lacks .* of {SCAN}"):
        weights.require_features(plan)


def test_a_scan_without_features_is_named_before_any_job(tmp_path: Path, folder: Path) -> None:
    (folder / SCAN).rename(folder / "scene0009_00")
    with pytest.raises(BadInput, match=re.escape(f"{folder / SCAN}: has no features")):
        planned_now(Plan(Facts.from_json(facts_with(tmp_path, folder))))


@pytest.mark.parametrize("tower", ["features: f, model: ViT-B-16", "flip: true"])
def test_the_config_names_a_model_or_features(tmp_path: Path, tower: str) -> None:
    path = tmp_path / "config.yaml"
    described = (schema.SCHEMA.parent / "config.yaml").read_text().partition("# ScanNet v2")[0]
    path.write_text(f"{described}mine: {{scans: s.csv, embeddings: {{{tower}}}}}\n")
    with pytest.raises(BadInput, match=r"mine\.embeddings: "):
        config.load(path)
    path.write_text(path.read_text().replace(tower, "features: f"))
    assert config.load(path)["mine"]["embeddings"]["features"] == "f"
