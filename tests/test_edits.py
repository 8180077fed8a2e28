"""The contract of the project: an edit makes stale what it touches, and nothing else.

Snakemake is asked what it would run (`-n`) in a tiny checkout whose store has all that it plans.
"""

import ast
import csv
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from tests.helpers import stand_ins
from tests.helpers.analytic import write_analytic_scan
from tests.helpers.tiny_checkout import PARTS, Checkout

TABLES = {"report", "train_scannet"}  # the latter writes the page
COUNTED = {"evaluate", *TABLES}
TRAINED = {"train"} | COUNTED
ROUND = {"relabel_round1", "retrain_round1", "evaluate_round1", *TABLES}
SPECIALISED = {"adapter", "refined_labels"} | TRAINED
LABELLED = {"pseudo_labels"} | SPECIALISED
FUSED = {"targets"} | LABELLED
TAGGED = {"labels", "tags"} | LABELLED
OF_FRAMES = {"frames", "embeddings", "projections"} | FUSED
OF_A_SCAN = OF_FRAMES | {"voxels"} | TAGGED
NEW_SCAN = "scene0003_00"

Edit = Callable[[Checkout], None]


def setting(*path: str, value: object) -> Edit:
    """Set a key of the dataset's section of the config."""

    def edit(checkout: Checkout) -> None:
        config = yaml.safe_load(checkout.config.read_text())
        place = config["scannet"]
        for key in path[:-1]:
            place = place.setdefault(key, {})
        place[path[-1]] = value
        checkout.config.write_text(yaml.safe_dump(config))

    return edit


def csv_cell(file: str, row: str, column: str, value: str) -> Edit:
    """Set a cell of a csv file, in the row whose first cell is `row`."""

    def edit(checkout: Checkout) -> None:
        path = checkout.folder / file
        with path.open(newline="") as source:
            head, *rows = csv.reader(source)
        for cells in rows:
            if cells[0] == row:
                cells[head.index(column)] = value
        with path.open("w", newline="") as sink:
            csv.writer(sink).writerows([head, *rows])

    return edit


def code(file: str) -> Edit:
    """Add a statement to a module, which changes what it means."""
    return lambda checkout: append(checkout.folder / file, "\n_edited = 1\n")


def template(file: str) -> Edit:
    """Add a line to a template."""
    return lambda checkout: append(checkout.folder / file, "<p>edited</p>\n")


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


def new_file(file: str, text: str = "") -> Edit:
    """Add a file."""
    return lambda checkout: append_new(checkout.folder / file, text)


def append_new(path: Path, text: str) -> None:
    assert not path.exists()
    path.write_text(text)


def noise(checkout: Checkout) -> None:
    """Add a comment and a docstring's line, and change the layout of a module."""
    path = checkout.folder / "pipeline" / "geometry" / "cameras.py"
    tree = ast.parse(path.read_text())
    tree.body[0] = ast.Expr(ast.Constant("Other words about cameras."))
    path.write_text(f"# why\n{ast.unparse(tree)}\n")


def declared(attribute: str, value: str) -> Edit:
    """Set an attribute that the stage `projections` declares, which is no code of its work."""

    def edit(checkout: Checkout) -> None:
        path = checkout.folder / "pipeline" / "stages" / "projections.py"
        tree = ast.parse(path.read_text())
        (stage,) = (n for n in tree.body if isinstance(n, ast.ClassDef) and "Stage" in n.name)
        stage.body.append(ast.parse(f"{attribute} = {value}").body[0])
        path.write_text(ast.unparse(tree))

    return edit


def scans(*rows: str) -> Edit:
    """Replace the list of scans."""
    text = "scan,split\n" + "".join(f"{row}\n" for row in rows)

    def edit(checkout: Checkout) -> None:
        (checkout.folder / "scans.csv").write_text(text)

    return edit


CLASSES = "data_manifest/scannet/classes.csv"
EDITS: dict[str, tuple[Edit, set[str]]] = {
    # the config
    "voxel size": (setting("voxels", "voxel_size", value=0.2), {"voxels", "projections"} | FUSED),
    "frame step": (setting("frames", "every", value=2), OF_FRAMES),
    "image border": (setting("projections", "border", value=3), {"projections"} | FUSED),
    "CLIP recipe": (setting("embeddings", "recipe", value="value"), {"embeddings"} | FUSED),
    "averaged superpoints": (setting("targets", "segments", value=0.5), FUSED),
    "training steps": (setting("train", "optimiser", "steps", value=13), TRAINED),
    "adapter": (setting("train", "adapter", "epochs", value=2), SPECIALISED),
    "share of labels kept": (
        setting("train", "labels", "keep_share", value=0.5),
        {"refined_labels"} | TRAINED,
    ),
    "a round of self-training": (setting("train", "self_training", "rounds", value=1), ROUND),
    "settings of rounds without one": (
        setting("train", "self_training", "teacher_share", value=0.3),
        set(),
    ),
    "threads": (setting("threads", value=2), set()),
    "GPUs of a training": (setting("gpus", value=2), set()),
    "nodes of a training": (setting("nodes", value=2), set()),
    # the classes
    "class prompt": (csv_cell(CLASSES, "sofa", "prompts", "sofa|davenport"), {"text"} | LABELLED),
    "label map": (csv_cell(CLASSES, "cabinet", "nyu40", "38"), TAGGED),
    "colour of a class": (csv_cell(CLASSES, "bed", "color", "#ffbb79"), {"train_scannet"}),
    # the code
    "imported module": (code("pipeline/geometry/cameras.py"), {"projections"} | FUSED),
    "comment, docstring and layout": (noise, set()),
    "memory of a stage": (declared("memory_mb", "9000"), set()),
    "parameter of a stage": (
        declared("key_params", "lambda self, facts: {'other': 1}"),
        {"projections"} | FUSED,
    ),
    "package of a stage": (declared("packages", "('numpy', 'pillow')"), {"projections"} | FUSED),
    "the dense CLIP": (code("pipeline/clip/windows.py"), {"embeddings"} | FUSED),
    "a recipe that is not used": (code("pipeline/clip/recipes/naclip.py"), set()),
    "the recipe that is used": (code("pipeline/clip/recipes/plain.py"), {"embeddings"} | FUSED),
    "a codec that is not used": (code("pipeline/grids/codecs/low_rank.py"), set()),
    "the codec that is used": (code("pipeline/grids/codecs/fp16.py"), {"embeddings"} | FUSED),
    "a new recipe": (new_file("pipeline/clip/recipes/new.py"), set()),
    "a new codec": (new_file("pipeline/grids/codecs/new.py"), set()),
    "another tower family": (code("pipeline/clip/towers/timm_vit.py"), set()),
    "augmentation": (code("model/data/augment.py"), TRAINED),
    "a loss term that is not used": (code("model/training/losses/absent.py"), set()),
    "counts": (code("model/scoring/counting.py"), COUNTED),
    "a protocol": (code("model/scoring/protocols/foreground.py"), TABLES),
    "a new protocol": (
        new_file("model/scoring/protocols/new.py", "from .foreground import score\n"),
        TABLES,
    ),
    "the table's code": (code("model/reports/report.py"), TABLES),
    "the page's code": (code("model/pages/charts.py"), {"train_scannet"}),
    "the page's template": (template("model/pages/page.html.j2"), {"train_scannet"}),
    "the raw reader": (code("pipeline/readers/scannet/sens.py"), OF_FRAMES),
    "another reader": (code("pipeline/readers/s3dis/cloud.py"), set()),
    "the store": (code("pipeline/store/publish.py"), set()),
    "the simulator": (code("pipeline/simulate/room.py"), set()),
    "the rules": (code("pipeline/plan/rules.py"), set()),
    # the scans
    "scan added": (
        scans("scene0000_00,train", "scene0001_00,train", "scene0002_00,val", f"{NEW_SCAN},train"),
        OF_A_SCAN,
    ),
    "scan removed": (scans("scene0000_00,train", "scene0002_00,val"), SPECIALISED),
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    checkout = Checkout(tmp_path_factory.mktemp("checkout") / "tree")
    write_analytic_scan(checkout.raw / "scans", NEW_SCAN)
    assert checkout.stale() == OF_A_SCAN | {"text"}
    stand_ins.fill(checkout.folder)
    assert checkout.stale() == set()
    return checkout


@contextmanager
def restored(folder: Path) -> Iterator[None]:
    """Put all files of the checkout back as they were, afterwards."""
    parts = [folder / part for part in (*PARTS, "scans.csv")]
    files = [p for part in parts for p in (part.rglob("*") if part.is_dir() else [part])]
    before = {path: path.read_bytes() for path in files if path.is_file()}
    try:
        yield
    finally:
        for part in parts:
            for path in list(part.rglob("*")) if part.is_dir() else []:
                if path.is_file() and path not in before and path.suffix != ".pyc":
                    path.unlink()
        for path, content in before.items():
            if path.read_bytes() != content:
                path.write_bytes(content)


@pytest.mark.parametrize(("edit", "stale"), EDITS.values(), ids=EDITS.keys())
def test_an_edit_makes_stale_what_it_touches(
    finished: Checkout, edit: Edit, stale: set[str]
) -> None:
    with restored(finished.folder):
        edit(finished)
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
