"""Examine scans, and show what was found on one HTML page."""

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import jinja2

from pipeline.doctor import checks, pictures, plausible, scans, statistics, views, whole
from pipeline.doctor.scans import Scan
from pipeline.doctor.whole import Whole
from pipeline.errors import BadInput
from pipeline.plan import config, rawdata
from pipeline.plan.plan import Plan
from pipeline.progress import Progress
from pipeline.readers.folder.witnesses import too_far
from pipeline.scan import Cloud, RawFrames
from pipeline.store import filesystem


@dataclass
class Examined:
    """The page's content about one scan; pictures are base64-encoded PNG files."""

    name: str
    findings: list[str] = field(default_factory=list)  # what is wrong, a sentence each
    unmeasured: list[str] = field(default_factory=list)  # what could not be checked
    notes: list[str] = field(default_factory=list)  # warnings of the reader, such as repairs
    facts: dict[str, str] = field(default_factory=dict)
    above: str = ""
    overlays: str = ""
    depths: str = ""


@dataclass(frozen=True)
class Report:
    """The result for all scans, and the page that shows it."""

    examined: list[Examined]
    page: Path

    @property
    def healthy(self) -> bool:
        """Whether nothing wrong was found."""
        return not any(scan.findings for scan in self.examined)


def examine_dataset(
    dataset: str, names: Iterable[str], frames: int, path: Path, out: Path | None = None
) -> Report:
    """Examine the named scans of a dataset of the config `path`, or else a few of all.

    `frames` frames of each are read. The page is `out`, or results/DATASET/doctor/index.html.
    Raises `BadInput` as `scans.of_dataset`, for an unknown dataset, and where `out` cannot be
    written.
    """
    plan = config.plan(dataset, path, wanted=False)
    chosen = scans.of_dataset(plan, list(names))
    missing = _missing_files(plan)
    examined = [Examined(plan.dataset, missing)] if missing else []
    examined += _examine_all(chosen, frames)
    out = out or Path(plan.facts.results, plan.dataset, "doctor", "index.html")
    return _write(examined, plan.dataset, out, plan.facts.simulated)


def examine_folder(folder: Path, frames: int, out: Path | None = None) -> Report:
    """Examine the scan in a folder, by `frames` of its frames.

    The page is `out`, or results/SCAN/doctor/index.html. Raises `BadInput` where there is no such
    folder, and where `out` cannot be written.
    """
    scan = scans.of_folder(folder)
    out = out or Path("results", scan.name, "doctor", "index.html")
    return _write(_examine_all([scan], frames), scan.name, out, simulated=False)


def examine(scan: Scan, frames: int) -> Examined:
    """Examine one scan; files that cannot be read are a finding."""
    done = Examined(scan.name)
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always", UserWarning)
            raw, cloud = scan.open()
            sample = views.take(raw, frames)
            everything, damaged = _survey(raw, cloud)
    except BadInput as error:
        done.findings.append(str(error))
        return done
    found = checks.examine(raw, sample, cloud)
    done.findings += [*map(str, found.findings), *damaged]
    if everything and not done.findings:
        done.findings += map(str, plausible.coverage(everything))
    done.unmeasured = found.unmeasured
    done.facts = statistics.facts(raw, sample, cloud, found.agreement, everything)
    done.notes = [str(each.message) for each in warned if each.category is UserWarning]
    if everything and (sentence := too_far(everything.beyond or 0)):
        done.notes.append(sentence)
    done.above = pictures.from_above(sample, cloud)
    done.overlays = pictures.overlays(sample, cloud)
    done.depths = pictures.depths(sample)
    return done


def _survey(raw: RawFrames, cloud: Cloud | None) -> tuple[Whole | None, list[str]]:
    """The recording as a whole, and a sentence where that cannot be had."""
    try:
        return whole.survey(raw, cloud), []
    except BadInput as error:
        return None, [str(error)]


def render(examined: Sequence[Examined], title: str, simulated: bool) -> str:
    """One HTML page about all scans, which needs no other file."""
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    template = jinja2.Environment(loader=loader, autoescape=True).get_template("page.html.j2")
    count = sum(len(scan.findings) for scan in examined)
    return template.render(title=title, scans=examined, count=count, simulated=simulated)


def _examine_all(chosen: Sequence[Scan], frames: int) -> list[Examined]:
    return [examine(scan, frames) for scan in Progress(chosen, "examining", unit="scan")]


def _missing_files(plan: Plan) -> list[str]:
    """A sentence about the scans that lack files, if there are any."""
    if plan.facts.simulated:
        return []
    try:
        rawdata.complete_scans(plan)
    except BadInput as error:
        return [str(error)]
    return []


def _write(examined: list[Examined], name: str, out: Path, simulated: bool) -> Report:
    with filesystem.write_errors(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(render(examined, f"Raw scans of {name}", simulated), encoding="utf-8")
    return Report(examined, out)
