"""Which step's weights a network keeps, without any dense label.

Some training scans can be held out. Every so many steps the network labels them as in inference,
and what it finds is compared with their scene tags, which name the classes in a scan and not where
they are. Validation scans and dense labels take no part.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from model.data.entries import ScanEntries, read_entry
from model.data.scans import split_scans
from model.data.whole_scan import outputs, whole_scan
from model.network import files
from model.network.trained import LAST_STEP, Weights
from model.network.unet import MinkUNet
from model.training import ranks
from pipeline.errors import BadInput

MIN_SHARE = 0.001  # of a scan's voxels, for a class to be found; as `tags.min_share`


@dataclass(frozen=True)
class SelectionConfig:
    """The section `selection` of the config."""

    held_out: float = 0.0  # share of the training scans that only measure the agreement
    every: int = 250  # steps from one measurement to the next; the last step is always measured
    rule: str = "last"  # last: the weights after the last step; tags: those that agree best

    def __post_init__(self) -> None:
        if self.rule == "tags" and not self.held_out:
            what = "`rule: tags` has no scans to measure"
            raise BadInput("`selection:` in the config", what, "set `held_out` above 0")


def hold_out(
    config: SelectionConfig, scans: Sequence[ScanEntries], seed: int
) -> tuple[list[ScanEntries], list[ScanEntries]]:
    """The scans to train on and those held out: at least one if `held_out` is above 0.

    Raises `BadInput` where a scan is to be held out and there is one only, and where the tags of
    those held out name all classes, which says nothing.
    """
    kept, held = split_scans(len(scans), config.held_out, seed)
    where, remedy = "`selection:` in the config", "set `held_out: 0`"
    if config.held_out and not held:
        raise BadInput(where, "a single training scan cannot be held out", remedy)
    held_out = [scans[i] for i in held]
    if held and all(scan.present().all() for scan in held_out):
        raise BadInput(where, "no scan that is held out has scene tags", remedy)
    return [scans[i] for i in kept], held_out


def agreement(found: NDArray[np.integer], present: NDArray[np.bool_]) -> float:
    """How well the classes found in S scans agree with their scene tags, in [0, 1].

    `found` (S, K) are the voxels of each scan that a network gives each class, `present` (S, K) the
    tags. It is the mean of P_k R_k over the classes k that any scan has, with

        P_k  the share of all voxels found as k that are in scans with k, 0 if there is none,
        R_k  the share of the scans with k in which at least 0.1 % of the voxels are found as k.

    Each class counts alike, as in mIoU: always naming wall and floor, which all rooms have, or a
    class everywhere, agrees badly. A scan whose tags name all K classes says nothing and is left
    out. Of some thirty measures by tags alone it ranks 42 networks (seven runs, simulated rooms)
    most like mIoU on other rooms: rank correlation 0.80, and 0.90 within a run.
    """
    informative = ~present.all(axis=1)
    found, present = found[informative], present[informative]
    enough = found >= MIN_SHARE * found.sum(axis=1, keepdims=True)
    named = present.any(axis=0)
    right = (found * present).sum(axis=0)[named]
    precision = right / np.maximum(found.sum(axis=0)[named], 1)
    recall = (enough & present).sum(axis=0)[named] / present.sum(axis=0)[named]
    return float((precision * recall).mean())


class Selection:
    """What was measured in one run so far, and the weights that agreed best with the tags."""

    def __init__(
        self,
        config: SelectionConfig,
        held_out: Sequence[ScanEntries],
        text: torch.Tensor,
        inputs: Collection[str],
        voxel_size: float,
    ) -> None:
        """`text` (K, d) of unit length; `inputs` and `voxel_size` (metres) are the network's."""
        self.config, self.held_out, self.text = config, held_out, text
        self.inputs, self.voxel_size = inputs, voxel_size
        self.steps: list[int] = []
        self.agreements: list[float] = []
        self.best: dict[str, torch.Tensor] = {}

    def look(self, network: MinkUNet, step: int, last: bool) -> float | None:
        """The agreement after `step` steps, `last` after all, if it is time to measure it."""
        if not self.held_out or not (last or step % self.config.every == 0):
            return None
        network.eval()
        found = np.zeros((len(self.held_out), len(self.text)), np.int64)
        for number in ranks.own(range(len(self.held_out))):
            found[number] = self._count(network, self.held_out[number])
        found = ranks.total_counts(found, self.text.device)
        network.train()
        present = np.stack([scan.present() for scan in self.held_out])
        self.steps.append(step)
        self.agreements.append(agreement(found, present))
        if self.agreements[-1] == max(self.agreements):  # the later of two that agree as well
            self.best = {name: t.detach().clone() for name, t in network.state_dict().items()}
        return self.agreements[-1]

    def _count(self, network: MinkUNet, scan: ScanEntries) -> NDArray[np.int64]:
        """The voxels of a scan that the network gives each class (K,)."""
        given = whole_scan(read_entry(scan.voxels), self.inputs, self.voxel_size)
        with torch.no_grad():
            label = [
                (F.normalize(rows, dim=1) @ self.text.T).argmax(dim=1)
                for rows in outputs(network, given, self.text.device)
            ]
        of_voxel = torch.cat(label).cpu().numpy()[given.voxel_of]
        return np.bincount(of_voxel, minlength=len(self.text))

    def choose(self, network: MinkUNet) -> tuple[str, dict[str, Weights]]:
        """Give the network the weights that the rule chooses.

        Returns how they were chosen, in words, and by the name of its rule what was not chosen;
        nothing if no scan is held out.
        """
        if not self.held_out:
            return LAST_STEP, {}
        last = {name: t.detach().clone() for name, t in network.state_dict().items()}
        found = {"last": Weights(last, self._last_step()), "tags": Weights(self.best, self._best())}
        chosen = found.pop(self.config.rule)
        network.load_state_dict(chosen.tensors)
        return chosen.selection, found

    @property
    def curve(self) -> dict[str, list[float]]:
        """The agreement after each measured number of steps."""
        return {"step": list(self.steps), "agreement": list(self.agreements)}

    def _scans(self) -> str:
        count = len(self.held_out)
        return f"the scene tags of {count} held-out training scan{'s' * (count != 1)}"

    def _best_step(self) -> int:
        """Its place in the curve."""
        best = max(self.agreements)
        return len(self.agreements) - 1 - self.agreements[::-1].index(best)

    def _last_step(self) -> str:
        best = self._best_step()
        return (
            f"{LAST_STEP} (agreement with {self._scans()} {self.agreements[-1]:.3f}, best "
            f"{self.agreements[best]:.3f} at step {self.steps[best]})"
        )

    def _best(self) -> str:
        best = self._best_step()
        return (
            f"step {self.steps[best]} of {self.steps[-1]}, best agreement with {self._scans()} "
            f"({self.agreements[best]:.3f}; last step {self.agreements[-1]:.3f})"
        )

    def state(self) -> dict[str, torch.Tensor]:
        """What a checkpoint holds of it."""
        if not self.steps:
            return {}
        return {
            "selection.step": torch.tensor(self.steps),
            "selection.agreement": torch.tensor(self.agreements, dtype=torch.float64),
            **files.named("selected", self.best),
        }

    def restore(self, tensors: Mapping[str, torch.Tensor], where: torch.device) -> None:
        """Take what `state` gave, to go on from there."""
        if "selection.step" in tensors:
            self.steps = tensors["selection.step"].tolist()
            self.agreements = tensors["selection.agreement"].tolist()
            best = files.under("selected", tensors)
            self.best = {name: tensor.to(where) for name, tensor in best.items()}
