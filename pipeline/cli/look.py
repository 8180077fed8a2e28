"""`python -m pipeline look ...`: frames as CLIP sees them, and costs of presets and codecs."""

from pathlib import Path

import click

from pipeline.cli.common import config_option

_SCAN_HELP = "Look at this scan; repeat for more. By default a few, spread over all."


@click.group()
def look() -> None:
    """Look at a few raw frames before a run, without writing into the store."""


@look.command()
@click.argument("dataset")
@config_option
@click.option("--scan", "scans", multiple=True, help=_SCAN_HELP)
@click.option(
    "--frames", type=click.IntRange(1), default=2, show_default=True, help="Frames of each scan."
)
@click.option("--query", "queries", multiple=True, help="Words to look for; repeat for more.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The PNG to write. [default: results/DATASET/look/picture.png]",
)
def picture(
    dataset: str,
    config: Path,
    scans: tuple[str, ...],
    frames: int,
    queries: tuple[str, ...],
    out: Path | None,
) -> None:
    """Draw the best class at each pixel, and how near each pixel is to a query."""
    from pipeline.look.picture import write_picture
    from pipeline.plan.config import plan

    planned = plan(dataset, config, wanted=False)
    click.echo(write_picture(planned, scans or None, frames, queries, out))


@look.command()
@click.argument("dataset")
@config_option
@click.option("--scan", "scans", multiple=True, help=_SCAN_HELP)
@click.option(
    "--frames", type=click.IntRange(1), default=4, show_default=True, help="Frames of each scan."
)
def codecs(dataset: str, config: Path, scans: tuple[str, ...], frames: int) -> None:
    """Measure what each codec costs and keeps, and how many frames are read per second."""
    from pipeline.look.codecs import write_report
    from pipeline.plan.config import plan

    planned = plan(dataset, config, wanted=False)
    click.echo(write_report(planned, scans or None, frames))


@look.command("presets")
@click.argument("dataset")
@config_option
@click.option("--preset", "names", multiple=True, help="A preset; repeat for more. [default: all]")
@click.option("--scan", "scans", multiple=True, help=_SCAN_HELP)
@click.option(
    "--frames", type=click.IntRange(1), default=1, show_default=True, help="Frames of each scan."
)
@click.option("--query", "queries", multiple=True, help="Words to look for; repeat for more.")
def presets_(
    dataset: str,
    config: Path,
    names: tuple[str, ...],
    scans: tuple[str, ...],
    frames: int,
    queries: tuple[str, ...],
) -> None:
    """Draw what each preset sees in the same frames, and measure its time and bytes."""
    from pipeline.look.presets import write_report
    from pipeline.plan.config import plan

    planned = plan(dataset, config, wanted=False)
    click.echo(write_report(planned, names, scans or None, frames, queries))
