"""Damaged bytes end in `BadInput` or in a valid result, and never in a huge allocation."""

import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from pipeline.errors import BadInput
from pipeline.readers.scannet.cloud import read_cloud
from pipeline.readers.scannet.exported import ExportedFrames, exported_names
from pipeline.readers.scannet.files import LABEL_MAP as LABEL_MAP_NAME
from pipeline.readers.scannet.files import scan_files
from pipeline.readers.scannet.labels import read_labels
from pipeline.readers.scannet.sens import SensFile
from pipeline.simulate.scannet_files import write_label_map_tsv, write_scan
from pipeline.simulate.scannet_sens import write_sens
from tests.helpers.raw_reader_suite import assert_is_cloud, assert_is_labels
from tests.helpers.tiny_scannet import CLASSES, LABEL_MAP, SENSOR, export, frames, scan

NAME = "scene9000_00"
MEMORY = 32 << 20  # bytes; the files have a few thousand
FUZZ = settings(
    max_examples=100,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

edges = st.sampled_from([0, 1, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63 - 1, 2**63, 2**64 - 1])
edits = st.lists(
    st.tuples(
        st.integers(0, 10**6),  # where, taken modulo the length
        st.one_of(
            st.binary(min_size=1, max_size=4),
            edges.map(lambda n: n.to_bytes(8, "little")),
            edges.map(lambda n: (n % 2**32).to_bytes(4, "little")),
            edges.map(lambda n: str(n).encode()),
        ),
        st.sampled_from(["overwrite", "insert", "delete", "cut"]),
    ),
    min_size=1,
    max_size=3,
)


def damaged(data: bytes, changes: list[tuple[int, bytes, str]], focus: int) -> bytes:
    """`data` after some edits, half of them within the first `focus` bytes, where headers are."""
    for where, new, kind in changes:
        at = where % max(1, len(data) if where % 2 else min(focus, len(data)))
        after = at + len(new) if kind != "insert" else at
        data = data[:at] + (new if kind in ("overwrite", "insert") else b"") + data[after:]
        if kind == "cut":
            data = data[:at]
    return data


@contextmanager
def little_memory() -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    raw = tmp_path_factory.mktemp("raw")
    write_scan(raw / "scans", scan(NAME))
    write_label_map_tsv(raw / LABEL_MAP_NAME, LABEL_MAP)
    return raw / "scans" / NAME


@pytest.mark.parametrize(("depth", "kind"), [("zlib", "jpeg"), ("raw", "raw")])
@FUZZ
@given(changes=edits)
def test_damaged_sens(tmp_path: Path, depth: str, kind: str, changes: list) -> None:
    path, sensor = (
        tmp_path / "a.sens",
        SENSOR.__class__(**{**vars(SENSOR), "depth_compression": depth, "color_compression": kind}),
    )
    write_sens(path, sensor, frames(3, kind))
    path.write_bytes(damaged(path.read_bytes(), changes, 304 + 16 + 96))
    with little_memory():
        try:
            reader = SensFile(path)
            for frame_id in reader.frame_ids:
                frame = reader.read(frame_id)
                assert frame.depth.shape == reader.depth_size[::-1]
            event("valid")
        except BadInput:
            event("refused")


@pytest.mark.parametrize("ending", ["ply", "labels.ply", "segs.json", "aggregation.json", "tsv"])
@FUZZ
@given(changes=edits)
def test_damaged_mesh_and_annotations(home: Path, ending: str, changes: list) -> None:
    raw = home.parent.parent
    groups = scan_files(raw, NAME)
    files = {**groups["cloud"], **groups["labels"]}
    if ending == "tsv":
        del files["labels_mesh"]
        files["label_map"] = raw / LABEL_MAP_NAME
    name = {
        "ply": "mesh",
        "labels.ply": "labels_mesh",
        "segs.json": "segments",
        "aggregation.json": "aggregation",
        "tsv": "label_map",
    }[ending]
    bad = raw / f"bad.{ending}"
    bad.write_bytes(damaged(files[name].read_bytes(), changes, 300))
    files[name] = bad
    with little_memory(), np.errstate(all="ignore"):
        try:
            cloud = read_cloud(files)
            assert_is_cloud(cloud)
            assert_is_labels(read_labels(files, CLASSES), len(cloud.xyz), len(CLASSES))
            event("valid")
        except BadInput:
            event("refused")


@pytest.mark.parametrize("kind", ["color", "depth", "pose", "intrinsic"])
@FUZZ
@given(changes=edits)
def test_damaged_export(tmp_path_factory: pytest.TempPathFactory, kind: str, changes: list) -> None:
    folder = tmp_path_factory.mktemp("export")
    export(folder, frames(1), SENSOR)
    path = next(iter(sorted((folder / kind).iterdir())))
    path.write_bytes(damaged(path.read_bytes(), changes, 60))
    with little_memory():
        try:
            reader = ExportedFrames(exported_names(folder))
            assert reader.read(0).depth.shape == reader.depth_size[::-1]
            event("valid")
        except BadInput:
            event("refused")
