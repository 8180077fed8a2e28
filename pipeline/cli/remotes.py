"""`python -m pipeline store push`, `pull` and `key`: entries that travel."""

import sys
from pathlib import Path

import click

from pipeline.cli.common import config_option
from pipeline.errors import BadInput

KEY = Path("~/.config/vlg3d/key.pem")  # whoever pushes has one

_to = click.option("--to", "url", help="The remote, by its `url`; not needed where it is the only.")
_stages = click.option("--stage", "stages", multiple=True, help="This alone; repeat it for more.")
_dry_run = click.option("--dry-run", "-n", is_flag=True, help="Only say how many, and their bytes.")


@click.command()
@click.argument("dataset")
@config_option
@_to
@_stages
@click.option("--key", type=click.Path(path_type=Path), help=f"Your private key; default: {KEY}.")
@click.option("--yes", is_flag=True, help="The terms of the data allow it: do not ask.")
@_dry_run
def push(
    dataset: str,
    config: Path,
    url: str | None,
    stages: tuple[str, ...],
    key: Path | None,
    yes: bool,
    dry_run: bool,
) -> None:
    """Give a remote the entries that the config reaches and it lacks.

    Folds and rows of the ablation of the config count, too. What a remote has is never replaced:
    of two who give the same entry, the first wins.
    """
    from pipeline.plan import config as configs
    from pipeline.remotes import choosing, giving, rights
    from pipeline.remotes.described import remotes
    from pipeline.tables import format_bytes

    remote = choosing.remote(remotes(configs.load(config)), url)
    plan = configs.plan(dataset, config)
    plans = choosing.plans(plan)
    giver = giving.Giver(remote, choosing.private_key(remote, key, KEY.expanduser()))
    gifts = giving.reachable(plans, stages)
    absent = giver.absent(gifts)
    size = format_bytes(sum(each.bytes for each in absent))
    click.echo(f"{len(absent)} of {len(gifts)} entries are to be given to {remote.url}: {size}")
    terms = rights.terms(plan.facts)
    if terms:
        click.echo(f"Rights: {terms}.")
    if dry_run:
        return
    if terms and absent and not yes:
        if not sys.stdin.isatty():
            raise BadInput(dataset, "is under the terms above", "say --yes if they allow it")
        click.confirm("Do they allow it?", abort=True)
    count = giver.give(absent)
    known = sum(giver.give_digests(each) for each in plans)
    click.echo(f"{count} entries were given, and {known} digests of raw files and weights.")


@click.command()
@click.argument("dataset")
@config_option
@_stages
@click.option("--all", "everything", is_flag=True, help="Also what no job of the tables needs.")
@_dry_run
def pull(
    dataset: str, config: Path, stages: tuple[str, ...], everything: bool, dry_run: bool
) -> None:
    """Take from remotes what the tables of a dataset need and the store lacks.

    A run does so itself. With --stage, all entries of that stage that the results go back to.
    """
    from pipeline.plan import config as configs
    from pipeline.plan.registered import register
    from pipeline.remotes import taking
    from pipeline.remotes.caches import Caches
    from pipeline.remotes.described import remotes

    caches = Caches(remotes(configs.load(config)))
    if not caches.remotes:
        raise BadInput(config, "names no `remotes:`", "name one, as docs/remotes.md says")
    plan = taking.planned(dataset, config, caches)
    register(plan)
    wanted = taking.asked(plan, stages, everything)
    if dry_run:
        found = taking.told(taking.look(caches, wanted))
        click.echo(f"{dataset}: would fetch {found or 'nothing'}")
        return
    count = taking.take(caches, wanted)
    click.echo(f"{count} entries are now in {plan.facts.store}.")


@click.command()
@click.argument("file", type=click.Path(path_type=Path), default=KEY)
def key(file: Path) -> None:
    """Make a private key to sign records with, and print the public key of it for configs.

    Where there is one in FILE, its public key is printed.
    """
    from pipeline.remotes import keys

    path = file.expanduser()
    shown = keys.shown(keys.load(path)) if path.exists() else keys.make(path)
    click.echo(f"public_key: {shown}")
    click.echo(f"The private key is in {path}: keep it to yourself.", err=True)
