"""What codecs of targets cost: fused mIoU, bytes and seconds, on entries that are there as fp16.

    python tests/benchmarks/target_codecs.py work/demo [--targets KEY] [--sets 3]

The scans of a work tree are encoded in each codec into a temporary folder, and scored in `sets` of
equally many scans: printed are mean and standard deviation over the sets of the mIoU of the fused
embeddings, and of their mean in superpoints; mean and largest change of a set against fp16; bytes a
scan, the CPU seconds that encoding takes, and those of gathering and decoding all rows.
"""

import argparse
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[2]))

from model.data.entries import read_entry
from model.data.features import open_features, read_features
from model.data.labels import LabelledScan
from model.scoring.counting import count_fused
from model.scoring.scores import class_iou, mean_of_known
from pipeline.grids.fused import CHUNK, CODECS
from pipeline.stages import parts
from pipeline.store import arrays, groups


def encoded(home: Path, voxels: Path, codec: str, out: Path) -> float:
    """Write an fp16 entry of targets again in a codec; the CPU seconds of encoding."""
    entry: Any = read_entry(home)
    with groups.create(out) as made:
        for name, compress in (("voxel", True), ("views", True), ("feature", False)):
            arrays.write(made, name, entry[name][:], CHUNK, compress)
        begin = time.process_time()
        if codec != "fp16":
            grids = parts.load_parts("targets", {"embeddings": {"codec": "fp16"}})
            worker = import_module(f"pipeline.stages.fused.{codec}").Worker({}, grids)
            worker.replace(made, read_entry(voxels))
        return time.process_time() - begin


def read_seconds(home: Path) -> float:
    """CPU seconds of gathering and decoding all rows, the bytes checked before."""
    features = open_features(home, read_entry(home))
    begin = time.process_time()
    read_features([features])
    return time.process_time() - begin


def homes(work: Path, stage: str, key: str | None = None) -> dict[str, Path]:
    """Scan -> entry of a stage, of one key; the only one unless it is given."""
    keys = [path for path in sorted((work / stage).iterdir()) if key in (None, path.name)]
    if len(keys) != 1:
        sys.exit(f"{work / stage} has {len(keys)} keys: name one")
    return {path.name.partition(".")[0]: path.resolve() for path in keys[0].iterdir()}


def main() -> None:
    """Encode, score and print, a codec at a time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path, help="the links of a dataset")
    parser.add_argument("--targets", help="key of the fp16 targets, where there are several")
    parser.add_argument("--sets", type=int, default=3)
    asked = parser.parse_args()
    targets = homes(asked.work, "targets", asked.targets)
    voxels, labels = homes(asked.work, "voxels"), homes(asked.work, "labels")
    (text,) = homes(asked.work, "text").values()
    scans = sorted(targets.keys() & voxels.keys() & labels.keys())
    print(f"{len(scans)} scans, {scans[0]} to {scans[-1]}, in {asked.sets} sets")
    before: NDArray[np.float64] | None = None
    for codec in CODECS:
        with tempfile.TemporaryDirectory() as folder:
            made = {scan: Path(folder, f"{scan}.zarr.zip") for scan in scans}
            spent = [encoded(targets[s], voxels[s], codec, made[s]) for s in scans]
            size = np.mean([made[scan].stat().st_size for scan in scans])
            read = [read_seconds(made[scan]) for scan in scans]
            found = []
            for some in np.array_split(scans, asked.sets):
                labelled = [LabelledScan(s, voxels[s], labels[s]) for s in some.tolist()]
                results = count_fused(labelled, [made[s] for s in some.tolist()], text, "val")
                totals = [np.array(each["total"])[0] for each in results]  # over points
                found.append([100 * mean_of_known(class_iou(total)) for total in totals])
        scores = np.array(found)  # (sets, plain and averaged in superpoints)
        before = scores if before is None else before
        print(
            f"{codec:12} mIoU {text_of(scores[:, 0])}, in superpoints {text_of(scores[:, -1])}, "
            f"change {text_of(scores[:, 0] - before[:, 0])}, "
            f"largest {np.abs(scores[:, 0] - before[:, 0]).max():.2f}; {size / 1e6:.2f} MB a scan, "
            f"encoded in {np.mean(spent):.3f} s, read in {1000 * np.mean(read):.1f} ms",
            flush=True,
        )


def text_of(values: NDArray[np.float64]) -> str:
    """Mean and standard deviation."""
    return f"{values.mean():.2f} ± {values.std(ddof=1):.2f}"


if __name__ == "__main__":
    main()
