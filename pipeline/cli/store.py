"""`python -m pipeline store ...`: what is in the store, why not, is it sound, what may go."""

from pathlib import Path
from typing import Any

import click

from pipeline.cli.common import CONFIG, config_option
from pipeline.cli.remotes import key, pull, push
from pipeline.errors import BadInput


class StoreGroup(click.Group):
    """Commands that report bad input without characters that could control the terminal."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order of their use."""
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; exit with 1 and the message for bad input."""
        try:
            return super().invoke(ctx)
        except BadInput as error:
            from pipeline.upkeep.inventory import printable

            for line in (*getattr(error, "lines", ()), error):
                click.echo(printable(str(line)), err=True)
            ctx.exit(1)


@click.group(cls=StoreGroup)
def store() -> None:
    """What is in the store, why an entry is absent, and what may be removed.

    The store is the one that the config names, or $SCAN_STORE.
    """


@store.command()
@click.argument("dataset")
@config_option
def status(dataset: str, config: Path) -> None:
    """List what a run would find, and what it has to make.

    Nothing is made and no raw file is read. Time and disk are known by what entries of the same
    settings took, and by what `estimate` has measured.
    """
    from pipeline.estimate import choice
    from pipeline.upkeep import status

    plan, fault = choice.planned(dataset, config)
    click.echo(status.format_report(plan, status.survey(plan), fault))


@store.command()
@click.argument("dataset")
@click.argument("stage")
@click.argument("name")
@config_option
def why(dataset: str, stage: str, name: str, config: Path) -> None:
    """Explain why an entry is absent.

    What differs from the nearest recipe in the store is listed. NAME is a scan, `classes` for the
    stage text, or a run such as esgs-0 for the stage train.
    """
    from pipeline.plan.config import plan
    from pipeline.upkeep.inventory import printable
    from pipeline.upkeep.why import explain

    for line in explain(plan(dataset, config), stage, name):
        click.echo(printable(line))


@store.command()
@click.argument("folder", type=click.Path(path_type=Path), required=False)
@config_option
@click.option("--dataset", help="Verify this dataset only.")
@click.option("--jobs", type=click.IntRange(1), help="Entries read at a time; default: one a core.")
def verify(folder: Path | None, config: Path, dataset: str | None, jobs: int | None) -> None:
    """Read every entry again and compare it with its recorded checksum.

    Damaged entries are moved aside, and made again by the next run. FOLDER is a store, by default
    the one of the config. Exits with 1 if anything is wrong.
    """
    from pipeline.upkeep import inventory, verify

    report = verify.verify(folder or inventory.configured_store(config), dataset, jobs)
    click.echo(verify.format_report(report))
    if report.findings:
        raise click.exceptions.Exit(1)


@store.command()
@click.option(
    "--config",
    "--configfile",
    "configs",
    type=click.Path(path_type=Path, dir_okay=False),
    multiple=True,
    default=[CONFIG],
    show_default=True,
    help="A config in use; repeat it for several.",
)
@click.option("--delete", is_flag=True, help="Remove what is listed.")
@click.option("--forget", metavar="NAME", help="Remove a registered plan whose owner has left.")
def prune(configs: tuple[Path, ...], delete: bool, forget: str | None) -> None:
    """List, or with --delete remove, what no config in use needs.

    In use are the given configs and every plan that was registered in the store by running it.
    Exits with 1 if something could not be removed.
    """
    from pipeline.plan.registered import registered
    from pipeline.tables import format_bytes
    from pipeline.upkeep import in_use, prune, unused
    from pipeline.upkeep.inventory import printable

    root = prune.common_store(configs)
    if forget:
        prune.forget(root, forget)
    users = registered(root)
    used = {path for user in users for path in in_use.of_plan(user.plan)}
    for path in configs:
        found, faults = in_use.of_config(path, users)
        used |= found
        for dataset, fault in faults.items():
            click.echo(f"All of {dataset} counts as in use, as it cannot be planned: {fault}")
    unreachable = unused.find(root, used)
    click.echo(unused.format_report(root, unreachable, users))
    if not delete:
        size = format_bytes(unreachable.bytes)
        click.echo(f"Nothing was removed: --delete would free {size}.")
        return
    removed, kept = prune.remove(root, unreachable)
    for path, reason in kept.items():
        click.echo(f"{printable(path)} was kept: {reason}")
    click.echo(f"{len(removed)} of {len(removed) + len(kept)} were removed.")
    if kept:
        raise click.exceptions.Exit(1)


def _number_or_all(context: click.Context, option: click.Parameter, text: str) -> int | None:
    number = click.IntRange(1).__call__
    return None if text == "all" else number(text, option, context)


@store.command()
@click.argument("dataset")
@click.argument("stage")
@config_option
@click.option(
    "--samples",
    "--scans",
    metavar="N|all",
    default="3",
    show_default=True,
    callback=_number_or_all,
    help="Entries to compare.",
)
@click.option(
    "--cosine",
    type=click.FloatRange(0.99, 1),
    help="Let floats differ down to this cosine: across devices.",
)
@click.option("--check", is_flag=True, help="Compare again what a line of blessed.csv names.")
def bless(
    dataset: str, stage: str, config: Path, samples: int | None, cosine: float | None, check: bool
) -> None:
    """Keep old entries after an edit of code that changes no output.

    Some entries are made again and compared byte for byte; if they are equal, a line in
    data_manifest/blessed.csv keeps all old ones. Exits with 1 if they differ.
    """
    from pipeline.plan import config as configs
    from pipeline.plan import manifest
    from pipeline.upkeep import bless

    plan = configs.plan(dataset, config)
    if bless.trains(stage):
        click.echo(f"{stage}: this trains each network again, from the start")
    row = bless.check(plan, stage) if check else bless.bless(plan, stage, samples, cosine)
    click.echo(f"equal ({row.how}): the current {row.stage} keeps the entries of key {row.old}")
    if left := bless.unseen(plan, row):
        click.echo(f"{left} more entries of that key were not made again and not compared")
    if not check:
        click.echo(f"compared {row.entries}; commit {manifest.BLESSED}, so that it is reviewed")


for _command in (push, pull, key):
    store.add_command(_command)
