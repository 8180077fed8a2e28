"""Edited code keeps the old entries if it makes equal ones, and never otherwise."""

import csv
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from pipeline.cli.main import main
from pipeline.errors import BadInput
from pipeline.facts import Facts
from pipeline.jobs import entries
from pipeline.plan import config, manifest, provenance
from pipeline.plan.plan import Plan
from pipeline.stages import tags
from pipeline.store import arrays, groups, publish
from pipeline.upkeep import bless, comparison
from tests.helpers import tiny_store

SCANS = [f"scene{number:04d}_00" for number in range(5)]


@pytest.fixture(autouse=True)
def blessed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that is in git, here an empty one, in the checkout that the tests run in."""
    monkeypatch.chdir(tmp_path)
    manifest.BLESSED.parent.mkdir(parents=True)
    manifest.BLESSED.write_text("stage,new,old,entries,how\n")
    return manifest.BLESSED


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """A plan of some scans whose store has labels and, by the current code, tags."""
    planned = tiny_store.plan(tmp_path_factory.mktemp("store"), SCANS[:4], SCANS[4:])
    for number, scan in enumerate(SCANS):
        home = planned.home("labels", scan)
        with publish.place(home, planned.recipe("labels")) as path, groups.create(path) as out:
            arrays.write(out, "label", np.arange(-1, number, dtype=np.int16).clip(max=0))
    make_tags(planned)
    return planned


@pytest.fixture
def plan(finished: Plan, tmp_path: Path) -> Plan:
    """The same on a store of this test."""
    copied = shutil.copytree(finished.facts.store, tmp_path / "store")
    planned = Plan(replace(finished.facts, store=str(copied)))
    planned.keys = finished.keys  # of the code before any edit
    return planned


def make_tags(plan: Plan) -> None:
    make = entries.load("tags", plan)
    for scan in SCANS:
        with publish.place(plan.home("tags", scan), plan.recipe("tags")) as path:
            make(scan, path)


def again(plan: Plan, edit: Callable[[dict[str, Any]], object] = lambda _: None) -> Plan:
    """The plan by the current code and the current blessings."""
    facts = plan.facts.to_json() | {"blessed": manifest.read_blessed(manifest.BLESSED)}
    edit(facts)
    return Plan(Facts.from_json(facts))


def edit_code(monkeypatch: pytest.MonkeyPatch, module: str, digest: str = "edited") -> None:
    true = provenance.meaning_digest
    monkeypatch.setattr(
        provenance, "meaning_digest", lambda m: digest if m.endswith(f".{module}") else true(m)
    )


def rows() -> list[dict[str, str]]:
    with manifest.BLESSED.open(newline="") as file:
        return list(csv.DictReader(file))


def test_code_that_makes_equal_entries_keeps_them_and_all_downstream(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tiny_store.tree(Path(plan.facts.store))
    edit_code(monkeypatch, "tags")
    new = again(plan)
    assert new.keys["tags"] != plan.keys["tags"]
    row = bless.bless(new, "tags")
    assert row == bless.Blessing(**rows()[0])
    assert (row.old, row.new, row.how) == (plan.keys["tags"], new.keys["tags"], "bytes")
    named = [f"scannet/{scan}@{plan.digest('tags', scan)}" for scan in SCANS]
    assert len(row.entries.split()) == 3
    assert set(row.entries.split()) < set(named)
    assert again(plan).keys == plan.keys, "also those of the stages downstream"
    assert tiny_store.tree(Path(plan.facts.store)) == before, "nothing is written to the store"
    assert bless.check(again(plan), "tags") == row


def test_code_that_makes_other_entries_is_refused_with_the_difference(
    plan: Plan, blessed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = blessed.read_bytes(), tiny_store.tree(Path(plan.facts.store))
    edit_code(monkeypatch, "tags")
    monkeypatch.setattr(tags, "by_share", lambda label, n, share: np.ones(n, bool))
    new = again(plan)
    with pytest.raises(bless.Unequal, match="nothing was blessed") as refused:
        bless.bless(new, "tags", count=5)
    (line,) = refused.value.lines
    assert line == f"{SCANS[0]}: present: 1 of 1 values differ, by at most 1", "it has no label"
    assert (blessed.read_bytes(), tiny_store.tree(Path(plan.facts.store))) == before
    assert again(plan).keys == new.keys


def test_a_line_that_is_wrong_is_found_by_checking_it(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit_code(monkeypatch, "tags")
    bless.bless(again(plan), "tags", count=5)
    monkeypatch.setattr(tags, "by_share", lambda label, n, share: np.ones(n, bool))
    with pytest.raises(bless.Unequal):
        bless.check(again(plan), "tags")


@pytest.mark.parametrize("how", ["byte", "cosine", "cosine x"])
def test_a_malformed_line_is_not_checked(
    plan: Plan, monkeypatch: pytest.MonkeyPatch, blessed: Path, how: str
) -> None:
    edit_code(monkeypatch, "tags")
    bless.bless(again(plan), "tags")
    (row,) = rows()
    with blessed.open("w", newline="") as file:
        csv.writer(file).writerows([row.keys(), (row | {"how": how}).values()])
    with pytest.raises(BadInput, match=f"has '{how}' for tags"):
        bless.check(again(plan), "tags")


def test_a_line_of_a_cosine_is_checked_by_it(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    edit_code(monkeypatch, "tags")
    assert bless.bless(again(plan), "tags", cosine=0.9999).how == "cosine 0.9999"
    seen: list[float | None] = []

    def differences(stored: Path, made: Path, cosine: float | None) -> list[str]:
        seen.append(cosine)
        return []

    monkeypatch.setattr(comparison, "differences", differences)
    bless.check(again(plan), "tags")
    assert seen == [0.9999] * 3


def test_checking_needs_a_line_and_its_entries(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadInput, match="no line for the current tags"):
        bless.check(plan, "tags")
    edit_code(monkeypatch, "tags")
    bless.bless(again(plan), "tags")
    for scan in SCANS:
        plan.home("tags", scan).unlink()
    with pytest.raises(BadInput, match="none of scannet/scene"):
        bless.check(again(plan), "tags")


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda f: f["section"]["tags"].update(min_share=0.5), r"min_share: 0\.01 -> 0\.5"),
        (lambda f: f["section"]["tags"].update(source="file"), "source"),
    ],
)
def test_changed_parameters_cannot_be_blessed(
    plan: Plan,
    monkeypatch: pytest.MonkeyPatch,
    edit: Callable[[dict[str, Any]], object],
    message: str,
) -> None:
    edit_code(monkeypatch, "tags")
    with pytest.raises(BadInput, match=f"not only code differs.*{message}.*let the stage run"):
        bless.bless(again(plan, edit), "tags")
    assert not rows()


def test_upstream_stages_must_be_blessed_first(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    edit_code(monkeypatch, "labels")
    with pytest.raises(BadInput, match=r"upstream\.labels: .*; bless labels first"):
        bless.bless(again(plan), "tags")


def test_packages_can_be_blessed_and_another_format_cannot(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    true = provenance.packages
    added = {"pipeline.stages.tags": ("numpy", "pillow")}
    monkeypatch.setattr(provenance, "packages", lambda m: added.get(m) or true(m))
    new = again(plan)
    assert new.keys["tags"] != plan.keys["tags"]
    assert bless.bless(new, "tags").old == plan.keys["tags"]
    monkeypatch.setattr(provenance, "FORMAT", 77)
    with pytest.raises(BadInput, match=r"format: \d+ -> 77"):
        bless.bless(again(plan), "tags")


def test_blessing_again_after_another_edit_keeps_the_oldest_entries(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    for digest in ("second", "third"):
        edit_code(monkeypatch, "tags", digest)
        assert bless.bless(again(plan), "tags").old == plan.keys["tags"]
    assert again(plan).keys == plan.keys
    with pytest.raises(BadInput, match="already keeps"):
        bless.bless(again(plan), "tags")


def test_going_back_to_the_old_code_cannot_make_a_loop(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        edit_code(patch, "tags")
        make_tags(again(plan))
        bless.bless(again(plan), "tags")
    with pytest.raises(BadInput, match="nothing to keep"):
        bless.bless(again(plan), "tags")


@pytest.mark.parametrize("gone", ["tags", "labels"])
def test_without_entries_to_compare_nothing_is_blessed(
    plan: Plan, monkeypatch: pytest.MonkeyPatch, gone: str
) -> None:
    for scan in SCANS:
        plan.home(gone, scan).unlink()
    edit_code(monkeypatch, "tags")
    with pytest.raises(BadInput, match="none of its entries can be made again"):
        bless.bless(again(plan), "tags")
    assert not rows()


@pytest.mark.parametrize(("count", "cosine"), [(0, None), (3, 0.5), (3, 1.5), (3, float("nan"))])
def test_what_would_prove_nothing_is_refused(plan: Plan, count: int, cosine: float | None) -> None:
    with pytest.raises(BadInput, match="prove nothing"):
        bless.bless(plan, "tags", count, cosine)


def test_a_damaged_entry_proves_nothing(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    edit_code(monkeypatch, "tags")
    for scan in SCANS:
        home = plan.home("tags", scan)
        content = home.read_bytes()
        home.unlink()
        home.write_bytes(content.replace(b'"wall"', b'"door"'))
    with pytest.raises(BadInput, match=r"checksum|cannot be read"):
        bless.bless(again(plan), "tags")


def test_samples_range_from_the_smallest_to_the_largest() -> None:
    names = [*"abcdefg"]
    assert bless.spread(names, 3) == ["a", "d", "g"]
    assert bless.spread(names, 1) == ["d"]
    assert bless.spread(names, 99) == names
    assert bless.spread(["a"], 3) == ["a"]
    assert bless.spread(["a", "b"], 3) == ["a", "b"]


def test_a_job_that_was_planned_with_a_blessing_runs(
    plan: Plan, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    edit_code(monkeypatch, "tags")
    bless.bless(again(plan), "tags")
    planned = again(plan, lambda f: f.update(keys=plan.keys))
    planned.write()
    assert Plan.load(planned.path, "tags").keys == plan.keys
    edit_code(monkeypatch, "tags", "edited after planning")
    with pytest.raises(BadInput, match="code of tags has changed"):
        Plan.load(planned.path, "tags")


# The file


def line(new: str, old: str, stage: str = "tags") -> str:
    return f"{stage},{new * 12},{old * 12},scannet/s@1,bytes\n"


def test_lines_are_followed_to_the_oldest_key(blessed: Path) -> None:
    text = line("c", "b") + line("b", "a") + line("c", "a", "text")
    blessed.write_text("stage,new,old,entries,how\n" + text)
    a, b, c = ("a" * 12, "b" * 12, "c" * 12)
    assert manifest.read_blessed(blessed) == {"tags": {c: a, b: a}, "text": {c: a}}


def test_without_the_file_nothing_is_blessed(tmp_path: Path) -> None:
    assert manifest.read_blessed(tmp_path / "none.csv") == {}


@pytest.mark.parametrize(
    "text",
    [
        line("a", "a"),
        line("a", "b") + line("b", "a"),
        line("a", "b") + line("b", "c") + line("c", "b"),
        line("a", "b") + line("a", "c"),
        "tags,../../up,bbbbbbbbbbbb,s,bytes\n",
        "tags,aaaaaaaaaaaa,bbbbbbbbbbbb,s\n",
        "<<<<<<< HEAD\n",
        "\xff\n",
    ],
)
def test_a_malformed_file_is_refused(blessed: Path, text: str) -> None:
    blessed.write_text("stage,new,old,entries,how\n" + text, encoding="latin-1")
    with pytest.raises(BadInput, match=r"blessed\.csv"):
        manifest.read_blessed(blessed)


# What counts as equal


def write(path: Path, data: Mapping[str, np.ndarray], **attrs: Any) -> Path:
    path.parent.mkdir(parents=True)
    with groups.create(path, attrs) as out:
        for name, array in data.items():
            arrays.write(out, name, array)
    return path


@pytest.fixture
def grid() -> np.ndarray:
    vectors = np.random.default_rng(0).normal(size=(3, 4, 4, 16))
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float16)


def compare(
    tmp_path: Path, old: Mapping[str, np.ndarray], new: Mapping[str, np.ndarray], **how: Any
) -> list[str]:
    stored = write(tmp_path / "stage" / "old" / "e.zarr.zip", old)
    return comparison.differences(
        stored, write(tmp_path / "stage" / "new" / "e.zarr.zip", new), **how
    )


def test_the_key_in_an_entry_is_not_compared(tmp_path: Path, grid: np.ndarray) -> None:
    assert compare(tmp_path, {"grid": grid}, {"grid": grid.copy()}) == []


def test_a_float_that_differs_is_reported_bytewise_and_allowed_within_a_cosine(
    tmp_path: Path, grid: np.ndarray
) -> None:
    near = grid.copy()
    near[1, 2, 3, 4] = np.nextafter(near[1, 2, 3, 4], np.float16(9))
    (line,) = compare(tmp_path / "bytes", {"grid": grid}, {"grid": near})
    assert line.startswith(f"grid: 1 of {grid.size} values differ, by at most ")
    assert compare(tmp_path / "cosine", {"grid": grid}, {"grid": near}, cosine=0.9999) == []


@pytest.mark.parametrize("count", [1, 2])
def test_one_row_beyond_the_cosine_is_enough(tmp_path: Path, grid: np.ndarray, count: int) -> None:
    far = grid.copy()
    far[2, 0, :count] = -far[2, 0, :count]
    (line,) = compare(tmp_path, {"grid": grid}, {"grid": far}, cosine=0.99)
    assert line == f"grid: {count} of 48 rows are below 0.99, the least at -1.000000"


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ([[1.0, 2.0]], [[2.0, 4.0]], False),
        ([[1.0, 2.0]], [[1.0001, 2.0]], True),
        ([[0.0, 0.0]], [[0.0, 0.0]], True),
        ([[0.0, 0.0]], [[0.0, 1e-9]], False),
        ([[np.nan, 2.0]], [[np.nan, 2.0]], True),
        ([[np.nan, 2.0]], [[1.0, 2.0]], False),
        ([[np.inf, 2.0]], [[-np.inf, 2.0]], False),
        ([1.0, 2.0, 3.0], [1.0, 2.00001, 3.0], True),
        ([1.0, 2.0, 3.0], [1.0, 2.1, 3.0], False),
        ([], [], True),
    ],
)
def test_rows_are_alike_in_direction_and_length(old: list[Any], new: list[Any], same: bool) -> None:
    found = comparison.of_arrays(np.array(old), np.array(new), 0.999)
    assert (found == "") is same


@pytest.mark.parametrize("cosine", [None, 0.99])
def test_integers_shapes_dtypes_names_and_texts_must_be_equal(
    tmp_path: Path, cosine: float | None
) -> None:
    old = {"a": np.arange(4), "b": np.ones(3, "f4"), "c": np.ones(2), "d": np.ones(2)}
    new = {"a": np.array([0, 1, 2, 9]), "b": np.ones(2, "f4"), "c": np.ones(2, "f4"), "e": old["d"]}
    assert compare(tmp_path, old, new, cosine=cosine) == [
        "d: only in the stored entry",
        "e: only in the new entry",
        "a: 1 of 4 values differ, by at most 6",
        "b: float32 (3,) -> float32 (2,)",
        "c: float64 (2,) -> float32 (2,)",
    ]
    one = write(tmp_path / "stage" / "one" / "e.zarr.zip", {}, classes=["wall"])
    two = write(tmp_path / "stage" / "two" / "e.zarr.zip", {}, classes=["floor"])
    found = comparison.differences(one, two, cosine)
    assert found == ['texts.classes: ["wall"] -> ["floor"]']


def test_equal_values_in_other_bytes_are_not_equal_byte_for_byte(tmp_path: Path) -> None:
    zero = np.zeros(3)
    (line,) = compare(tmp_path / "bytes", {"x": zero}, {"x": -zero})
    assert line == "x/c/0: other bytes for equal values"
    assert compare(tmp_path / "cosine", {"x": zero}, {"x": -zero}, cosine=1.0) == []


@pytest.mark.parametrize("name", ["run.safetensors", "run.json"])
def test_networks_and_scores_are_compared_too(tmp_path: Path, name: str) -> None:
    paths = [tmp_path / "stage" / key / name for key in ("old", "new", "other")]
    for path, start in zip(paths, (0, 0, 1), strict=True):
        path.parent.mkdir(parents=True)
        tiny_store.write(path, np.arange(start, start + 3))
    assert paths[0].read_bytes() != paths[1].read_bytes(), "they contain their own names"
    assert comparison.differences(paths[0], paths[1]) == []
    (line,) = comparison.differences(paths[0], paths[2])
    assert line in (
        "x: 3 of 3 values differ, by at most 1",
        "texts.results: [0, 1, 2] -> [1, 2, 3]",
    )


# The command


def test_a_training_is_repeated_from_the_start_elsewhere(
    plan: Plan, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A checkpoint of other code must not be used."""
    for stage, scans in (("voxels", SCANS), ("targets", SCANS), ("pseudo_labels", SCANS)):
        for scan in scans:
            tiny_store.make(plan, (stage, scan))
    tiny_store.make(plan, ("text", "classes"))
    tiny_store.make(plan, ("train", "esgs-0"))
    used: list[Plan] = []

    def load(stage: str, given: Plan) -> entries.Job:
        used.append(given)
        return lambda name, path: tiny_store.write(path, np.arange(40))

    monkeypatch.setattr(entries, "load", load)
    true = provenance.recipe
    edited = {"train": {"model.training.train": "edited"}}
    monkeypatch.setattr(
        provenance,
        "recipe",
        lambda stage, *rest: (
            (r := true(stage, *rest)) | {"code": r["code"] | edited.get(stage, {})}
        ),
    )
    assert bless.bless(again(plan), "train").old == plan.keys["train"]
    assert used[0].facts.work != plan.facts.work
    assert not Path(used[0].facts.work).exists(), "it is removed afterwards"


@pytest.mark.parametrize("equal", [True, False])
def test_the_command_reports_what_it_found(
    plan: Plan, monkeypatch: pytest.MonkeyPatch, equal: bool
) -> None:
    edit_code(monkeypatch, "tags")
    monkeypatch.setattr(config, "plan", lambda *_: again(plan))
    if not equal:
        monkeypatch.setattr(tags, "by_share", lambda label, n, share: np.ones(n, bool))
    done = CliRunner().invoke(main, ["store", "bless", "scannet", "tags", "--scans", "5"])
    assert done.exit_code == (0 if equal else 1)
    if equal:
        assert f"the current tags keeps the entries of key {plan.keys['tags']}" in done.stdout
    else:
        assert f"{SCANS[0]}: present: 1 of 1 values differ" in done.stderr
        assert "nothing was blessed" in done.stderr


def test_all_entries_are_compared_where_the_command_says_so(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An entry that three samples do not show is found among all."""
    edit_code(monkeypatch, "tags")
    monkeypatch.setattr(config, "plan", lambda *_: again(plan))
    command = ["store", "bless", "scannet", "tags"]
    done = CliRunner().invoke(main, [*command, "--samples", "all"])
    assert done.exit_code == 0, done.output
    named = [f"scannet/{scan}@{plan.digest('tags', scan)}" for scan in SCANS[:4]]
    assert rows()[0]["entries"].split() == named, "all that a run needs"
    manifest.BLESSED.write_text("stage,new,old,entries,how\n")
    true = tags.by_share
    monkeypatch.setattr(
        tags, "by_share", lambda label, *rest: true(label, *rest) ^ (len(label) == 2)
    )
    few = CliRunner().invoke(main, command)
    assert "2 more entries of that key were not made again" in few.stdout
    manifest.BLESSED.write_text("stage,new,old,entries,how\n")
    every = CliRunner().invoke(main, [*command, "--samples", "all"])
    assert every.exit_code == 1
    assert f"{SCANS[1]}: present: 1 of 1 values differ" in every.stderr
    assert not rows()
