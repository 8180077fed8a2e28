"""Settings that were never run: what earlier ones say of them, and what is said of the rest."""

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.clip import hub
from pipeline.errors import BadInput
from pipeline.estimate import estimate, measured, samples
from pipeline.estimate.forecast import Measured, counts, forecasts
from pipeline.estimate.known import Known
from pipeline.plan.plan import Plan
from tests.helpers import tiny_store
from tests.helpers.tiny_records import put

SCANS = {"train": [f"scan{n}" for n in range(8)], "val": ["scan8", "scan9"]}
SIZES = {f"scan{n}": {"frames": 10.0 * (n + 1), "cloud": 100.0} for n in range(10)}


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return tiny_store.plan(tmp_path / "store", **SCANS, work=str(tmp_path / "work"))


def test_what_grows_with_scans_is_not_taken_from_a_plan_of_fewer(plan: Plan) -> None:
    for stage, name in (("train", "esgs-0"), ("evaluate", "esgs-0")):
        put(plan, stage, name, seconds=5, bytes=6)
    trial = Measured(plan.keys["evaluate"], {"fused": Known(50.0, 7.0)}, scans=counts(plan))
    measured.write(plan, {"evaluate": trial})
    same = forecasts(plan, measured=measured.read(plan))
    assert same["evaluate"].source == "1 made before", (
        "the trial says nothing of all that is missing"
    )
    fewer = {**plan.facts.splits, "val": ["scan8"]}
    other = Plan(replace(plan.facts, splits=fewer))
    assert other.keys == plan.keys
    found = forecasts(other, measured=measured.read(plan))
    assert found["evaluate"].entries is None
    whole = replace(trial, entries=dict.fromkeys(found["evaluate"].missing, Known(50.0, 7.0)))
    assert forecasts(plan, measured={"evaluate": whole})["evaluate"].source == "a trial"
    assert forecasts(other, measured={"evaluate": whole})["evaluate"].entries is None
    more = Plan(replace(plan.facts, splits={**plan.facts.splits, "train": SCANS["train"][:4]}))
    assert forecasts(more)["train"].total("seconds") == 5, "steps are what a training takes"


def test_a_run_forecasts_by_the_sizes_that_the_estimate_has_seen(plan: Plan) -> None:
    assert measured.read_sizes(plan) == {}
    measured.write_sizes(plan, SIZES)
    assert measured.read_sizes(plan) == SIZES
    measured.sizes_path(plan).write_text('{"scan0": 3}')
    assert measured.read_sizes(plan) == {}


def test_weights_that_are_not_to_be_had_are_said_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(model: str, pretrained: str | None) -> None:
        raise BadInput(model, "cannot be fetched", "save it")

    monkeypatch.setenv("SCAN_STORE", str(tmp_path / "store"))
    monkeypatch.setattr(hub, "fetch", fetch)
    monkeypatch.setattr(estimate, "_measure", lambda *given: pytest.fail("it measures"))
    config = tmp_path / "config.yaml"
    embeddings = "{model: ViT-B-32, pretrained: laion2b_s34b_b79k}"
    config.write_text(f"work: {tmp_path}/work\ndemo: {{embeddings: {embeddings}}}\n")
    text = estimate.format_report(estimate.estimate("demo", config, 2, 4, 2))
    assert "nothing could be measured without weights: ViT-B-32: cannot be fetched" in text
    assert "measured without\n" not in text
    assert "demo: more than about" in text
    assert "on 4 cores and 2 GPUs" in text


def test_samples_of_a_busy_machine_are_said_to_be() -> None:
    assert estimate._busy(0.5, 2) == []
    (said,) = estimate._busy(3.0, 2)
    assert "quiet machine: 3.0 programs were running here, on 2 cores" in said


def test_a_trial_has_a_scan_to_hold_out_where_some_are(plan: Plan) -> None:
    assert samples.fewest(plan) == 1
    training = {**plan.section["train"], "selection": {"held_out": 0.1}}
    section = {**plan.section, "train": training}
    assert samples.fewest(Plan(replace(plan.facts, section=section))) == 2
