"""Stages relabel_round<number>: labels of all training scans by the network of the round before."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model.stages.runs import TrainingStage, run_in, weak_scans, weak_sources
from pipeline.facts import Facts, round_of
from pipeline.stages.declaration import Entry, Request

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

    from model.data.entries import ScanEntries


class RelabelRoundStage(TrainingStage):
    """Labels of all scans for a self-training round."""

    packages = ("numpy", "spconv-cu120", "torch")
    minutes = 240

    def __init__(self, number: int = 0) -> None:
        super().__init__(number)
        before = f"retrain_round{number - 1}" if number > 1 else "train"
        self.reads = (*("voxels", "targets", "pseudo_labels", "tags", "text", "adapter"), before)

    def sources(self, facts: Facts, name: str) -> list[Entry]:
        """The entries of all training scans, the text, the adapter, and the network before."""
        before = run_in(self.round - 1, name)
        adapter = ("adapter", run_in(0, name))
        return [*weak_sources(facts), adapter, (facts.trainer(before), before)]

    def params(self, facts: Facts) -> dict[str, Any]:
        """The section `self_training`, less how many rounds there are and what trains in them."""
        training = facts.section["train"]
        given = training["self_training"].items()
        own = {name: value for name, value in given if name not in ("rounds", "steps")}
        return own | {"soft": training["labels"]["soft"]}


class Worker:
    """Labels the scans for one run after another."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        self.params = params

    def __call__(self, path: Path, request: Request) -> None:
        """Write the labels for the run `<variant>_round<number>-<seed>` to `path`."""
        from model.data.entries import read_entry
        from model.inference.predict import predict
        from model.network.device import device
        from model.network.trained import load
        from model.training.self_training import RoundConfig, write_round_labels

        before = run_in(round_of(request.name) - 1, request.name)
        trained = load(request.path(request.facts.trainer(before), before), device())

        def student(scan: "ScanEntries") -> "NDArray[float32]":
            return predict(trained, read_entry(scan.voxels)).probability

        write_round_labels(
            RoundConfig(**self.params),
            weak_scans(request),
            request.path("text"),
            request.path("adapter", run_in(0, request.name)),
            student,
            path,
            entry=request.entry,
        )
