"""Stage imported: networks that were trained elsewhere, to be scored beside the dataset's own."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from model.network.release import network_file
from pipeline.errors import BadInput
from pipeline.facts import Facts
from pipeline.stages.declaration import Entry, Over, Request, Stage
from pipeline.store import records


class ImportedStage(Stage):
    """A network that was trained elsewhere, as the config names it under `networks`."""

    over = Over.RUN
    packages = ("spconv-cu120", "torch")
    suffix = "safetensors"
    minutes = 10

    def sources(self, facts: Facts, name: str) -> list[Entry]:
        """No entry: a file outside the store."""
        return []

    def params(self, facts: Facts) -> dict[str, Any]:
        """The files, or the folders that have them."""
        return {"networks": dict(facts.imported)}

    def key_params(self, facts: Facts) -> dict[str, Any]:
        """What the files contain, and not where they are. Raises `BadInput` if one is missing."""
        return {"networks": {name: _digest(Path(path)) for name, path in facts.imported.items()}}


class Worker:
    """Reads one network after another."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        self.networks = params["networks"]

    def __call__(self, path: Path, request: Request) -> None:
        """Write the network `request.name` as an entry to `path`."""
        from model.network.device import device
        from model.network.trained import load

        trained = load(network_file(Path(self.networks[request.name])), device())
        replace(trained, variant=request.name, entry=request.entry).save(path)


def _digest(path: Path) -> str:
    try:
        return records.digest(network_file(path))
    except OSError as error:
        remedy = "correct `networks:` in the config"
        raise BadInput(path, f"cannot be read ({error.strerror})", remedy) from error
