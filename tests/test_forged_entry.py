"""A forged entry, correctly sealed, is refused before it is read."""

import json
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from numcodecs import pickles
from numcodecs.blosc import Blosc

from pipeline.store import arrays, entry, groups, publish
from tests.helpers.toy_plan import ToyPlan, is_damaged, read_array

Parts = dict[str, bytes]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Where an entry would lie."""
    home = ToyPlan(tmp_path).home("numbers", "a")
    home.parent.mkdir(parents=True)
    return home


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    """The parts of a sound entry."""
    home = ToyPlan(tmp_path_factory.mktemp("sound")).home("numbers", "a")
    with publish.place(home) as path, groups.create(path, {"k": 1}) as out:
        arrays.write(out, "x", np.arange(99, dtype=np.int32), chunk=50)
    with zipfile.ZipFile(home) as pack:
        return {name: pack.read(name) for name in pack.namelist()}


def forge(home: Path, parts: Parts, packed: int = zipfile.ZIP_STORED, more: Parts = {}) -> None:  # noqa: B006
    """A zip that is sealed as entries are."""
    with zipfile.ZipFile(home, "w", packed) as pack:
        for name, content in [*parts.items(), *more.items()]:
            pack.writestr(name, content)
        pack.comment = entry.seal(home, pack)


def test_a_forged_entry_of_usual_parts_passes(home: Path, parts: Parts) -> None:
    """So the next ones are refused for their content."""
    forge(home, parts)
    assert read_array(home)[-1] == 98


NAMES = ["../x", "x/../../y", "/etc/x", "x\\y", "x/", "x\n", "c:x", "x/c/../0", ".zgroup",
         "x/.zarray", "x/y/zarr.json", "a.py", "x/c/0/zarr.json", "x/c/", "x/c/\u0661"]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_part_of_another_name_is_refused(home: Path, parts: Parts, name: str) -> None:
    forge(home, {**parts, name: b"{}"})
    is_damaged(home, "has a part .* not allowed")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_zip_bombs_duplicates_and_encrypted_parts_are_refused(home: Path, parts: Parts) -> None:
    forge(home, {**parts, "y/c/0": bytes(10_000_000)}, zipfile.ZIP_DEFLATED)
    assert home.stat().st_size < 100_000
    is_damaged(home, "claims more bytes than it has")
    forge(home, {"zarr.json": parts["zarr.json"]}, zipfile.ZIP_DEFLATED)
    is_damaged(home, "compressed or encrypted")
    forge(home, parts, more={"x/c/0": b"other"})
    is_damaged(home, "a duplicate part")
    forge(home, parts)
    content = bytearray(home.read_bytes())
    content[content.index(b"PK\1\2") + 8] |= 1  # "encrypted", in the first part's listing
    home.write_bytes(content)
    is_damaged(home, "compressed or encrypted")


def test_a_part_that_is_left_out_or_renamed_is_not_read_as_zeros(home: Path, parts: Parts) -> None:
    """zarr reads a missing chunk as zeros."""
    forge(home, parts)
    whole = home.read_bytes()
    renamed = whole.rindex(b"x/c/0")
    home.write_bytes(whole[:renamed] + b"x/c/9" + whole[renamed + 5 :])
    with zipfile.ZipFile(home) as pack:
        assert "x/c/9" in pack.namelist()
    is_damaged(home, "other parts than it was made with")


def changed(array: dict[str, Any], change: dict[str, Any]) -> bytes:
    return json.dumps({**array, **change}).encode()


ARRAYS: list[dict[str, Any]] = [
    *({"data_type": kind} for kind in ("object", "string", "r16", "int128", {"name": "x"}, None)),
    *({"codecs": [{"name": "bytes"}, {"name": n}]} for n in ("numcodecs.pickle", "zstd", "os")),
    {"codecs": []}, {"codecs": [{"name": "sharding_indexed"}]}, {"codecs": "bytes"},
    {"storage_transformers": [{"name": "x"}]}, {"node_type": "group", "shape": None},
    *({"shape": shape} for shape in ([10**12], [10**6, 10**6], [-1], [1e3], [True], 3)),
    {"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [10**12]}}},
    {"chunk_grid": None},
]  # fmt: skip


@pytest.mark.parametrize("change", ARRAYS, ids=lambda change: json.dumps(change)[:60])
def test_an_array_that_no_stage_writes_is_refused(
    home: Path, parts: Parts, change: dict[str, Any]
) -> None:
    forge(home, {**parts, "x/zarr.json": changed(json.loads(parts["x/zarr.json"]), change)})
    is_damaged(home)


def test_metadata_with_other_keys_is_refused(home: Path, parts: Parts) -> None:
    array = json.loads(parts["x/zarr.json"])
    inside = {"kind": "inline", "must_understand": False, "metadata": {"x": array}}
    for root in (
        changed(json.loads(parts["zarr.json"]), {"consolidated_metadata": inside}),
        parts["x/zarr.json"],
        b"[]",
        b"[" * 100_000,
        b"not json",
        b"\xff",
    ):
        forge(home, {**parts, "zarr.json": root})
        is_damaged(home)
        forge(home, {**parts, "x/zarr.json": root})
        if root != parts["x/zarr.json"]:
            is_damaged(home)


@pytest.mark.parametrize("claimed", [0, 4, 199, 201, 1 << 31, (1 << 32) - 1])
def test_a_chunk_that_claims_another_size_than_its_array_is_not_unpacked(
    home: Path, parts: Parts, claimed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Blosc, "decode", lambda *_: pytest.fail("it was unpacked"))
    chunk = parts["x/c/0"]
    bomb = chunk[:4] + claimed.to_bytes(4, "little") + chunk[8:]
    for content in (bomb, chunk[:15], chunk + b"more"):
        forge(home, {**parts, "x/c/0": content})
        with pytest.raises(entry.Damaged, match=r"chunk 'x/c/0' that claims"):
            read_array(home)


class Harm:
    """What runs when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


def test_no_code_in_an_entry_is_run(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "harm"
    array = {
        "zarr_format": 2, "shape": [1], "chunks": [1], "dtype": "|O", "order": "C",
        "fill_value": None, "filters": [{"id": "vlen-bytes"}], "compressor": {"id": "pickle"},
    }  # fmt: skip
    parts = {".zgroup": b'{"zarr_format": 2}', "x/.zarray": json.dumps(array).encode()}
    forge(home, {**parts, "x/0": pickle.dumps(Harm(mark))})
    monkeypatch.setattr(pickles, "ALLOW_UNSAFE_PICKLE_DECODE", True)  # as older releases had it
    with pytest.raises(entry.Damaged):
        read_array(home)
    assert not mark.exists()
    opened = zarr.open_group(zarr.storage.ZipStore(home, mode="r"), mode="r")["x"]
    assert isinstance(opened, zarr.Array)
    with pytest.raises(TypeError, match="bytes-like"):  # for what the forged code returned
        opened[...]
    assert mark.exists(), "zarr itself no longer runs it, so this test proves nothing"
