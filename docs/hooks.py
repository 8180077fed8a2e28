"""What MkDocs adds to the written pages: settings and commands, from where they are defined.

A generated page cannot disagree with the schema or with `--help`, and nothing of it is committed.
"""

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import yaml
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent
SCHEMA = ROOT / "workflow/config.schema.yaml"
WIDTH = 92  # columns of a help text

# Pages of the site that are files elsewhere in the repository.
COPIES = {
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
    "data/scannet.md": "data_manifest/scannet/README.md",
    "data/s3dis.md": "data_manifest/s3dis/README.md",
    "data/folder.md": "data_manifest/folder/README.md",
    "data/demo.md": "data_manifest/demo/README.md",
    "data/demo_clip.md": "data_manifest/demo/clip/README.md",
    "data/demo_network.md": "data_manifest/demo/network/README.md",
}

Schema = Mapping[str, Any]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are not written in docs/."""
    pages = {name: (ROOT / path).read_text(encoding="utf-8") for name, path in COPIES.items()}
    pages["settings.md"] = settings(yaml.safe_load(SCHEMA.read_text(encoding="utf-8")))
    pages["commands.md"] = commands()
    for name, content in pages.items():
        files.append(File.generated(config, name, content=content))
    return files


def settings(schema: Schema) -> str:
    """The page of all keys of the config: what each takes, its default and its meaning."""
    definitions = schema["$defs"]
    own = {name: part for name, part in schema["properties"].items() if "properties" in part}
    plain = {name: part for name, part in schema["properties"].items() if name not in own}
    parts = [
        "# Settings\n\n`workflow/config.yaml` says what is made, and this page is made from"
        " `workflow/config.schema.yaml`, which refuses unknown keys and values out of bounds.\n",
        "## For all datasets\n",
        *_table(plain, definitions),
    ]
    for name, part in own.items():
        parts += [f"## `{name}`\n", *_about(part), *_table(part["properties"], definitions)]
    dataset = definitions["dataset"]
    parts += ["## Of a dataset\n", *_sections(dataset["properties"], definitions)]
    for branch in dataset.get("allOf", ()):
        found = branch.get("then", {}).get("properties")
        if found:
            conditions = branch["if"]["properties"].items()
            given = ", ".join(f"`{key}: {test['const']}`" for key, test in conditions)
            parts += [f"## With {given}\n", *_sections(found, definitions)]
    return "\n".join(parts)


def _sections(properties: Schema, definitions: Schema) -> Iterator[str]:
    """The table of keys with a value of their own, then a heading and a table for each section."""
    resolved = {name: _resolve(part, definitions) for name, part in properties.items()}
    sections = {name: part for name, part in resolved.items() if part.get("properties")}
    yield from _table({n: p for n, p in resolved.items() if n not in sections}, definitions)
    for name, part in sections.items():
        yield f"### `{name}`\n"
        yield from _about(part)
        yield from _table(part["properties"], definitions)


def _about(part: Schema) -> Iterator[str]:
    if "description" in part:
        yield part["description"].strip() + "\n"


def _table(properties: Schema, definitions: Schema) -> Iterator[str]:
    """A table with a row for each key, those of sections within as `section.key`."""
    rows = list(_rows(properties, definitions, ""))
    if rows:
        yield "| key | value | default | meaning |\n|---|---|---|---|"
        for row in rows:
            yield "| " + " | ".join(_cell(text) for text in row) + " |"
        yield ""


def _rows(properties: Schema, definitions: Schema, prefix: str) -> Iterator[list[str]]:
    for name, given in properties.items():
        part = _resolve(given, definitions)
        if "properties" in part:
            yield [f"`{prefix}{name}`", "a section", "", _meaning(part)]
            yield from _rows(part["properties"], definitions, f"{prefix}{name}.")
            continue
        default = f"`{_plain(part['default'])}`" if "default" in part else ""
        yield [f"`{prefix}{name}`", _value(part, definitions), default, _meaning(part)]


def _resolve(part: Schema, definitions: Schema) -> Schema:
    """A part of the schema with what it refers to; its own keys win."""
    if "$ref" not in part:
        return part
    return {**definitions[part["$ref"].rpartition("/")[2]], **part}


def _meaning(part: Schema) -> str:
    return " ".join(part.get("description", "").split())


def _cell(text: str) -> str:
    """Text for a table, where `|` would end the cell and `<` outside of code begin a tag."""
    parts = re.split(r"(`[^`]*`)", text.replace("|", "\\|"))
    return "".join(p if p.startswith("`") else p.replace("<", "&lt;") for p in parts)


def _value(part: Schema, definitions: Schema) -> str:
    """What a key takes, in a few words."""
    if "enum" in part:
        return ", ".join(f"`{_plain(choice)}`" for choice in part["enum"])
    if "oneOf" in part:
        choices = [_resolve(choice, definitions) for choice in part["oneOf"]]
        return " or ".join(_value(choice, definitions) for choice in choices)
    kinds = part.get("type", "")
    text = " or ".join([kinds] if isinstance(kinds, str) else kinds)
    if "items" in part:
        least = part.get("minItems")
        count = f"{least} " if least is not None and least == part.get("maxItems") else ""
        text = f"list of {count}{_value(_resolve(part['items'], definitions), definitions)}"
    bounds = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    limits = [f"{sign} {_plain(part[key])}" for key, sign in bounds.items() if key in part]
    if "multipleOf" in part:
        limits.append(f"a multiple of {part['multipleOf']}")
    return ", ".join([text, *limits])


def _plain(value: Any) -> str:
    """A value as one writes it in YAML, on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, width=10_000)
    return text.removesuffix("\n").removesuffix("\n...").strip()


def commands() -> str:
    """The page of all commands, as `--help` prints them."""
    sys.path.insert(0, str(ROOT))
    try:
        from pipeline.cli.main import main
    finally:
        sys.path.pop(0)
    name = "python -m pipeline"
    parts = [f"# Commands\n\n`{name} --help` and `{name} COMMAND --help` print what is here.\n"]
    return "\n".join([*parts, *_helps(main, name, None, 2)])


def _helps(
    command: click.Command, name: str, parent: click.Context | None, level: int
) -> Iterator[str]:
    """The help of a command and of all within it, each under a heading."""
    context = command.make_context(
        name, [], parent, resilient_parsing=True, terminal_width=WIDTH, max_content_width=WIDTH
    )
    yield f"{'#' * level} `{context.command_path}`\n"
    yield f"```text\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group):
        for inner in command.list_commands(context):
            found = command.get_command(context, inner)
            if found is not None and not found.hidden:
                yield from _helps(found, inner, context, min(level + 1, 4))
