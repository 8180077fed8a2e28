"""The raw files of the scans that are to be looked at, whatever they lie in."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pipeline import readers
from pipeline.errors import BadInput
from pipeline.look import sample
from pipeline.plan import rawdata
from pipeline.plan.plan import Plan
from pipeline.scan import Cloud, RawFrames


@dataclass(frozen=True)
class Scan:
    """One scan whose files are not open yet."""

    name: str
    reader: str  # its name in `pipeline.readers`
    raw: Path  # the root in which its files are found by its name

    def open(self) -> tuple[RawFrames, Cloud | None]:
        """Its frames, and its points where they do not come from these.

        Raises `BadInput` where files are missing or damaged.
        """
        files = readers.load(self.reader, "files").scan_files(self.raw, self.name)
        if not files["frames"]:
            raise BadInput(self.raw, f"{self.name} has no frames here", "complete it")
        frames = readers.load(self.reader, "frames").open_frames(files["frames"])
        if files["cloud"].items() <= files["frames"].items():  # nothing but frames
            return frames, None
        return frames, readers.load(self.reader, "cloud").read_cloud(files["cloud"])


def of_dataset(plan: Plan, names: Iterable[str] | None) -> list[Scan]:
    """The scans that are named, or else a few, spread over all.

    Raises `BadInput` for one that is named and is none of the dataset's, and where there are no raw
    files at all.
    """
    rawdata.require_scans(plan)
    chosen = list(dict.fromkeys(names or sample.spread(plan.scans)[: sample.SCANS]))
    for name in chosen:
        sample.require(plan, name)
    if not plan.raw.is_dir():
        what, reader = f"there is no {plan.dataset} data here", plan.section["reader"]
        remedy = f"get it as data_manifest/{reader}/README.md says, or set `raw:` of {plan.dataset}"
        raise BadInput(plan.raw, what, remedy)
    return [Scan(name, plan.section["reader"], plan.raw) for name in chosen]


def of_folder(path: Path) -> Scan:
    """The scan in a folder: ScanNet's, a room of S3DIS, or any folder of frames.

    Raises `BadInput` where there is no such folder.
    """
    if not path.is_dir():
        raise BadInput(path.resolve(), "no such folder", "give the folder of a scan")
    found = readers.recognise(path)
    if found is None:
        remedy = f"give the folder of a scan that one of {', '.join(readers.names())} reads"
        raise BadInput(path.resolve(), "is not recognised as a scan", remedy)
    return Scan(found.scan, found.reader, found.raw)
