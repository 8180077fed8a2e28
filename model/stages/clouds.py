"""Stage clouds: the points of a scan labelled by trained networks, as PLY files of the results."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.facts import Facts, in_rounds
from pipeline.stages.declaration import Entry, Request, Stage


class CloudsStage(Stage):
    """Labelled clouds of a scan, one for each network, as PLY files."""

    reads = ("train", "supervised", "imported", "voxels", *in_rounds("retrain"))
    packages = ("matplotlib", "numpy", "plyfile", "scipy", "spconv-cu120", "torch")
    suffix = "ply"
    stored = False
    gpu = True
    memory_mb, minutes = 16000, 60

    def upstream(self, facts: Facts) -> tuple[str, ...]:
        """Without rounds that there are not."""
        return ("train", "supervised", "imported", "voxels", *in_rounds("retrain", facts.rounds))

    def sources(self, facts: Facts, name: str) -> list[Entry]:
        """All networks, and the voxels that they label."""
        return [*((facts.trainer(run), run) for run in facts.clouds.values()), ("voxels", name)]

    def params(self, facts: Facts) -> dict[str, Any]:
        """The colours of the classes."""
        return {"colors": {c["name"]: c["color"] for c in facts.classes if "color" in c}}


class Worker:
    """Labels one scan after another; each network is loaded once."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        self.colors = params["colors"]
        self._networks: dict[str, Any] = {}

    def __call__(self, folder: Path, request: Request) -> None:
        """Write the clouds of the scan `request.name` into `folder`."""
        from model.data.entries import read_entry
        from model.inference.label_clouds import write_labelled_cloud
        from model.network.device import device
        from model.network.trained import load

        facts = request.facts
        for name, run in facts.clouds.items():
            if run not in self._networks:
                self._networks[run] = load(request.path(facts.trainer(run), run), device())
            voxels = read_entry(request.path("voxels", request.name))
            write_labelled_cloud(folder / f"{name}.ply", self._networks[run], voxels, self.colors)
