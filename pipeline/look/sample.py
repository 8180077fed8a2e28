"""A few frames of a dataset's raw scans, and what the config makes of them without a run."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import zarr
from numpy.typing import NDArray

from pipeline import readers
from pipeline.clip import hub
from pipeline.errors import BadInput
from pipeline.geometry.poses import is_rigid
from pipeline.jobs import entries
from pipeline.plan import rawdata
from pipeline.plan.choice import SCANS, require_scan, spread
from pipeline.plan.plan import Plan
from pipeline.readers.features import reader as features
from pipeline.stages.parts import load_parts
from pipeline.store import arrays
from pipeline.whole_frames import whole_frames


@dataclass(frozen=True)
class Sample:
    """Some frames of one scan."""

    scan: str
    taken: int  # how many frames a run takes of the scan
    frames: zarr.Group  # of those looked at: `color`, `color_offsets` and `frame_id` as in `frames`

    @property
    def ids(self) -> list[int]:
        """The ids of the frames looked at."""
        return np.asarray(self.frames["frame_id"]).tolist()

    @property
    def color_size(self) -> list[int]:
        """Width and height of the colour images."""
        return cast(list[int], self.frames.attrs["color_size"])

    @property
    def blobs(self) -> list[bytes]:
        """Their colour images, encoded as found."""
        color = np.asarray(self.frames["color"])
        parts = np.split(color, np.asarray(self.frames["color_offsets"])[1:-1])
        return [part.tobytes() for part in parts]


def take(plan: Plan, scans: Iterable[str] | None, frames: int) -> list[Sample]:
    """`frames` frames of each scan, evenly spread; of those that are there if none are named.

    Raises `BadInput` for a scan that is named and not there, and where no scan is.
    """
    if scans is not None:
        return [_sample(plan, scan, frames) for scan in dict.fromkeys(scans)]
    found: list[Sample] = []
    faults: list[BadInput] = []
    for scan in spread(plan.facts.scans):
        if len(found) == SCANS:
            break
        try:
            found.append(_sample(plan, scan, frames))
        except BadInput as error:
            faults.append(error)
    if not found:
        rawdata.require_scans(plan.facts)  # which says so where there is none at all
        raise faults[0]
    return sorted(found, key=lambda sample: plan.facts.scans.index(sample.scan))


def _sample(plan: Plan, scan: str, count: int) -> Sample:
    raw = _open(plan, scan)
    selected = list(raw.frame_ids)[:: plan.section["frames"]["every"]]
    taken = [frame_id for frame_id in selected if is_rigid(raw.pose(frame_id))]
    if not taken:
        raise BadInput(scan, "has no frame with a valid pose", "look at another (`--scan`)")
    count = min(count, len(taken))
    ids = [taken[int((i + 0.5) * len(taken) / count)] for i in range(count)]
    frames = list(whole_frames(raw, ids))
    ids, blobs = [frame.frame_id for frame in frames], [frame.color for frame in frames]
    group = memory()
    group.attrs["color_size"] = list(raw.color_size)
    arrays.write(group, "color", np.frombuffer(b"".join(blobs), np.uint8), compress=False)
    arrays.write(group, "color_offsets", np.cumsum([0, *map(len, blobs)]))
    arrays.write(group, "frame_id", np.array(ids, np.int64))
    return Sample(scan, len(taken), group)


def _open(plan: Plan, scan: str) -> Any:
    """The raw frames of a scan, which need no labels. Raises `BadInput` where they are missing."""
    require_scan(plan, scan)
    reader = plan.facts.reader
    files = readers.load(reader, "files").scan_files(plan.raw, scan)["frames"]
    if not files:
        raise BadInput(plan.raw, f"{scan} has no frames here", "complete it or look at another")
    return readers.load(reader, "frames").open_frames(files)


class Reader:
    """What reads frames densely as the config says: an image tower, or features made elsewhere."""

    def __init__(self, plan: Plan, codec: str | None = None) -> None:
        """Load it, and fetch weights of a hub that are not here; raises `BadInput` as a run does.

        Grids are written in `codec` instead of the config's if one is given.
        """
        self._plan = plan
        self._texts = features.read_texts(plan.facts.features) if plan.facts.features else None
        how = plan.section["embeddings"] | ({"codec": codec} if codec else {})
        self._facts = replace(plan.facts, section={**plan.section, "embeddings": how})
        if not plan.facts.features:
            hub.fetch(how["model"], how["pretrained"])
        self.codec = load_parts("embeddings", self._facts.section)["codec"]
        self.stage = entries.load_worker("embeddings", self._facts)

    def embed(self, sample: Sample, out: zarr.Group) -> None:
        """Write the entry of the stage for the frames of a sample."""
        self.stage(out, frames=sample.frames, **self._raw(sample))

    def exact(self, sample: Sample) -> NDArray[np.float32]:
        """The grids (F, h, w, d) of the frames of a sample before they are rounded."""
        return self.stage.exact(frames=sample.frames, **self._raw(sample))

    def classes(self) -> NDArray[np.float32]:
        """The embeddings (K, d) of the classes' texts, of unit length."""
        out = memory()
        raw = {"raw": self._texts} if self._texts else {}
        entries.load_worker("text", self._facts)(out, **raw)
        return np.asarray(out["embedding"])

    def queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """The embeddings (Q, d) of queries. Raises `BadInput` without a text tower."""
        if self._texts:
            what = "features made elsewhere bring the texts of classes, and no text tower"
            raise BadInput(self._texts.path, what, "look without --query")
        from pipeline.clip.text_tower import load_text_tower

        tower = self._plan.section["embeddings"]
        model = hub.located(tower["model"])
        return load_text_tower(model, tower["pretrained"]).embed(list(texts))

    def _raw(self, sample: Sample) -> dict[str, Any]:
        if self._texts is None or self._plan.facts.features is None:
            return {}
        return {"raw": features.open_features(self._plan.facts.features, sample.scan, self._texts)}


def title(plan: Plan) -> str:
    """What is looked at, and what reads it."""
    return f"{plan.dataset}{' (simulated rooms)' * plan.facts.simulated}: {made_by(plan)}"


def made_by(plan: Plan) -> str:
    """What reads the frames, in words."""
    how = plan.section["embeddings"]
    if plan.facts.features:
        return f"features of {plan.facts.features}"
    parts = [Path(how["model"]).name.partition("@")[0] if ":" in how["model"] else how["model"]]
    parts += [how["pretrained"]] if how["pretrained"] else []
    parts += [f"recipe {how['recipe']}"]
    parts += ["{} x {} px".format(*how["image_size"])] if how.get("image_size") else []
    parts += [f"windows of {how['window']} px every {how['stride']}"] if how.get("window") else []
    parts += ["averaged in regions"] if how.get("regions") is not None else []
    return ", ".join(parts)


def memory() -> zarr.Group:
    """An empty group that is on no disk."""
    return zarr.create_group(zarr.storage.MemoryStore())
