"""The manifest names scans that can be trusted, and raw files are read once."""

import os
from pathlib import Path

import pytest
from tqdm import tqdm

from pipeline.errors import BadInput
from pipeline.plan import digests, manifest
from pipeline.progress import Progress

DATA = Path(__file__).parent.parent / "data_manifest"


@pytest.mark.parametrize(
    ("dataset", "train", "val"),
    [
        ("scannet", 1201, 312),
        ("s3dis", 204, 68),
        ("demo", 28, 12),
        ("simulated", 200, 40),
        ("demo_s3dis", 10, 4),
    ],
)
def test_the_splits_have_their_known_sizes(dataset: str, train: int, val: int) -> None:
    splits = [row["split"] for row in manifest.read_scans(DATA / dataset / "scans.csv")]
    assert (splits.count("train"), splits.count("val")) == (train, val)


def test_no_room_of_one_simulated_set_is_in_another() -> None:
    seeds = [
        row["seed"]
        for dataset in ("demo", "simulated", "demo_s3dis")
        for row in manifest.read_scans(DATA / dataset / "scans.csv")
    ]
    assert len(seeds) == len(set(seeds))


@pytest.mark.parametrize("scan", ["../up", "a/b", "", "a\nb", ".hidden"])
def test_names_that_could_leave_a_folder_are_refused(tmp_path: Path, scan: str) -> None:
    path = tmp_path / "scans.csv"
    path.write_text(f'scan,split\n"{scan}",train\n')
    with pytest.raises(BadInput, match=r"scans\.csv"):
        manifest.read_scans(path)


def test_unknown_classes_in_a_tag_file_are_named(tmp_path: Path) -> None:
    path = tmp_path / "tags.csv"
    path.write_text("scan,classes\ns1,wall|floor\ns2,wall|flor\n")
    with pytest.raises(BadInput, match="'flor'"):
        manifest.read_tags(path, [{"name": "wall"}, {"name": "floor"}])


def test_names_of_columns_may_be_in_capitals(tmp_path: Path) -> None:
    path = tmp_path / "tags.csv"
    path.write_text("Scan,CLASSES\ns1,wall\n")
    assert manifest.read_tags(path, [{"name": "wall"}]) == {"s1": ["wall"]}


@pytest.fixture
def raw(tmp_path: Path) -> dict[str, dict[str, dict[str, Path]]]:
    files = {}
    for scan in ("s1", "s2"):
        path = tmp_path / f"{scan}.sens"
        path.write_bytes(scan.encode() * 1000)
        files[scan] = {"frames": {"sens": path}}
    return files


def test_raw_files_are_hashed_once(
    raw: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = digests.raw_digests(raw, tmp_path / "records")
    monkeypatch.setattr(digests, "hash_file", lambda *_: pytest.fail("read twice"))
    assert digests.raw_digests(raw, tmp_path / "records") == first
    assert first["s1"] != first["s2"]
    without_raw_data = dict.fromkeys(raw)
    assert digests.raw_digests(without_raw_data, tmp_path / "records") == first


def test_a_file_that_is_added_to_a_scan_is_the_only_one_that_is_read(
    raw: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = digests.raw_digests(raw, tmp_path / "records")
    added, read, real = tmp_path / "labels.tsv", [], digests.hash_file
    added.write_text("labels")
    raw["s1"]["labels"] = {"label_map": added}

    def counted(path: Path, bar: tqdm) -> str:
        read.append(path)
        return real(path, bar)

    monkeypatch.setattr(digests, "hash_file", counted)
    second = digests.raw_digests(raw, tmp_path / "records")
    assert read == [added]
    assert second["s1"]["frames"] == first["s1"]["frames"]
    assert set(second["s1"]) == {"frames", "labels"}


def test_hashing_goes_on_where_it_was_interrupted(
    raw: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    real = digests.hash_file

    def interrupted(path: Path, bar: Progress) -> str:
        if path.stem == "s2" and "s2" not in read:
            read.append("s2")
            raise KeyboardInterrupt
        read.append(path.stem)
        return real(path, bar)

    monkeypatch.setattr(digests, "hash_file", interrupted)
    with pytest.raises(KeyboardInterrupt):
        digests.raw_digests(raw, tmp_path / "records")
    done = digests.raw_digests(raw, tmp_path / "records")
    assert set(done) == {"s1", "s2"}
    assert read.count("s1") == 1


def test_a_file_replaced_by_one_of_equal_size_and_time_is_noticed(
    raw: dict, tmp_path: Path
) -> None:
    first = digests.raw_digests(raw, tmp_path / "records")
    path = raw["s1"]["frames"]["sens"]
    times = (path.stat().st_atime_ns, path.stat().st_mtime_ns)
    path.write_bytes(b"S1" * 1000)
    os.utime(path, ns=times)
    second = digests.raw_digests(raw, tmp_path / "records")
    assert second["s1"] != first["s1"]
    assert second["s2"] == first["s2"]
