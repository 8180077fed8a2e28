"""What is loaded to list the commands and to plan a run: nothing heavy, whatever the machine."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from pipeline.plan import graph

ROOT = Path(__file__).parents[1]
MODULES = sorted({*graph.modules().values()})

_HELP = """
import contextlib, io, json, runpy, sys
sys.argv = ["pipeline", "--help"]
said = io.StringIO()
with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
    runpy.run_module("pipeline", run_name="__main__")
print(json.dumps([said.getvalue(), sorted({name.partition(".")[0] for name in sys.modules})]))
"""
_STAGES = """
import importlib, json, sys
loaded = {}
for name in sys.argv[1:]:
    importlib.import_module(name)
    loaded[name] = sorted({name.partition(".")[0] for name in sys.modules})
print(json.dumps(loaded))
"""


def run(code: str, *arguments: str) -> str:
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_the_list_of_commands_needs_neither_numpy_nor_torch() -> None:
    text, loaded = json.loads(run(_HELP))
    assert "Stages, which Snakemake runs" in text
    assert {"pipeline", "click"} <= set(loaded)
    assert not {"numpy", "torch"} & set(loaded)


@pytest.fixture(scope="module")
def loaded() -> dict[str, list[str]]:
    """Module of a stage -> top-level packages loaded by it and the modules before it."""
    found: dict[str, list[str]] = json.loads(run(_STAGES, *MODULES))
    return found


@pytest.mark.parametrize("module", MODULES)
def test_a_declaration_of_a_stage_needs_no_network_code(
    loaded: dict[str, list[str]], module: str
) -> None:
    assert not {"torch", "open_clip", "spconv"} & set(loaded[module])


HEAVY = (
    *("torch", "torch._inductor", "open3d", "dash", "spconv", "open_clip", "timm", "transformers"),
    *("scipy", "dask", "pandas", "sklearn", "matplotlib", "tensorboard"),
)
# By what a job of each stage imports: its modules, and those heavy packages that they may load.
# Open3D brings dash, and open_clip brings timm, transformers and torch's compiler.
OPEN_CLIP = {"torch", "torch._inductor", "open_clip", "timm", "transformers"}
JOBS: dict[str, tuple[tuple[str, ...], set[str]]] = {
    "simulate": (("pipeline.simulate.scan",), {"open3d", "dash", "pandas", "scipy", "sklearn"}),
    "frames": (("pipeline.stages.frames", "pipeline.readers.scannet.frames"), set()),
    "voxels": (("pipeline.stages.voxels", "pipeline.readers.scannet.cloud"), set()),
    "voxels of S3DIS": (("pipeline.stages.voxels", "pipeline.readers.s3dis.cloud"), {"scipy"}),
    "voxels of PLY files": (
        ("pipeline.stages.voxels", "pipeline.readers.folder.cloud"),
        {"scipy"},
    ),
    "labels": (("pipeline.stages.labels", "pipeline.readers.scannet.labels"), set()),
    "tags": (("pipeline.stages.tags",), set()),
    "projections": (("pipeline.stages.projections",), {"scipy"}),
    "targets": (("pipeline.stages.targets", "pipeline.grids.codecs.fp16"), {"scipy"}),
    "pseudo_labels": (("pipeline.stages.pseudo_labels",), set()),
    "embeddings": (
        ("pipeline.clip.embedder", "pipeline.clip.towers.open_clip_vit", "pipeline.clip.regions"),
        OPEN_CLIP | {"dask", "scipy"},
    ),
    "text": (("pipeline.clip.models", "pipeline.clip.prompts"), OPEN_CLIP),
    "adapter": (("model.training.fit_adapter",), {"torch"}),
    "refined_labels": (("model.training.refine",), {"torch"}),
    "train": (("model.training.weakly_supervised",), {"torch", "spconv"}),
    "relabel_round": (
        ("model.inference.predict", "model.network.trained", "model.training.self_training"),
        {"torch", "spconv"},
    ),
    "retrain_round": (("model.training.weakly_supervised",), {"torch", "spconv"}),
    "supervised": (("model.training.fully_supervised",), {"torch", "spconv"}),
    "imported": (("model.network.trained",), {"torch", "spconv"}),
    "evaluate": (("model.scoring.counting", "model.scoring.evaluate"), {"torch", "spconv"}),
    "evaluate_round": (("model.scoring.counting", "model.scoring.evaluate"), {"torch", "spconv"}),
    "clouds": (
        ("model.inference.label_clouds", "model.network.trained"),
        {"torch", "spconv", "scipy", "matplotlib"},
    ),
    "report": (("model.reports.report", "model.scoring.results"), set()),
    "page": (
        ("model.pages.page", "model.pages.scans", "model.pages.curves"),
        {"torch", "spconv", "scipy", "matplotlib"},
    ),
}
_JOB = """
import importlib, json, sys
for name in ["pipeline.cli.stages", "pipeline.jobs.entries", "pipeline.jobs.results"]:
    importlib.import_module(name)
before = sorted(sys.modules)
for name in sys.argv[1:]:
    importlib.import_module(name)
print(json.dumps([before, sorted(sys.modules)]))
"""


def test_each_stage_has_a_job_here() -> None:
    declared = {module.rpartition(".")[2] for module in MODULES}
    assert {name.partition(" ")[0] for name in JOBS} == declared


@pytest.mark.parametrize("name", JOBS)
def test_a_job_loads_no_heavy_package_that_its_stage_does_not_need(name: str) -> None:
    modules, allowed = JOBS[name]
    before, after = json.loads(run(_JOB, *modules))
    assert not set(HEAVY) & set(before)
    assert set(HEAVY) & set(after) <= allowed


def test_a_network_labels_voxels_without_the_compiler_of_torch() -> None:
    code = """
import os, sys
os.environ["CUDA_VISIBLE_DEVICES"] = ""
import torch
from model.network import device, unet
network = unet.MinkUNet(3, 2, planes=[8] * 8, stem_width=8).eval()
with device.reproducible(), torch.no_grad():
    network(torch.ones(2, 3), torch.tensor([[0, 1, 1, 1], [0, 2, 2, 2]], dtype=torch.int32))
    print(torch.are_deterministic_algorithms_enabled(), "torch._inductor" in sys.modules)
"""
    assert run(code).split() == ["True", "False"]


_THREE_LINES = """
import json, sys
import numpy as np
loaded = []
def note(): loaded.append(sorted({name.partition(".")[0] for name in sys.modules}))
from model import load
note()
net = load("data_manifest/demo/network/ess_esgs.safetensors")
xyz = np.random.default_rng(0).uniform(0, 2, (300, 3))
net.label(xyz, np.zeros((300, 3), np.uint8))
note()
print(json.dumps(loaded))
"""
# Of what the project installs, all but these may be absent where networks are only used: they are
# the dependencies `inference` in pyproject.toml, and what some of these bring.
INFERENCE = {"torch", "spconv", "scipy", "numpy", "safetensors", "huggingface_hub", "zarr", "tqdm"}
ABSENT = {
    *("open3d", "dash", "dask", "distributed", "snakemake", "pandas", "sklearn", "skimage"),
    *("open_clip", "timm", "transformers", "torchvision", "matplotlib", "plyfile", "trimesh"),
    *("jinja2", "jsonschema", "click", "PIL", "tensorboard", "OpenEXR", "lzfse"),
}


def test_three_lines_import_what_inference_declares_and_nothing_before_they_load() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = {re.match(r"[\w-]+", each) for each in declared["optional-dependencies"]["inference"]}
    assert {n[0].removesuffix("-cu120") for n in names if n} == INFERENCE
    first, after = json.loads(run(_THREE_LINES))
    assert not {"torch", "zarr", "scipy", "huggingface_hub"} & set(first)
    assert set(after) >= INFERENCE
    assert not ABSENT & set(after)
