"""A round of self-training on toy rooms, after a network that `train_with` has trained."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from model.data.entries import ScanEntries, read_entry
from model.inference.predict import predict
from model.network.device import device
from model.network.trained import load
from model.training.self_training import RoundConfig, Student, write_round_labels
from model.training.weakly_supervised import train_weakly_supervised
from tests.helpers.tiny_entries import Room, loss_terms


def adapter_of(network: Path) -> Path:
    """The adapter that `train_with` fitted for a network."""
    return network.with_suffix(".adapter.safetensors")


def student_of(network: Path) -> Student:
    """The probabilities that a network gives the voxels of a scan."""
    trained = load(network, device())

    def student(scan: ScanEntries) -> Any:
        return predict(trained, read_entry(scan.voxels)).probability

    return student


def write_labels_of_round(
    config: RoundConfig, rooms: list[Room], text: Path, before: Path, out: Path
) -> Path:
    """The labels of the round after the network `before`."""
    weak = [room.weak for room in rooms]
    write_round_labels(config, weak, text, adapter_of(before), student_of(before), out)
    return out


def train_round(
    settings: dict[str, Any], rooms: list[Room], text: Path, first: Path, out: Path, **options: Any
) -> Path:
    """Train the network of round 1 of `ess_esgs` into `out`.safetensors, after the `first` one."""
    path, scratch = out.with_suffix(".safetensors"), out.with_suffix(".scratch")
    config, labels = RoundConfig(), out.with_suffix(".labels.safetensors")
    write_labels_of_round(config, rooms, text, first, labels)
    train_weakly_supervised(
        settings,
        "ess_esgs",
        0,
        [replace(room.weak, refined=labels) for room in rooms],
        text,
        path,
        scratch,
        parts=loss_terms(settings["loss"]),
        round_number=1,
        adapter=adapter_of(first),
        **options,
    )
    return path
