"""`python -m pipeline estimate`: what a run will take, before it starts."""

import os
from pathlib import Path

import click

from pipeline.cli.common import config_option


@click.command()
@click.argument("dataset")
@click.option(
    "--cores", type=click.IntRange(1), default=os.cpu_count(), help="Of the run; default: all here."
)
@click.option("--gpus", type=click.IntRange(0), help="Of the run; default: those here.")
@click.option(
    "--scans",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    help="Scans to train on that are samples; half as many are scored.",
)
@config_option
def estimate(dataset: str, cores: int, gpus: int | None, scans: int, config: Path) -> None:
    """Say what a run will take: time, disk and memory of each stage.

    Where nothing is recorded of these settings, a few scans of different size are taken through all
    stages, and networks are trained for some steps on them. What is made of scans stays in the
    store, and the run uses it.
    """
    from pipeline.estimate import estimate

    found = estimate.estimate(dataset, config, scans, cores, gpus)
    click.echo(estimate.format_report(found))
