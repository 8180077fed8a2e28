"""The documentation: it builds without a warning, and what it names exists."""

import importlib.util
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import pytest
import yaml
from jsonschema import Draft202012Validator

from pipeline.cli.main import main

ROOT = Path(__file__).parent.parent
SCHEMA = yaml.safe_load((ROOT / "workflow/config.schema.yaml").read_text(encoding="utf-8"))
CONFIG = yaml.safe_load((ROOT / "workflow/config.yaml").read_text(encoding="utf-8"))
PAGES = sorted(
    [
        *(ROOT / "docs").glob("*.md"),
        *(ROOT / "data_manifest").rglob("README.md"),
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "THIRD_PARTY_NOTICES.md",
    ]
)
KINDS = ("train", "clouds", "sixfold", "ablation")  # of targets, <kind>_<dataset>
TOP = ("pipeline", "model", "workflow", "envs", "data_manifest", "tests", "docs")
# CONTRIBUTING.md names files and settings that a contributor adds.
WRITTEN = [page for page in PAGES if page.name != "CONTRIBUTING.md"]


@pytest.fixture(scope="module")
def hooks() -> ModuleType:
    """docs/hooks.py, which makes the generated pages."""
    spec = importlib.util.spec_from_file_location("docs_hooks", ROOT / "docs/hooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_site_builds_strictly(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "settings/index.html").exists()
    assert not list(tmp_path.rglob("*.py"))


def keys(properties: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """The dotted names of all settings below some properties of the schema."""
    for name, part in properties.items():
        if "$ref" in part:
            part = SCHEMA["$defs"][part["$ref"].rpartition("/")[2]] | part
        yield prefix + name
        yield from keys(part.get("properties", {}), f"{prefix}{name}.")


def test_the_settings_page_has_every_key_of_the_schema(hooks: ModuleType) -> None:
    section, found = "", set()
    for line in hooks.settings(SCHEMA).splitlines():
        heading, row = re.match(r"##+ (.*)", line), re.match(r"\| `([a-z_.]+)` \|", line)
        if heading:
            name = re.fullmatch(r"`([a-z_]+)`", heading[1])
            section = f"{name[1]}." if name else ""
            found.add(section.rstrip("."))
        elif row:
            found.add(section + row[1])
    simulators = [d["properties"] for n, d in SCHEMA["$defs"].items() if n.startswith("simulate_")]
    wanted = {
        *keys(SCHEMA["properties"]),
        *keys(SCHEMA["$defs"]["dataset"]["properties"]),
        *(f"simulate.{key}" for properties in simulators for key in keys(properties)),
    }
    assert len(wanted) > 90
    assert found - {""} == wanted


def test_the_settings_page_tells_values_defaults_and_meanings(hooks: ModuleType) -> None:
    schema = {
        "properties": {"out": {"type": "string", "default": "a", "description": "To <b> `x|y`."}},
        "$defs": {
            "dataset": {
                "properties": {
                    "few": {"type": ["number", "null"], "minimum": 0, "exclusiveMaximum": 1},
                    "part": {"type": "object", "properties": {"kind": {"enum": ["a", None]}}},
                }
            }
        },
    }
    page = hooks.settings(schema)
    assert "| `out` | string | `a` | To &lt;b> `x\\|y`. |" in page
    assert "| `few` | number or null, ≥ 0, < 1 |  |  |" in page.replace("&lt;", "<")
    assert "### `part`" in page
    assert "| `kind` | `a`, `null` |  |  |" in page


def paths_of_commands(group: click.Group, context: click.Context) -> Iterator[list[str]]:
    """The words that call each command, groups as well."""
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield [name]
        if isinstance(command, click.Group):
            inner = paths_of_commands(command, click.Context(command, context))
            yield from ([name, *rest] for rest in inner)


def known_commands() -> set[tuple[str, ...]]:
    return {tuple(words) for words in paths_of_commands(main, click.Context(main))}


def test_the_commands_page_has_every_command(hooks: ModuleType) -> None:
    headings = set(re.findall(r"^#+ `python -m pipeline ?(.*)`$", hooks.commands(), re.MULTILINE))
    assert headings == {""} | {" ".join(words) for words in known_commands()}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_in_the_text_exist(page: Path) -> None:
    known = known_commands()
    text = page.read_text(encoding="utf-8")
    for words in re.findall(r"python -m pipeline((?: +[a-z][a-z_-]*)+)", text):
        called = tuple(words.split())
        groups = [command for command in known if command == called[: len(command)]]
        assert groups, f"python -m pipeline{words}"
        longest = max(groups, key=len)
        inner = {command for command in known if command[:-1] == longest}
        assert not inner or len(called) == len(longest), f"python -m pipeline{words}"
    assert not re.findall(r"python -m (?:pipeline|model)\.\S*", text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_targets_in_the_text_exist(page: Path) -> None:
    datasets = {n for n, part in CONFIG.items() if isinstance(part, dict) and "embeddings" in part}
    known = {f"{kind}_{name}" for kind in KINDS for name in datasets}
    known |= {f"transfer_{name}" for name in CONFIG["transfer"]} | {"predict"}
    for line in re.findall(r"^ *(?:\S+/run )?snakemake (.*)$", page.read_text(), re.MULTILINE):
        targets = re.findall(rf"\b(?:(?:{'|'.join(KINDS)}|transfer)_\w+|predict)\b", line)
        assert targets, line
        assert targets[0] in known, line


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_in_the_text_exist(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for name in re.findall(r"`([\w.-]+/[\w./-]+)`", text):
        if name.split("/")[0] in TOP:
            assert (ROOT / name).exists(), name


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: str(page.relative_to(ROOT)))
def test_settings_in_the_text_are_valid(page: Path) -> None:
    dataset = {
        k: v for k, v in SCHEMA["$defs"]["dataset"].items() if k not in ("allOf", "required")
    }
    validator = Draft202012Validator(dataset | {"$defs": SCHEMA["$defs"]})
    blocks = re.findall(
        r"^( *)```yaml title=\"workflow/config\.yaml\"\n(.*?)^ *```",
        page.read_text(encoding="utf-8"),
        re.MULTILINE | re.DOTALL,
    )
    for _, block in blocks:
        validator.validate(yaml.safe_load(block))


def test_the_readme_is_a_landing_page() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    lines = text.splitlines()
    assert lines[0] == "# vlg3d: 3D semantic segmentation without point labels"
    assert len(lines) <= 140
    assert [line for line in lines if len(line) > 100 and not line.startswith("|")] == []
    for link in re.findall(r"\]\(([^)#]+)", text):
        assert link.startswith("https://") or (ROOT / link).exists(), link
    assert 0 < (ROOT / "docs/images/demo.png").stat().st_size < 300_000


def test_one_version_is_told_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert project["name"] == citation["title"].partition(":")[0] == "vlg3d"
    assert project["version"] == citation["version"]
    assert project["version"] in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert project["license"] == citation["license"] == "Apache-2.0"


def pinned_packages() -> list[tuple[str, str, str]]:
    """Name, version, and the lines with hashes of each package that envs/run installs."""
    text = "".join((ROOT / "envs" / name).read_text() for name in ("uv.txt", "requirements.txt"))
    return re.findall(r"^([\w.-]+)==([\w.+-]+)(.*(?:\n    .*)*)", text, re.MULTILINE)


def test_the_set_up_installs_no_file_whose_hash_is_not_pinned() -> None:
    found = pinned_packages()
    assert {"torch", "uv"} <= {name for name, _, _ in found}
    without = [name for name, _, hashes in found if "--hash=sha256:" not in hashes]
    assert not without
    assert (ROOT / "envs/run").read_text().count("--require-hashes") == 2


def test_the_notices_name_every_package_and_its_pinned_version() -> None:
    text = (ROOT / "THIRD_PARTY_NOTICES.md").read_text(encoding="utf-8").lower()
    installed = text[text.index("## installed") :]
    pins = {name: version for name, version, _ in pinned_packages()}
    wanted = (ROOT / "envs/requirements.in").read_text(encoding="utf-8").splitlines()
    for line in wanted:
        name = re.match(r"[\w-]+", line)
        if name:
            pinned = pins[name[0].replace("_", "-")].partition("+")[0]
            row = re.search(rf"^\|.*\b{re.escape(name[0])}\b.*$", installed, re.MULTILINE)
            assert row, name[0]
            assert pinned in row[0], f"{name[0]} is pinned to {pinned}"
