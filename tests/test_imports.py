"""What is loaded to list the commands and to plan a run: nothing heavy, whatever the machine."""

import json
import subprocess
import sys
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
