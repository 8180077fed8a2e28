"""Pseudo-labels: the scene tags are binding, and each setting does what it says."""

import subprocess
import sys
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pipeline.geometry import label_choice
from pipeline.stages import pseudo_labels
from pipeline.store import arrays


def scene(
    seed: int = 0,
    voxels: int = 500,
    width: int = 16,
    classes: int = 6,
    absent: Iterable[int] = (1, 4),
    parts: int = 20,
) -> dict[str, Any]:
    """targets, text, tags and voxels of a scan that has 1.5 times as many voxels as are seen."""
    rng = np.random.default_rng([seed])
    text = rng.normal(size=(classes, width)).astype(np.float32)
    text /= np.linalg.norm(text, axis=1, keepdims=True)
    feature = rng.normal(size=(voxels, width)).astype(np.float16)
    seen = np.sort(rng.choice(voxels + voxels // 2, voxels, replace=False)).astype(np.uint32)
    segment = rng.integers(-1, parts, voxels + voxels // 2).astype(np.int32)
    present = np.ones(classes, bool)
    present[list(absent)] = False
    entries: dict[str, dict[str, Any]] = {
        "targets": {"voxel": seen, "feature": feature, "views": np.ones(voxels, np.uint16)},
        "text": {"embedding": text},
        "tags": {"present": present},
        "voxels": {"voxel_segment": segment},
    }
    groups: dict[str, Any] = {}
    for name, content in entries.items():
        groups[name] = zarr.create_group(zarr.storage.MemoryStore())
        for array, data in content.items():
            arrays.write(groups[name], array, data, chunk=64)
    return groups


def run(groups: dict[str, Any], **params: Any) -> tuple[dict[str, np.ndarray], Any]:
    out: Any = zarr.create_group(zarr.storage.MemoryStore())
    pseudo_labels.Worker({"temperature": 0.05} | params)(out, **groups)
    return {name: out[name][:] for name in ("open", "label", "confidence")}, out


def cosines(groups: dict[str, Any]) -> np.ndarray:
    feature = groups["targets"]["feature"][:].astype(np.float64)
    feature /= np.linalg.norm(feature, axis=1, keepdims=True)
    return feature @ groups["text"]["embedding"][:].T


def test_labels_are_the_best_of_the_scene_and_confidence_its_softmax() -> None:
    groups = scene()
    made, out = run(groups)
    scores, present = cosines(groups), groups["tags"]["present"][:]
    assert [made[name].dtype for name in made] == [np.int16, np.int16, np.float16]
    np.testing.assert_array_equal(made["open"], scores.argmax(1))
    np.testing.assert_array_equal(made["label"], np.where(present, scores, -9).argmax(1))
    assert (made["open"] != made["label"]).any()
    weight = np.exp(scores / 0.05) * present
    best = weight.max(1) / weight.sum(1)
    np.testing.assert_allclose(made["confidence"], best, rtol=2e-3)
    assert out.attrs["temperature"] == 0.05


@settings(max_examples=30)
@given(
    st.integers(0, 99),
    st.sets(st.integers(0, 5)),
    st.floats(0.01, 1),
    st.booleans(),
    st.floats(0.05, 1),
    st.sampled_from(["none", "vote", "mean"]),
)
def test_a_label_is_always_among_the_tags(
    seed: int, absent: set[int], temperature: float, normalise: bool, share: float, superpoints: str
) -> None:
    groups = scene(seed, voxels=60, absent=tuple(absent))
    made, _ = run(
        groups,
        temperature=temperature,
        normalise=normalise,
        keep_share=share,
        superpoints=superpoints,
    )
    label, confidence = made["label"], made["confidence"].astype(float)
    assert set(label[label >= 0].tolist()).isdisjoint(absent)
    assert ((confidence > 0) <= (label >= 0)).all()
    assert ((confidence >= 0) & (confidence <= 1)).all()
    if len(absent) == 6:
        assert (label == -1).all()
    else:
        assert (label >= 0).any()
    if share == 1 and len(absent) < 6:
        assert (label >= 0).all()
    if not absent and share == 1 and superpoints == "none":
        np.testing.assert_array_equal(label, made["open"])


def test_a_scene_without_tags_is_not_labelled_and_keeps_its_open_labels() -> None:
    made, _ = run(scene(absent=range(6)))
    assert (made["label"] == -1).all()
    assert (made["confidence"] == 0).all()
    assert len(np.unique(made["open"])) == 6


def test_a_scene_with_one_tag_is_that_class_for_sure() -> None:
    made, _ = run(scene(absent=(0, 1, 2, 4, 5)))
    assert (made["label"] == 3).all()
    assert (made["confidence"] == 1).all()


def test_the_size_of_the_blocks_does_not_matter() -> None:
    groups = scene()
    whole, _ = run(groups, superpoints="vote", keep_share=0.5)
    blocks: Any = zarr.create_group(zarr.storage.MemoryStore())
    params = {"temperature": 0.05, "superpoints": "vote", "keep_share": 0.5}
    pseudo_labels.Worker(params)(blocks, **groups, block_rows=77)
    for name, array in whole.items():
        np.testing.assert_array_equal(array, blocks[name][:])


def test_normalising_makes_the_length_of_a_feature_irrelevant() -> None:
    feature = np.random.default_rng([1]).normal(size=(20, 8)).astype(np.float32)
    text = np.eye(3, 8, dtype=np.float32)
    cosine = pseudo_labels.similarity(feature, text, normalise=True)
    np.testing.assert_allclose(pseudo_labels.similarity(7 * feature, text, True), cosine, rtol=1e-5)
    np.testing.assert_allclose(
        pseudo_labels.similarity(feature, text, False),
        cosine * np.linalg.norm(feature, axis=1, keepdims=True),
        rtol=1e-5,
    )
    assert not pseudo_labels.similarity(0 * feature, text, True).any()


def test_a_lower_temperature_raises_the_confidence() -> None:
    groups = scene()
    sure = [
        run(groups, temperature=t)[0]["confidence"].astype(float).mean() for t in (1, 0.1, 0.01)
    ]
    assert sure[0] < sure[1] < sure[2]


# Majority in superpoints


def test_a_superpoint_takes_its_most_frequent_label() -> None:
    label = np.array([2, 2, 1, 0, 0, 1, 3, 1, -1], np.int16)
    segment = np.array([7, 7, 7, -1, -1, 4, 4, -1, 7], np.int32)
    voted = label_choice.vote(label, segment)
    assert voted.tolist() == [2, 2, 2, 0, 0, 1, 1, 1, -1]
    assert voted.dtype == np.int16


@given(
    st.integers(1, 40).flatmap(
        lambda n: st.tuples(
            hnp.arrays(np.int16, n, elements=st.integers(-1, 4)),
            hnp.arrays(np.int32, n, elements=st.integers(-1, 5)),
        )
    )
)
def test_after_the_vote_a_superpoint_has_one_label_and_it_was_a_most_frequent_one(
    labels: tuple[np.ndarray, np.ndarray],
) -> None:
    label, segment = labels
    voted = label_choice.vote(label, segment)
    np.testing.assert_array_equal(voted[segment < 0], label[segment < 0])
    np.testing.assert_array_equal(voted < 0, label < 0)
    for name in np.unique(segment[segment >= 0]):
        inside = (segment == name) & (label >= 0)
        if inside.any():
            (winner,) = np.unique(voted[inside])
            counts = np.bincount(label[inside], minlength=5)
            assert counts[winner] == counts.max()


def test_the_vote_uses_the_superpoints_of_seen_voxels_and_updates_the_confidence() -> None:
    groups = scene(parts=4)
    before, _ = run(groups)
    after, _ = run(groups, superpoints="vote")
    segment = groups["voxels"]["voxel_segment"][:][groups["targets"]["voxel"][:]]
    for name in range(4):
        assert len(np.unique(after["label"][segment == name])) == 1
    np.testing.assert_array_equal(after["label"][segment < 0], before["label"][segment < 0])
    weight = np.exp(cosines(groups) / 0.05) * groups["tags"]["present"][:]
    own = weight[np.arange(len(weight)), after["label"]] / weight.sum(1)
    assert (after["label"] != before["label"]).any()
    np.testing.assert_allclose(after["confidence"].astype(float), own, rtol=2e-3, atol=1e-6)


# The most confident of each class


def test_the_most_confident_of_each_class_are_kept() -> None:
    label = np.array([0, 0, 0, 0, 1, 1, 2, -1], np.int16)
    confidence = np.array([0.1, 0.4, 0.3, 0.2, 0.05, 0.9, 0.01, 1])
    assert label_choice.keep_confident(label, confidence, 0.5).tolist() == [
        *(-1, 0, 0, -1),
        *(-1, 1),
        2,
        -1,
    ]


@given(
    st.integers(1, 60).flatmap(
        lambda n: st.tuples(
            hnp.arrays(np.int16, n, elements=st.integers(-1, 4)),
            hnp.arrays(np.float16, n, elements=st.floats(0, 1, width=16)),
        )
    ),
    st.floats(0.01, 1),
)
def test_each_class_keeps_its_share_and_drops_nothing_more_confident(
    scan: tuple[np.ndarray, np.ndarray], share: float
) -> None:
    label, confidence = scan
    kept = label_choice.keep_confident(label, confidence, share)
    np.testing.assert_array_equal(kept[kept >= 0], label[kept >= 0])
    for name in np.unique(label[label >= 0]):
        members, stays = label == name, kept == name
        assert stays.sum() == np.ceil(share * members.sum())
        dropped = members & ~stays
        if dropped.any():
            assert confidence[stays].min() >= confidence[dropped].max()
    if share == 1:
        np.testing.assert_array_equal(kept, label)


# Means and orders


def test_the_mean_of_a_superpoint_decides_for_all_of_its_voxels() -> None:
    groups = scene(parts=4)
    made, _ = run(groups, superpoints="mean")
    segment = groups["voxels"]["voxel_segment"][:][groups["targets"]["voxel"][:]]
    weight = np.exp(cosines(groups) / 0.05) * groups["tags"]["present"][:]
    probability = weight / weight.sum(1, keepdims=True)
    for name in range(4):
        mean = probability[segment == name].mean(0)
        assert (made["label"][segment == name] == mean.argmax()).all()
        np.testing.assert_allclose(
            made["confidence"][segment == name].astype(float), mean.max(), rtol=2e-3
        )
    lone = segment < 0
    np.testing.assert_array_equal(made["label"][lone], probability[lone].argmax(1))


def kept_then_voted(lenient: bool) -> list[int]:
    """Superpoint 0 has 5 voxels of class 0, of which 2 are kept; superpoint 1 has 2 of class 1."""
    sure = np.array([0.9, 0.8, 0.6, 0.6, 0.6, 0.9, 0.8, 0.7], np.float32)
    of_class = np.array([0, 0, 0, 0, 0, 1, 1, 0])
    probability = np.where(np.arange(2) == of_class[:, None], sure[:, None], 1 - sure[:, None])
    superpoint = np.array([0, 0, 0, 0, 0, 1, 1, -1])
    how = label_choice.LabelChoice("vote", 0.4, "keep_then_vote", lenient)
    return label_choice.choose(probability, superpoint, how).label.tolist()


def test_ignored_voxels_vote_too_unless_the_vote_is_lenient() -> None:
    # Kept of class 0 are voxels 0, 1 and 7 (3 of 6), of class 1 voxel 5 (1 of 2).
    assert kept_then_voted(lenient=False) == [-1, -1, -1, -1, -1, -1, -1, 0]
    assert kept_then_voted(lenient=True) == [0, 0, 0, 0, 0, 1, 1, 0]


@given(st.integers(0, 200), st.floats(0.05, 1), st.booleans())
def test_labels_that_are_spread_were_kept_somewhere_in_their_superpoint(
    seed: int, share: float, lenient: bool
) -> None:
    rng = np.random.default_rng([seed, 5])
    probability = rng.dirichlet(np.ones(4), 50).astype(np.float32)
    superpoint = rng.integers(-1, 6, 50)
    best = probability.argmax(1).astype(np.int16)
    sure = probability.max(1).astype(np.float16)  # as it is stored
    kept = label_choice.keep_confident(best, sure, share)
    how = label_choice.LabelChoice("vote", share, "keep_then_vote", lenient)
    label = label_choice.choose(probability, superpoint, how).label
    np.testing.assert_array_equal(label[superpoint < 0], kept[superpoint < 0])
    for name in range(6):
        inside = superpoint == name
        if inside.any():
            (winner,) = np.unique(label[inside])
            votes = np.bincount(kept[inside] + 1, minlength=5)
            if lenient:
                votes[0] = 0
            assert votes[winner + 1] == votes.max()


# What the module imports


def test_the_stage_needs_neither_torch_nor_open_clip() -> None:
    code = (
        "import sys, pipeline.stages.pseudo_labels;print({'torch', 'open_clip'} & set(sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"


def test_an_unknown_setting_is_an_error() -> None:
    with pytest.raises(TypeError, match="superpoint_vote"):
        pseudo_labels.Worker({"temperature": 0.05, "superpoint_vote": True})
