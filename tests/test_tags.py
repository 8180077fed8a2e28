"""Scene tags: from dense labels with a minimum share, from a file alone, or from nothing."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pipeline.errors import BadInput
from pipeline.facts import Facts
from pipeline.plan import graph
from pipeline.plan.plan import Plan
from pipeline.scan import Labels
from pipeline.stages import labels, tags
from tests.helpers import room, tiny_store

CLASSES = ["wall", "floor", "bed"]
label_arrays = hnp.arrays(np.int16, st.integers(0, 40), elements=st.integers(-1, 2))


def labelled(label: list[int]) -> Any:
    raw = Labels(np.array(label, np.int16), np.zeros(len(label), np.int32))
    return room.run(labels, {"classes": [{"name": name, "nyu40": 1} for name in CLASSES]}, raw=raw)


def tagged(scan: str = "room_0", dense: list[int] | None = None, **params: Any) -> list[bool]:
    inputs = {"labels": labelled(dense)} if dense is not None else {}
    entry = room.run(tags, {"classes": CLASSES, **params}, scan=scan, **inputs)
    assert entry.attrs["classes"] == CLASSES
    return entry["present"][:].tolist()


def test_labels_are_kept_with_the_names_of_their_classes() -> None:
    raw = Labels(np.array([0, -1, 2], np.int16), np.array([0, 7, 70000], np.int32))
    entry = room.run(labels, {"classes": [{"name": n, "nyu40": 1} for n in CLASSES]}, raw=raw)
    np.testing.assert_array_equal(entry["label"][:], raw.label)
    np.testing.assert_array_equal(entry["instance"][:], raw.instance)
    assert entry["label"].dtype == np.int16
    assert entry.attrs["classes"] == CLASSES


def test_a_stray_vertex_makes_no_class_present() -> None:
    dense = [0] * 999 + [2]
    assert tagged(dense=dense, source="dense", min_share=0.0) == [True, False, True]
    assert tagged(dense=dense, source="dense", min_share=0.01) == [True, False, False]


def test_the_share_is_that_of_the_labelled_points() -> None:
    dense = [-1] * 90 + [0] * 9 + [1]
    assert tagged(dense=dense, source="dense", min_share=0.1) == [True, True, False]
    assert tagged(dense=dense, source="dense", min_share=0.11) == [True, False, False]


@given(label_arrays, st.floats(0, 1))
def test_a_class_is_present_from_its_share_on(label: np.ndarray, min_share: float) -> None:
    present = tags.by_share(label, 3, min_share)
    counts = [int((label == k).sum()) for k in range(3)]
    assert present.tolist() == [n > 0 and n >= min_share * sum(counts) for n in counts]


def test_a_file_lists_what_is_present_without_any_label() -> None:
    file = {"room_0": ["bed", "wall"], "room_1": ["floor"]}
    assert tagged(source="file", file=file) == [True, False, True]
    assert tagged("room_1", source="file", file=file) == [False, True, False]


def test_a_scan_that_the_file_does_not_list_is_refused() -> None:
    with pytest.raises(BadInput, match="room_2"):
        tagged("room_2", source="file", file={"room_0": ["bed"]})


def test_without_any_annotation_every_class_may_be_present() -> None:
    assert tagged(source="none") == [True, True, True]


def test_only_tags_from_dense_labels_need_the_labels(tmp_path: Path) -> None:
    for source, file, above in (
        ("dense", None, ("labels",)),
        ("file", {"room_0": ["bed"]}, ()),
        ("none", None, ()),
    ):
        facts = tiny_store.facts(tmp_path) | {"tags": file}
        facts["section"]["tags"] = {"source": source}
        plan = Plan(Facts.from_json(facts))
        assert plan.upstream("tags") == above
        assert ("labels" in graph.raw_stages(plan.facts)) == bool(above)
