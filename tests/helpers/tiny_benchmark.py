"""A ScanNet download of analytic rooms with a test scan, networks for it, and the official score.

The rooms have ScanNet's raw categories and a label map, so they can be read by either benchmark.
"""

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
import yaml
from numpy.typing import NDArray

from model.data.entries import read_array
from model.data.labels import LabelledScan
from model.data.whole_scan import outputs, whole_scan
from model.inference.unseen import voxelised
from model.network.trained import LAST_STEP, ClassifierHead, Trained, build_network
from pipeline.facts import ClassRow
from pipeline.geometry.votes import majority
from pipeline.plan import manifest
from pipeline.readers.scannet.cloud import read_cloud
from pipeline.readers.scannet.files import LABEL_MAP, scan_files
from pipeline.readers.scannet.labels import read_labels
from pipeline.stages import labels, voxels
from pipeline.store import groups
from tests.helpers import tiny_clip
from tests.helpers.analytic import write_analytic_scan
from tests.helpers.tiny_entries import SMALL_NETWORK, VOXEL_SIZE
from tests.helpers.tiny_scannet import write_label_map

ROOT = Path(__file__).parents[2]
CLASSES = ROOT / "data_manifest/scannet/classes.csv"
CLASSES_200 = ROOT / "data_manifest/scannet/classes_200.csv"
SCANS = {
    "scene0000_00": "train",
    "scene0001_00": "val",
    "scene0002_00": "val",
    "scene0707_00": "test",
}
VAL = [scan for scan, split in SCANS.items() if split == "val"]
IDS_200 = {"wall": 1, "floor": 3, "table": 4, "cabinet": 7, "ceiling": 41}


def write_download(folder: Path) -> Path:
    """Write `raw/`, a config with the dataset `rooms`, and one with ScanNet200's classes."""
    for number, (scan, split) in enumerate(SCANS.items()):
        parent = "scans_test" if split == "test" else "scans"
        spacing = 0.1 + 0.01 * number  # so that no two scans are the same
        write_analytic_scan(
            folder / "raw" / parent, scan, spacing=spacing, labelled=split != "test"
        )
    write_label_map(folder / "raw" / LABEL_MAP, IDS_200)
    rows = "".join(f"{scan},{split}\n" for scan, split in SCANS.items())
    (folder / "scans.csv").write_text("scan,split\n" + rows)
    section = {
        "scans": str(folder / "scans.csv"),
        "classes": str(CLASSES),
        "raw": str(folder / "raw"),
        "frames": {"every": 1},
        "voxels": {"voxel_size": VOXEL_SIZE},
        "embeddings": {"model": tiny_clip.write(folder / "clip"), "recipe": "plain"},
    }
    other = {"reader": "s3dis", "scans": section["scans"], "embeddings": {"model": "ViT-B-16"}}
    config = {
        **{name: str(folder / name) for name in ("store", "work", "results")},
        "rooms": section,
        "halls": other | {"classes": str(ROOT / "data_manifest/s3dis/classes.csv")},
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    overlay = {"based_on": str(path), "rooms": {"classes": str(CLASSES_200)}}
    (folder / "config_200.yaml").write_text(yaml.safe_dump(overlay))
    return path


def write_network(path: Path, raw: Path, classes: Path = CLASSES) -> Path:
    """Write a network with initial weights that is right now and then on the download `raw`.

    The text embedding of a class is the mean output in its voxels of the training scan. That of
    bed, which is nowhere, is the output in one voxel of a wall; those of the others are far off.
    """
    rows = manifest.read_classes(classes)
    names, network = [row["name"] for row in rows], build_network(16, SMALL_NETWORK, 0).eval()
    files = scan_files(raw, next(iter(SCANS)))
    scan = voxelised(read_cloud(files["cloud"]), VOXEL_SIZE)
    given = whole_scan(scan, ("color",), VOXEL_SIZE)
    with torch.no_grad():
        output = F.normalize(torch.cat([*outputs(network, given, torch.device("cpu"))]), dim=1)
    truth = read_labels(files["labels"], rows).label
    label = majority(truth, read_array(scan, "voxel_of_point"), len(output))
    text = -output.mean(0).repeat(len(names), 1)
    for k in set(label[label >= 0].tolist()):
        text[k] = output[label == k].mean(0)
    text[names.index("bed")] = output[np.flatnonzero(label == names.index("wall"))[0]]
    Trained(
        variant="ess_esgs",
        seed=0,
        network=network,
        text_embeddings=F.normalize(text, dim=1),
        classes=names,
        head=ClassifierHead(normalise=True, temperature=0.05),
        config={"network": SMALL_NETWORK},
        voxel_size=VOXEL_SIZE,
        selection=LAST_STEP,
    ).save(path)
    return path


def labelled_scans(raw: Path, folder: Path, classes: Sequence[ClassRow]) -> list[LabelledScan]:
    """The validation scans with entries `voxels` and `labels`, as the stages make them."""
    found = []
    for scan in VAL:
        files = scan_files(raw, scan)
        paths = [folder / f"{scan}.{len(classes)}.{s}.zarr.zip" for s in ("voxels", "labels")]
        with groups.create(paths[0]) as out:
            voxels.Worker({"voxel_size": VOXEL_SIZE})(out, read_cloud(files["cloud"]))
        with groups.create(paths[1]) as out:
            labels.Worker({"classes": classes})(out, read_labels(files["labels"], classes))
        found.append(LabelledScan(scan, *paths))
    return found


def official_iou(
    pairs: Iterable[tuple[NDArray[np.integer], NDArray[np.integer]]], valid: Collection[int]
) -> dict[int, float]:
    """IoU of each valid id, of pairs of ground truth and prediction (N,), vertex by vertex.

    After `evaluate_semantic_label.py` in `BenchmarkScripts/3d_evaluation` of ScanNet: a vertex
    whose true id is not valid is skipped, and a prediction that is not valid is a miss (id 0 here,
    `UNKNOWN_ID` there). nan for an id that neither occurs nor is predicted.
    """
    size = max(valid) + 1
    confusion = np.zeros((size, size), np.int64)
    for truth, found in pairs:
        for t, f in zip(truth.tolist(), found.tolist(), strict=True):
            if t in valid:
                confusion[t, f if f in valid else 0] += 1
    iou = {}
    for label in valid:
        tp = confusion[label, label]
        fn = confusion[label].sum() - tp
        fp = confusion[[other for other in valid if other != label], label].sum()
        iou[label] = float(tp / (tp + fp + fn)) if tp + fp + fn else float("nan")
    return iou
