"""One job makes several scans; a bad one holds back only what is made from it."""

import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pipeline.cli.stages import make_all
from pipeline.errors import BadInput
from pipeline.plan import batches, config, graph, machine, rules
from pipeline.plan.plan import Plan
from pipeline.stages.declaration import Over
from pipeline.store import notes
from pipeline.store.notes import Note, NotMade
from tests.helpers.tiny_checkout import SCANS, Checkout

BAD, FIRST = "scene0001_00", "scene0000_00"
OTHERS = {*SCANS} - {BAD}
NOTE = Note("frames", "a", "a.sens: is cut off; download it again.")


class FewStages(Checkout):
    """A checkout of which the stages are asked for that need no torch, two scans in each job."""

    target = "scannet_projections"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        described = yaml.safe_load(self.config.read_text())
        described["scannet"]["scans_per_job"] = 2
        self.config.write_text(yaml.safe_dump(described))
        self.sens = self.raw / "scans" / BAD / f"{BAD}.sens"
        self.whole = self.sens.read_bytes()
        self.sens.write_bytes(self.whole[:-5000])

    def made(self, stage: str) -> set[str]:
        """The scans of which the store has the entry of a stage."""
        names = [name.split("/") for name in self.entries()]
        return {name[-1].partition("@")[0] for name in names if name[1] == stage}


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> tuple[FewStages, str]:
    """A checkout with a bad scan after a run, and what that said."""
    checkout = FewStages(tmp_path_factory.mktemp("checkout") / "tree")
    done = checkout.snakemake(cores=1)
    assert done.returncode != 0
    return checkout, done.stdout + done.stderr


def test_a_run_stops_at_a_bad_scan_and_has_made_the_others_of_its_batch(
    stopped: tuple[FewStages, str],
) -> None:
    checkout, said = stopped
    assert f"frames {BAD}: {checkout.sens.relative_to(checkout.folder)}: is cut off" in said
    assert FIRST in checkout.made("frames")
    assert not checkout.made("projections") & {FIRST, BAD}


def test_a_run_that_keeps_going_makes_all_that_a_bad_scan_is_not_needed_for(
    stopped: tuple[FewStages, str],
) -> None:
    checkout, _ = stopped
    done = checkout.snakemake("--keep-going")
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert checkout.made("frames") == checkout.made("projections") == OTHERS
    assert checkout.made("voxels") == {*SCANS}
    assert f"projections {BAD}: passed over, since frames of {BAD} failed" in checkout.logs()
    summary = f"what was asked of scannet: cannot be made without {BAD}, which failed (frames of"
    assert summary in said
    assert said.count("is cut off") == 2, "where it happened, and at the end"
    assert "Traceback" not in said
    assert checkout.stale() == {"frames", "projections"}
    checkout.sens.write_bytes(checkout.whole)
    shutil.rmtree(checkout.folder / "logs")
    repaired = checkout.snakemake()
    assert repaired.returncode == 0, repaired.stdout + repaired.stderr
    made = {line.split(":")[0] for line in checkout.logs().splitlines() if ": made in" in line}
    assert made == {f"scannet frames {BAD}", f"scannet projections {BAD}"}


def test_one_entry_can_be_asked_for_by_its_path(stopped: tuple[FewStages, str]) -> None:
    checkout, _ = stopped
    (link,) = checkout.folder.glob(f"work/scannet/voxels/*/{FIRST}.zarr.zip")
    entry = link.resolve()
    entry.unlink()
    command = [sys.executable, "-m", "snakemake", "--cores", "1"]
    subprocess.run(
        [*command, str(link.relative_to(checkout.folder))],
        cwd=checkout.folder,
        capture_output=True,
        check=True,
    )
    assert entry.is_file()


def planned(tmp_path: Path, size: int, scans: int, val: int) -> Plan:
    """A plan of simulated rooms; nothing of it is computed."""
    names = [f"room{n:03d}" for n in range(scans)]
    rows = [f"{name},{'val' if n < val else 'train'},{n}" for n, name in enumerate(names)]
    (tmp_path / "scans.csv").write_text("scan,split,seed\n" + "\n".join(rows) + "\n")
    described = config.load()
    described["demo"] |= {"scans": str(tmp_path / "scans.csv"), "scans_per_job": size}
    described |= {"work": str(tmp_path / "work"), "results": str(tmp_path / "results")}
    described["store"] = str(tmp_path / "store")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(described))
    return config.plan("demo", tmp_path / "config.yaml", wanted=False)


def of_scans(plan: Plan) -> list[str]:
    return [stage for stage in plan.stages if graph.stage(stage).over is Over.SCAN]


def test_each_scan_is_in_one_batch_and_what_the_results_need_comes_first(tmp_path: Path) -> None:
    plan = planned(tmp_path, size=4, scans=11, val=3)
    for stage in of_scans(plan):
        found = batches.of_stage(plan, stage)
        assert sorted(scan for batch in found for scan in batch) == sorted(plan.facts.scans)
        assert all(1 <= len(batch) <= 4 for batch in found)
    train = set(plan.facts.splits["train"])
    assert [len(b) for b in batches.of_stage(plan, "pseudo_labels")] == [4, 4, 3]
    assert set().union(*batches.of_stage(plan, "pseudo_labels")[:2]) == train
    assert [len(b) for b in batches.of_stage(plan, "voxels")] == [4, 4, 3]


def test_stages_before_and_after_those_of_a_gpu_are_jobs_of_a_cluster_together(
    tmp_path: Path,
) -> None:
    plan = planned(tmp_path, size=4, scans=11, val=3)
    group = {rule.stage: rule.group for rule in rules.rules_of_scans(plan)}
    assert group["frames"] == group["voxels"] == group["projections"] == "demo_before_gpu"
    assert group["targets"] == group["pseudo_labels"] == "demo_after_gpu"
    assert group["embeddings"] is None
    for stage in of_scans(plan):  # or jobs would wait for each other
        before = [group.get(above) for above in plan.upstream(stage)]
        assert group.get(stage) != "demo_before_gpu" or set(before) <= {"demo_before_gpu"}


@pytest.mark.parametrize("gpus", [0, 1])
def test_training_with_dense_labels_begins_early_where_it_keeps_no_gpu_from_embeddings(
    gpus: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine.glob, "glob", lambda pattern: ["/dev/nvidia0"] * gpus)
    plan = planned(tmp_path, size=4, scans=3, val=1)
    found = {rule.name: rule.priority for rule in rules.rules_of_split(plan)}
    found |= {rule.stage: rule.priority for rule in rules.rules_of_scans(plan)}
    assert found["train"] < found["embeddings"]
    assert found["train"] < min(found["adapter"], found["refined_labels"]), "the longest waits"
    assert (found["supervised"] > found["embeddings"]) == (gpus == 0)


def test_batches_are_the_same_whatever_is_made_already(tmp_path: Path) -> None:
    plan = planned(tmp_path, size=2, scans=5, val=1)
    before = {stage: batches.of_stage(plan, stage) for stage in of_scans(plan)}
    link = plan.link("voxels", "room001")
    link.parent.mkdir(parents=True)
    link.symlink_to("anywhere")
    again = Plan(plan.facts)
    assert {stage: batches.of_stage(again, stage) for stage in of_scans(again)} == before
    rooms = [scan for scan in before["tags"][0] if scan != "room001"]
    needed = batches.inputs(again, "voxels", before["voxels"][0])(None)
    assert all(any(room in path for room in rooms) for path in needed)
    assert not any("room001" in path for path in needed), "it is not to be made"


def test_scans_without_labels_are_in_no_batch_of_labels(tmp_path: Path) -> None:
    plan = planned(tmp_path, size=4, scans=6, val=2)
    train = plan.facts.splits["train"]
    known = {
        scan: {g: d for g, d in groups.items() if g != "labels" or scan not in train}
        for scan, groups in plan.facts.raw_digests.items()
    }
    weak = {**plan.section["train"], "variants": ["ess_esgs"]}
    section = {**plan.section, "tags": {"source": "none"}, "train": weak}
    unlabelled = Plan(replace(plan.facts, raw_digests=known, section=section, keys=plan.keys))
    assert batches.of_stage(unlabelled, "labels") == [plan.facts.splits["val"]]


@given(st.builds(Note, st.text(), st.text(), st.text()))
def test_a_note_is_read_as_it_was_written(note: Note) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.zarr.zip")
        notes.write(path, note)
        assert notes.read(path) == note._replace(sentence=note.sentence[:1000])
        assert [*notes.find(path.parent)] == [(path, notes.read(path))]


def test_only_a_note_is_taken_for_a_note_and_it_is_never_written_into_an_entry(
    tmp_path: Path,
) -> None:
    entry, link = tmp_path / "entry", tmp_path / "link"
    entry.write_bytes(b"an entry")
    link.symlink_to(entry)
    notes.write(link, NOTE)
    assert entry.read_bytes() == b"an entry"
    assert notes.read(link) == NOTE
    link.unlink()
    link.symlink_to(entry)
    contents = [b"", b"ply\nformat ascii 1.0\n", b"[]", b'{"not made": {"failed": 1}}', b"\xff{"]
    for content in contents:
        entry.write_bytes(content)
        assert notes.read(entry) is None
    assert notes.read(link) is None
    assert notes.read(tmp_path / "absent") is None


def test_a_new_run_removes_all_notes(tmp_path: Path) -> None:
    plan = planned(tmp_path, size=2, scans=3, val=1)
    places = [path for stage in of_scans(plan) for path in plan.places(stage, "room001")]
    assert {path.suffix for path in places} == {".zip", ".done", ".ply"}
    for path in places:
        notes.write(path, NOTE)
    assert {path for path, _ in plan.notes()} == {*places}
    with pytest.raises(NotMade, match="without a, which failed"):
        batches.require_all(plan)
    plan.adopt()
    assert not any(path.exists() for path in places)
    batches.require_all(plan)


def test_any_failure_of_one_scan_lets_the_others_be_made(
    capsys: pytest.CaptureFixture[str],
) -> None:
    failures = {"b": BadInput("b.sens", "is cut off", "download it again"), "c": ValueError("odd")}
    failures["d"] = NotMade("targets", [NOTE])

    def run(link: Path) -> str:
        if link.stem in failures:
            raise failures[link.stem]
        return "made"

    links = [Path(f"{name}.zip") for name in "abcde"]
    noted: dict[str, Note] = {}
    assert make_all(run, "demo targets", links, note=noted.__setitem__) == 0
    said = capsys.readouterr()
    assert [line.split(":")[0] for line in said.out.splitlines()] == [
        "demo targets a",
        "demo targets e",
    ]
    assert noted == {
        "b": Note("targets", "b", "b.sens: is cut off; download it again."),
        "c": Note("targets", "c", "ValueError('odd')"),
        "d": NOTE,
    }
    assert said.err.count("Traceback") == 1
    assert make_all(run, "demo targets", links) == 1


def test_of_many_scans_that_failed_the_sentence_names_the_first(tmp_path: Path) -> None:
    found = [Note("frames", f"s{n}", "f: is cut off; get it.") for n in range(12)]
    text = str(NotMade("train of demo", found))
    names = ", ".join(f"s{n}" for n in range(10))
    assert f"without {names} and 2 more, which failed (frames of s0: f: is cut off; get it)" in text
    assert "\n" not in text
