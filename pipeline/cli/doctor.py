"""`python -m pipeline doctor`: examine raw scans before a long run."""

from pathlib import Path

import click

from pipeline.cli.common import config_option


@click.command()
@click.argument("dataset", required=False)
@click.option(
    "--path",
    "folder",
    type=click.Path(path_type=Path),
    help="Examine the scan in this folder instead of a dataset.",
)
@click.option(
    "--scan", "scans", multiple=True, help="Repeat for more; default: 3, spread over all."
)
@click.option(
    "--frames", type=click.IntRange(min=1), default=12, show_default=True, help="Frames per scan."
)
@config_option
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The page; default: results/DATASET/doctor/index.html.",
)
def doctor(
    dataset: str | None,
    folder: Path | None,
    scans: tuple[str, ...],
    frames: int,
    config: Path,
    out: Path | None,
) -> None:
    """Find what is wrong with raw scans: missing or damaged files, poses, units, cameras, times.

    Each finding is printed as one sentence, and shown on a page with pictures. Exits with 1 if
    anything was found.
    """
    if (dataset is None) == (folder is None):
        raise click.UsageError("give either a dataset or a folder with --path")
    if folder and scans:
        raise click.UsageError("--scan names scans of a dataset; --path is one scan")
    from pipeline.doctor import report

    if folder:
        found = report.examine_folder(folder, frames, out)
    else:
        found = report.examine_dataset(str(dataset), scans, frames, config, out)
    for scan in found.examined:
        for sentence in scan.findings + scan.unmeasured or ["nothing wrong found"]:
            click.echo(f"{scan.name}: {sentence}")
    click.echo(f"page: {found.page}")
    if not found.healthy:
        raise click.exceptions.Exit(1)
