"""Labels of a round of self-training: those on which adapter and network agree.

The rounds are those of DBGroup (AAAI 2026): the network of the round before labels the scans that
it was trained on, and the next one learns these labels from the start. To combine its probabilities
with the adapter's, which stay the teacher in all rounds, is of this project: a network that taught
itself alone would confirm its own errors. No dense label is read.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from model.data.entries import ScanEntries, read_array, read_entry
from model.training.refine import superpoint_of, write_labels
from pipeline.geometry.label_choice import Chosen, LabelChoice, choose, softmax_of
from pipeline.geometry.votes import mean_over

_FLOOR = 1e-6  # of a probability, so that neither teacher nor student excludes a class alone

Student = Callable[[ScanEntries], NDArray[np.float32]]  # probabilities (M, K) of a scan's voxels


@dataclass(frozen=True)
class RoundConfig:
    """The section `self_training` of `train`: how the labels of a round are chosen."""

    teacher_share: float = 0.5  # of the adapter in the combination; the network has the rest
    superpoints: Literal["none", "vote", "mean"] = "mean"
    keep_share: float = 0.7  # as in `LabelChoice`
    soft: bool = False  # as in the section `labels`


def write_round_labels(
    config: RoundConfig,
    scans: Sequence[ScanEntries],
    text: Path,
    adapter: Path,
    student: Student,
    out: Path,
    *,
    entry: str = "",
) -> None:
    """Write the labels of all scans into one file, as `model.training.refine.write_labels` does.

    `student` gives the probabilities of the network of the round before. Raises `BadInput` if the
    adapter cannot be read.
    """

    def choice(scan: ScanEntries, teacher: NDArray[np.float32]) -> Chosen:
        voxel = read_array(read_entry(scan.targets), "voxel").astype(np.int64)
        own = student(scan)[voxel]
        return choose_labels(teacher, own, scan.present(), superpoint_of(scan), config)

    write_labels(choice, scans, text, adapter, out, soft=config.soft, entry=entry)


def choose_labels(
    teacher: NDArray[np.float32],
    student: NDArray[np.float32],
    present: NDArray[np.bool_],
    superpoint: NDArray[np.integer],
    config: RoundConfig,
) -> Chosen:
    """Labels from the probabilities (V, K) of teacher and student among the classes present (K,).

    With `superpoints: mean` both are averaged over superpoints (V,), -1 = none, before they are
    combined.
    """
    student = _among(student, present)
    if config.superpoints == "mean":
        teacher, student = (mean_over(each, superpoint) for each in (teacher, student))
    both = combined(teacher, student, present, config.teacher_share)
    return choose(both, superpoint, LabelChoice(config.superpoints, config.keep_share))


def combined(
    teacher: NDArray[np.float32],
    student: NDArray[np.float32],
    present: NDArray[np.bool_],
    share: float,
) -> NDArray[np.float32]:
    """q (V, K) ~ teacher ^ share * student ^ (1 - share) among the classes present (K,).

    Rows have the sum 1, or 0 if no class is present.
    """
    logits = share * np.log(teacher + _FLOOR) + (1 - share) * np.log(student + _FLOOR)
    return softmax_of(logits, present).astype(np.float32)


def _among(probability: NDArray[np.float32], present: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Probabilities (V, K) among the classes present (K,) alone, with the sum 1."""
    return softmax_of(np.log(probability + np.float32(1e-30)), present)
