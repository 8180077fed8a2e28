"""The raw files of the scans to examine, from a dataset or from a folder."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pipeline import readers
from pipeline.errors import BadInput
from pipeline.plan import choice, rawdata
from pipeline.plan.plan import Plan
from pipeline.scan import Cloud, RawFrames


@dataclass(frozen=True)
class Scan:
    """One scan whose files are not open yet."""

    name: str
    reader: str  # its name in `pipeline.readers`
    raw: Path  # the root below which the reader finds the scan

    def open(self) -> tuple[RawFrames, Cloud | None]:
        """Its frames, and its points unless they come from the frames.

        Raises `BadInput` where files are missing or damaged.
        """
        files = readers.load(self.reader, "files").scan_files(self.raw, self.name)
        if not files["frames"]:
            raise BadInput(self.raw, f"{self.name} has no frames here", "add them")
        frames = readers.load(self.reader, "frames").open_frames(files["frames"])
        if files["cloud"].items() <= files["frames"].items():  # no cloud, or one fused from frames
            return frames, None
        return frames, readers.load(self.reader, "cloud").read_cloud(files["cloud"])


def of_dataset(plan: Plan, names: Iterable[str] | None) -> list[Scan]:
    """The named scans, or else a few, spread over all.

    Raises `BadInput` for a name that is not one of the dataset's scans, and where there are no raw
    files at all.
    """
    rawdata.require_scans(plan.facts)
    chosen = list(dict.fromkeys(names or choice.spread(plan.facts.scans)[: choice.SCANS]))
    for name in chosen:
        choice.require_scan(plan, name)
    reader = plan.section["reader"]
    if not plan.raw.is_dir():
        what = f"there is no {plan.dataset} data here"
        remedy = f"get it as data_manifest/{reader}/README.md says, or set `raw:` of {plan.dataset}"
        raise BadInput(plan.raw, what, remedy)
    return [Scan(name, reader, plan.raw) for name in chosen]


def of_folder(path: Path) -> Scan:
    """The scan in a folder: ScanNet's, a room of S3DIS, or any folder of frames.

    Raises `BadInput` where there is no such folder.
    """
    if path.is_file():
        remedy = "give the folder of a scan with its images"
        raise BadInput(path, "is a file, and the doctor compares images with points", remedy)
    if not path.is_dir():
        raise BadInput(path.resolve(), "no such folder", "give the folder of a scan")
    found = readers.recognise(path)
    if found is None:
        remedy = f"give the folder of a scan that one of {', '.join(readers.names())} reads"
        raise BadInput(path.resolve(), "is not recognised as a scan", remedy)
    return Scan(found.scan, found.reader, found.raw)
