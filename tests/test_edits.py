"""The contract of the project: an edit makes stale what it touches, and nothing else.

Snakemake is asked what it would run (`-n`) in a tiny checkout whose store has all that it plans.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.helpers import stand_ins
from tests.helpers.analytic import write_analytic_scan
from tests.helpers.tiny_checkout import Checkout

SCORED = {"evaluate", "train"}
TRAINED = {"train_network"} | SCORED
LABELLED = {"pseudo_labels"} | TRAINED
FUSED = {"targets"} | LABELLED
TAGGED = {"labels", "tags"} | LABELLED
OF_FRAMES = {"frames", "embeddings", "projections"} | FUSED
OF_A_SCAN = OF_FRAMES | {"voxels"} | TAGGED
NEW_SCAN = "scene0003_00"

CONFIG, CLASSES = "workflow/config.yaml", "data_manifest/scannet/classes.csv"
EDITS = {
    # the config
    "voxel size": (CONFIG, "voxel_size: 0.1", "voxel_size: 0.2", {"voxels", "projections"} | FUSED),
    "frame step": (CONFIG, "every: 1\n  projections", "every: 2\n  projections", OF_FRAMES),
    "image border": (CONFIG, "border: 2", "border: 3", {"projections"} | FUSED),
    "CLIP recipe": (CONFIG, "recipe: plain\n  frames", "recipe: value\n  frames",
                    {"embeddings"} | FUSED),
    "averaged segments": (CONFIG, "every: 1\n  projections",
                          "every: 1\n  targets:\n    segments: 0.5\n  projections", FUSED),
    "training steps": (CONFIG, "steps: 12", "steps: 13", TRAINED),
    "threads": (CONFIG, "threads: 1", "threads: 2", set()),
    # the classes
    "class prompt": (CLASSES, "sofa|", "sofa|davenport|", {"text"} | LABELLED),
    "label map": (CLASSES, "cabinet,3,", "cabinet,38,", TAGGED),
    "colour of a class": (CLASSES, "#ffbb78", "#ffbb79", set()),
    # the code
    "imported module": ("pipeline/geometry/cameras.py", "0.5 * scale", "0.4 * scale",
                        {"projections"} | FUSED),
    "comment": ("pipeline/geometry/cameras.py", '"""', '# why\n"""', set()),
    "docstring": ("pipeline/geometry/cameras.py", "Pinhole cameras", "Cameras", set()),
    "layout": ("pipeline/geometry/cameras.py", "def transform(", "def transform(\n    ", set()),
    "the dense CLIP": ("pipeline/clip/windows.py", "import", "import math\nimport",
                       {"embeddings"} | FUSED),
    "augmentation": ("model/data/augment.py", "tilt: float = 3.0", "tilt: float = 4.0",
                     TRAINED),
    "metrics": ("model/scoring/metrics.py", "import", "import math\nimport", SCORED),
    "the raw reader": ("pipeline/readers/scannet/sens.py", "import", "import math\nimport",
                       OF_FRAMES),
    "the store": ("pipeline/store/groups.py", "1 << 20", "1 << 21", set()),
    "the simulator": ("pipeline/simulate/room.py", "import", "import math\nimport", set()),
    # what describes no result
    "text of a rule": ("workflow/rules/dataset.smk", "2>&1 | tee", "2>&1 |  tee", set()),
    "memory of a rule": ("workflow/rules/dataset.smk", "mem_mb=2000", "mem_mb=3000", set()),
    # the scans
    "scan added": ("scans.csv", "scan,split\n", f"scan,split\n{NEW_SCAN},train\n",
                   OF_A_SCAN),
    "scan removed": ("scans.csv", "scene0001_00,train\n", "", TRAINED),
}  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    checkout = Checkout(tmp_path_factory.mktemp("checkout") / "tree")
    write_analytic_scan(checkout.raw / "scans", NEW_SCAN)
    assert checkout.stale() == OF_A_SCAN | {"text"}
    stand_ins.fill(checkout.folder)
    assert checkout.stale() == set()
    return checkout


@contextmanager
def edited(path: Path, old: str, new: str) -> Iterator[None]:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    yield
    path.write_text(text)


@pytest.mark.parametrize(("file", "old", "new", "stale"), EDITS.values(), ids=EDITS.keys())
def test_an_edit_makes_stale_what_it_touches(
    finished: Checkout, file: str, old: str, new: str, stale: set[str]
) -> None:
    with edited(finished.folder / file, old, new):
        assert finished.stale() == stale


def test_another_version_of_a_package_makes_stale_what_says_that_it_depends_on_it(
    finished: Checkout,
) -> None:
    info = finished.folder / "open_clip_torch-99.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: open_clip_torch\nVersion: 99.0\n")
    assert finished.stale() == {"embeddings", "text"} | FUSED
    shutil.rmtree(info)


def test_a_raw_file_replaced_by_another_of_equal_size_and_time_is_noticed(
    finished: Checkout,
) -> None:
    path = finished.raw / "scans" / "scene0000_00" / "scene0000_00.sens"
    content, times = path.read_bytes(), path.stat()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert finished.stale() == OF_FRAMES
    path.write_bytes(content)


def test_after_all_reverts_nothing_is_stale(finished: Checkout) -> None:
    assert finished.stale() == set()
