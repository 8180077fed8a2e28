"""Networks that were trained elsewhere are scored beside a dataset's own."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from model.network.trained import load
from model.reports.lines import lines
from model.scoring.evaluate import evaluate_network
from model.stages.evaluate import EvaluateStage
from model.stages.imported import ImportedStage, Worker
from pipeline.errors import BadInput
from pipeline.facts import Facts
from pipeline.plan import keys
from pipeline.stages.declaration import Request
from tests.helpers import tiny_store
from tests.helpers.tiny_entries import train_tiny, write_rooms, write_text


def facts_with(folder: Path, **networks: str) -> Facts:
    """The facts of a tiny dataset that names some networks."""
    facts = tiny_store.plan(folder).facts
    return replace(facts, section={**facts.section, "networks": networks}, keys=None)


def test_an_imported_network_has_a_row_of_its_name(tmp_path: Path) -> None:
    rooms = write_rooms(tmp_path, range(3))
    trained = train_tiny("ess_esgs", rooms[:2], write_text(tmp_path), tmp_path / "theirs")
    facts, out = facts_with(tmp_path, shipped=str(trained)), tmp_path / "entry.safetensors"
    request = Request(facts, "shipped", "scannet/imported/shipped@1", {}, tmp_path)
    Worker(ImportedStage().params(facts))(out, request)
    copy, original = (load(path, torch.device("cpu")) for path in (out, trained))
    assert (copy.variant, copy.trained_on) == ("shipped", 2)
    weights, theirs = copy.network.state_dict(), original.network.state_dict()
    assert all(torch.equal(weights[name], theirs[name]) for name in theirs)

    results = evaluate_network(out, [rooms[2].labelled], "val")
    table = lines([*evaluate_network(trained, [rooms[2].labelled], "val"), *results])
    assert [line.name for line in table] == [
        *("(d) ESS+ESGS", "(d) ESS+ESGS, voted"),
        *("(e) shipped", "(e) shipped, voted"),
    ]
    assert [line.plain for line in table] == [True, False] * 2
    assert table[2].results[0]["total"] == table[0].results[0]["total"]
    assert table[2].trained_on == "2 scans"


def test_an_imported_network_is_scored_on_the_validation_scans(tmp_path: Path) -> None:
    (tmp_path / "net").write_bytes(b"1")
    facts = facts_with(tmp_path, shipped=str(tmp_path / "net"))
    assert facts.scores[-1] == "shipped"
    found = EvaluateStage().sources(facts, "shipped")
    assert found[0] == ("imported", "shipped")
    assert {scan for stage, scan in found if stage == "voxels"} == set(facts.splits["val"])
    assert "shipped" not in facts.networks


def test_a_release_folder_is_named_as_its_file_is(tmp_path: Path) -> None:
    folder = tmp_path / "release"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"1")
    (folder / "config.json").write_text("{}")
    named = [folder, folder / "model.safetensors"]
    one, other = (keys.key(facts_with(tmp_path, shipped=str(p)), "imported", {}) for p in named)
    assert one == other
    rooms = write_rooms(tmp_path, range(2))
    trained = train_tiny("esgs", rooms, write_text(tmp_path), tmp_path / "theirs")
    trained.replace(folder / "model.safetensors")
    facts, out = facts_with(tmp_path, shipped=str(folder)), tmp_path / "entry.safetensors"
    request = Request(facts, "shipped", "scannet/imported/shipped@1", {}, tmp_path)
    Worker(ImportedStage().params(facts))(out, request)
    assert load(out, torch.device("cpu")).variant == "shipped"


def test_an_imported_network_is_known_by_its_bytes(tmp_path: Path) -> None:
    one, other, third = (tmp_path / name for name in ("one", "other", "third"))
    for path, content in ((one, b"1"), (other, b"1"), (third, b"2")):
        path.write_bytes(content)
    found = [keys.key(facts_with(tmp_path, shipped=str(p)), "imported", {}) for p in (one, other)]
    assert found[0] == found[1]
    assert keys.key(facts_with(tmp_path, shipped=str(third)), "imported", {}) != found[0]
    with pytest.raises(BadInput, match=r"absent: cannot be read .* correct `networks:`"):
        keys.key(facts_with(tmp_path, shipped=str(tmp_path / "absent")), "imported", {})
