"""The raw files of the scans that are to be looked at, whatever they lie in."""

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from pipeline.errors import BadInput
from pipeline.look import sample
from pipeline.plan import rawdata
from pipeline.plan.plan import Plan
from pipeline.readers.folder.files import CLOUD
from pipeline.readers.s3dis.files import SCAN_NAME, scan_files
from pipeline.scan import Cloud, RawFrames


@dataclass(frozen=True)
class Scan:
    """One scan whose files are not open yet."""

    name: str
    reader: str  # the package of `pipeline` that reads it
    raw: Path  # the root in which its files are found by its name

    def open(self) -> tuple[RawFrames, Cloud | None]:
        """Its frames, and its points where they do not come from these.

        Raises `BadInput` where files are missing or damaged.
        """
        package = f"pipeline.readers.{self.reader}"
        files = import_module(f"{package}.files").scan_files(self.raw, self.name)
        if not files["frames"]:
            raise BadInput(self.raw, f"{self.name} has no frames here", "complete it")
        frames = import_module(f"{package}.frames").open_frames(files["frames"])
        if not files["cloud"] or (self.reader == "folder" and CLOUD not in files["cloud"]):
            return frames, None
        return frames, import_module(f"{package}.cloud").read_cloud(files["cloud"])


def of_dataset(plan: Plan, names: Iterable[str] | None) -> list[Scan]:
    """The scans that are named, or else a few, spread over all.

    Raises `BadInput` for one that is named and is none of the dataset's, and where there are no raw
    files at all.
    """
    rawdata.require_scans(plan.facts)
    chosen = list(dict.fromkeys(names or sample.spread(plan.facts.scans)[: sample.SCANS]))
    for name in chosen:
        sample.require(plan, name)
    if not plan.raw.is_dir():
        what, reader = f"there is no {plan.dataset} data here", plan.section["reader"]
        remedy = f"get it as data_manifest/{reader}/README.md says, or set `raw:` of {plan.dataset}"
        raise BadInput(plan.raw, what, remedy)
    return [Scan(name, plan.section["reader"], plan.raw) for name in chosen]


def of_folder(path: Path) -> Scan:
    """The scan that lies in a folder: ScanNet's, a room of S3DIS, or any folder of frames.

    Raises `BadInput` where there is no such folder.
    """
    path = path.resolve()
    if not path.is_dir():
        raise BadInput(path, "no such folder", "name the folder of a scan")
    room = f"{path.parent.name}_{path.name}"
    if (path / f"{path.name}_vh_clean_2.ply").is_file():
        return Scan(path.name, "scannet", path.parent.parent)
    if SCAN_NAME.fullmatch(room):  # its images may lie beside its area, or beside what holds areas
        above = path.parents[1:3]
        raw = next((root for root in above if scan_files(root, room)["frames"]), above[0])
        return Scan(room, "s3dis", raw)
    return Scan(path.name, "folder", path.parent)
