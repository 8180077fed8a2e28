"""The borders of the tree: no package imports from one above it, and there is no circle."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# From below to above. What stands in one line is side by side and does not import each other.
LAYERS = (
    ("pipeline.errors",),
    (
        *("pipeline.scan", "pipeline.facts", "pipeline.tables", "pipeline.palette"),
        *("pipeline.images", "pipeline.progress", "pipeline.whole_file"),
        "pipeline.foreign",
    ),
    ("pipeline.whole_frames",),
    ("pipeline.store",),
    ("pipeline.geometry", "pipeline.grids"),
    ("pipeline.clip",),
    ("pipeline.readers",),
    ("pipeline.simulate",),
    ("pipeline.stages",),
    ("pipeline.plan",),
    ("pipeline.remotes",),
    ("model.network",),
    ("model.data",),
    ("model.training", "model.inference"),
    ("model.scoring", "model.exports", "model.viewer"),
    ("model.reports",),
    ("model.pages",),
    ("model.stages",),
    ("pipeline.jobs",),
    ("pipeline.estimate",),
    ("pipeline.upkeep", "pipeline.doctor", "pipeline.look", "pipeline.demo_clip"),
    ("pipeline.cli",),
    ("pipeline.__main__",),
)
LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}


def room(dotted: str) -> str:
    """The package, or the module, on the first level of `pipeline` or `model`."""
    return ".".join(dotted.split(".")[:2])


def rooms_on_disk() -> set[str]:
    paths = [p for top in ("pipeline", "model") for p in (ROOT / top).iterdir()]
    packages = {f"{p.parent.name}.{p.name}" for p in paths if (p / "__init__.py").is_file()}
    modules = {f"{p.parent.name}.{p.stem}" for p in paths if p.suffix == ".py"}
    return packages | modules - {"pipeline.__init__", "model.__init__"}


def imported(path: Path) -> set[str]:
    """The rooms that a module imports from, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            found |= {room(f"{node.module}.{alias.name}") for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {room(alias.name) for alias in node.names}
    return {name for name in found if name.split(".")[0] in ("pipeline", "model")}


def test_every_room_has_a_layer() -> None:
    assert rooms_on_disk() == set(LEVEL)


@pytest.mark.parametrize("name", sorted(LEVEL))
def test_a_room_imports_only_from_below(name: str) -> None:
    home = ROOT / name.replace(".", "/")
    paths = sorted(home.rglob("*.py")) if home.is_dir() else [home.with_suffix(".py")]
    assert paths
    for path in paths:
        above = {other for other in imported(path) - {name} if LEVEL[other] >= LEVEL[name]}
        assert not above, f"{path.relative_to(ROOT)} imports {above}"
