"""The table at the end where no labels exist to score by: what was seen and predicted."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import zarr

from model.data.entries import read_array
from model.inference.ply import read_comments
from pipeline import tables

_PAIRS = 1 << 22  # pairs of a voxel and a frame that are in memory at a time


@dataclass(frozen=True)
class ScanSummary:
    """What was seen of one scan and predicted for it. Shares are of its points, from 0 to 1."""

    scan: str
    split: str  # train, or val: not trained on
    points: int
    voxels: int
    frames: int
    seen: float  # share of points in voxels that at least one frame sees
    classes: Mapping[str, Mapping[str, float]]  # network -> class predicted -> share


def summarise(
    scan: str, split: str, voxels: zarr.Group, projections: zarr.Group, clouds: Mapping[str, Path]
) -> ScanSummary:
    """The summary of a scan from its entries and its labelled clouds (network -> PLY file)."""
    of_point, count = read_array(voxels, "voxel_of_point"), len(read_array(voxels, "coords"))
    offsets, seen = read_array(projections, "offsets"), np.zeros(count, bool)
    for start in range(0, int(offsets[-1]), _PAIRS):
        seen[read_array(projections, "voxel", slice(start, start + _PAIRS))] = True
    points = len(of_point)
    classes = {
        network: {c["name"]: c["points"] / points for c in read_comments(path) if c["points"]}
        for network, path in clouds.items()
    }
    share = float(seen[of_point].mean())
    return ScanSummary(scan, split, points, count, len(offsets) - 1, share, classes)


def text_summary(scans: Sequence[ScanSummary], title: str, notes: Sequence[str] = ()) -> str:
    """The table as plain text, in percent of points, the most frequent classes first."""
    counts = [["scan", "", "points", "voxels", "frames", "seen %"]]
    counts += [
        [s.scan, s.split, f"{s.points:,}", f"{s.voxels:,}", str(s.frames), f"{100 * s.seen:.1f}"]
        for s in scans
    ]
    shares = [
        [s.scan, network, ", ".join(f"{name} {100 * share:.1f}" for name, share in _ranked(found))]
        for s in scans
        for network, found in s.classes.items()
    ]
    heading = [
        title,
        "No labels, so nothing is scored: these are predicted classes, not how often they are "
        "correct.",
        *notes,
    ]
    parts = [
        "\n".join(heading),
        tables.aligned(counts),
        "Classes, in percent of points\n" + tables.aligned([["scan", "network", ""], *shares]),
    ]
    return "\n\n".join(parts) + "\n"


def csv_rows(scans: Sequence[ScanSummary]) -> list[list[str]]:
    """Every number as one row, below a row of headings."""
    rows = [["scan", "split", "network", "what", "class", "value"]]
    for s in scans:
        for count in ("points", "voxels", "frames"):
            rows.append([s.scan, s.split, "", count, "", str(getattr(s, count))])
        rows.append([s.scan, s.split, "", "seen", "", f"{s.seen:.6f}"])
        for network, found in s.classes.items():
            for name, share in _ranked(found):
                rows.append([s.scan, s.split, network, "share", name, f"{share:.6f}"])
    return rows


def write_summary(
    scans: Sequence[ScanSummary], out_prefix: Path, title: str, notes: Sequence[str] = ()
) -> str:
    """Write `out_prefix`.txt, .json and .csv; return the text."""
    text = text_summary(scans, title, notes)
    content = {"title": title, "notes": list(notes), "scans": [asdict(scan) for scan in scans]}
    tables.write(out_prefix, text, content, csv_rows(scans))
    return text


def _ranked(found: Mapping[str, float]) -> list[tuple[str, float]]:
    """Classes with their shares, the most frequent first."""
    return sorted(found.items(), key=lambda each: -each[1])
