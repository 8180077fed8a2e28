"""The target `predict`: a section of the config becomes the options of the command."""

import subprocess
from pathlib import Path

import pytest
import yaml

from model.inference.ply import read_comments
from pipeline.plan import config
from tests.helpers import tiny_clip
from tests.helpers.tiny_checkout import Checkout
from tests.helpers.tiny_network import network
from tests.helpers.tiny_ply import points, write_ply


class Predicting(Checkout):
    """A checkout in which one scan is labelled."""

    target = "predict"

    def predict(self, **options: str) -> subprocess.CompletedProcess[str]:
        """`snakemake predict` with these options in the config."""
        return self.snakemake("--config", f"predict={yaml.safe_dump(options)}")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Predicting:
    return Predicting(tmp_path_factory.mktemp("checkout") / "tree")


def test_a_scan_is_labelled_with_the_options_of_the_config(
    checkout: Predicting, tmp_path: Path
) -> None:
    scan = write_ply(tmp_path / "my room's.ply", points())
    trained = network(tmp_path, tiny_clip.write(tmp_path / "clip"))
    place = {"scan": str(scan), "network": str(trained), "out": str(tmp_path / "out")}
    done = checkout.predict(**place, query="a place to sit; $HOME", up="-y", votes="yes")
    assert done.returncode == 0, done.stdout + done.stderr
    (meaning,) = read_comments(tmp_path / "out" / "heat.ply")
    assert meaning["query"] == "a place to sit; $HOME"
    assert (tmp_path / "out" / "labels.ply").exists()
    printed = (checkout.folder / "logs" / "predict.log").read_text()
    assert "3,000 points" in printed
    assert "votes: class probabilities averaged in" in printed


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "predict: no scan is named; name it with --scan=PATH."),
        ({"scan": "a.ply", "netwrok": "b"}, "predict: 'netwrok' is not one of"),
        ({"scan": "a.ply", "network": "b", "up": "w"}, "'w' is not one of"),
    ],
)
def test_the_command_checks_the_options(
    options: dict[str, str], said: str, checkout: Predicting
) -> None:
    done = checkout.predict(**options)
    assert done.returncode != 0
    assert said in done.stdout + done.stderr


def test_the_sentence_of_a_failure_is_the_last_that_is_said(
    checkout: Predicting, tmp_path: Path
) -> None:
    trained = network(tmp_path, None)
    done = checkout.predict(scan=str(tmp_path / "none.ply"), network=str(trained))
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(f"predict: {tmp_path / 'none.ply'}: no such file or folder; ")


def test_an_unknown_key_on_the_command_line_is_named(checkout: Predicting) -> None:
    done = checkout.snakemake("--config", "querry=chair")
    assert done.returncode != 0
    assert "querry" in done.stderr


@pytest.mark.parametrize("name", ["scan", "network", "query", "up", "out"])
def test_a_dataset_may_have_the_name_of_an_option(name: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(f"store: s\n{name}: {{scans: a.csv, embeddings: {{model: M}}}}\n")
    loaded = config.load(path)
    assert config.datasets(loaded) == (name,)
    assert loaded["predict"] == {}
