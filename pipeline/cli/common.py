"""What the commands share: how commands are found, how bad input ends one, options of several."""

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from pipeline.errors import BadInput

CONFIG = Path("workflow/config.yaml")
AXES = click.Choice(["z", "-z", "y", "-y", "x", "-x"])  # of a scan, that point up


class LazyGroup(click.Group):
    """A group that imports a command when it is asked for, and not to list it.

    `sections` maps a heading to its commands: name -> ("module:attribute", help in one line).
    Bad input ends a command with its sentence on stderr and exit code 1; wrong usage with 2.
    """

    def __init__(self, sections: dict[str, dict[str, tuple[str, str]]], **rest: Any) -> None:
        super().__init__(**rest)
        self.sections = sections
        self._places = {n: each for part in sections.values() for n, each in part.items()}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order of the sections."""
        return list(self._places)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The command of that name, imported now; None where there is none."""
        if name not in self._places:
            return None
        module, _, attribute = self._places[name][0].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The sections, a line for each command."""
        for heading, commands in self.sections.items():
            with formatter.section(heading):
                formatter.write_dl([(name, about) for name, (_, about) in commands.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        """Names of commands for the shell, without importing them."""
        from click.shell_completion import CompletionItem

        found = [(n, about) for n, (_, about) in self._places.items() if n.startswith(incomplete)]
        return [CompletionItem(name, help=about) for name, about in found]

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; exit with 1 and one sentence for bad input."""
        try:
            return super().invoke(ctx)
        except BadInput as error:
            print(error, file=sys.stderr)
            ctx.exit(1)


Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def config_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--config PATH`, or `--configfile` as Snakemake calls it, passed on as `config`."""
    option = click.option(
        "--config",
        "--configfile",
        "config",
        type=click.Path(path_type=Path, dir_okay=False),
        default=CONFIG,
        show_default=True,
        help="The config that a run would read.",
    )
    return option(function)
