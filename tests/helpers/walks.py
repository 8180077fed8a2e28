"""The walks of CONTRIBUTING.md as they are written, and what a checkout plans with them."""

import importlib.util
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

from tests.helpers.tiny_checkout import ROOT

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")

_KEYS = """
import json, sys
from pathlib import Path
from types import ModuleType
from pipeline.plan import config
found = []
for path in map(Path, sys.argv[1:]):
    names = config.datasets(config.load(path))
    found.append({name: config.plan(name, path, wanted=False).keys for name in names})
plan = config.plan("scannet")
upstream = {stage: plan.upstream(stage) for stage in plan.stages}
print(json.dumps({"keys": found, "upstream": upstream}))
"""
_PLACES = """
import json, sys
from pipeline.plan import config
plan = config.plan(sys.argv[1])
print(json.dumps([
    [str(plan.link(*entry.split("/"))), str(plan.home(*entry.split("/")))] for entry in sys.argv[2:]
]))
"""

Keys = dict[str, dict[str, str]]  # dataset -> stage -> key


@dataclass(frozen=True)
class Walk:
    """One section "Add a ..." of the text."""

    files: dict[str, str]  # path -> content
    settings: dict[str, Any]  # of a dataset, in the sentence "`settings` uses it"; {} for none
    datasets: dict[str, Any]  # what the text adds to the config


def read_walks(text: str = TEXT) -> dict[str, Walk]:
    """The walks by what they add: reader, recipe and so on."""
    found = {}
    for name, body in re.findall(r"^## Add an? ([\w ]+)\n(.*?)(?=^## |\Z)", text, re.M | re.S):
        files = re.findall(r'^```python title="(.+?)"\n(.*?)^```', body, re.M | re.S)
        settings = re.search(r"^`(\w+: \{.*\})` uses it", body, re.M)
        datasets = re.search(r'^```yaml title="workflow/config.yaml"\n(.*?)^```', body, re.M | re.S)
        found[name] = Walk(
            files=dict(files),
            settings=yaml.safe_load(settings[1]) if settings else {},
            datasets=yaml.safe_load(datasets[1]) if datasets else {},
        )
    return found


def write(walk: Walk, folder: Path) -> None:
    """Add the files of a walk to a checkout. Raises `FileExistsError` for one that is there."""
    for name, content in walk.files.items():
        with (folder / name).open("x", encoding="utf-8") as file:
            file.write(content)


def imported(walk: Walk, folder: Path) -> ModuleType:
    """The module of a walk, from a folder of its own."""
    ((name, content),) = walk.files.items()
    path = folder / Path(name).name
    path.write_text(content)
    spec = importlib.util.spec_from_file_location(f"walk_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def merged(section: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """A section of a config with other settings, in a copy."""
    found = dict(section)
    for key, value in settings.items():
        inner = isinstance(value, dict) and isinstance(section.get(key), dict)
        found[key] = merged(section[key], value) if inner else value
    return found


def python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run python in a checkout."""
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def keys(folder: Path, *configs: str) -> tuple[list[Keys], dict[str, list[str]]]:
    """The keys of all datasets under each config, and what each stage of `scannet` reads."""
    done = python(folder, "-c", _KEYS, *configs)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    return found["keys"], found["upstream"]


def places(folder: Path, dataset: str, *entries: str) -> list[tuple[str, Path]]:
    """Link and home of entries, each named <stage>/<name>."""
    done = python(folder, "-c", _PLACES, dataset, *entries)
    assert done.returncode == 0, done.stderr
    return [(link, folder / home) for link, home in json.loads(done.stdout)]


def downstream(stage: str, upstream: dict[str, list[str]]) -> set[str]:
    """A stage, and all whose keys contain its key."""
    found = {stage}
    while more := {s for s, above in upstream.items() if found & set(above)} - found:
        found |= more
    return found
