"""`python -m pipeline release`: a trained network as a folder that others can use."""

from pathlib import Path

import click


@click.command()
@click.argument("network", metavar="RUN_OR_FILE")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="The folder to write, new or empty.",
)
@click.option(
    "--scores",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The table.json that has its scores. [default: that of the run]",
)
@click.option("--row", help="The network's row in the table. [default: its variant]")
@click.option("--licence", help="The licence of the network, as the hub names it: apache-2.0.")
@click.option("--data-licence", help="The licence of the scans that it was trained on, in words.")
def release(
    network: str,
    out: Path,
    scores: Path | None,
    row: str | None,
    licence: str | None,
    data_licence: str | None,
) -> None:
    """Make a folder of a trained network that others can use, without this checkout.

    RUN_OR_FILE is DATASET/RUN of a finished run, such as demo/ess_esgs-0, or a .safetensors file.
    The folder has the network, its description and card, and its text tower if that is small.
    """
    from pipeline.jobs.release import release as write

    click.echo(f"release: {write(network, out, scores, row, licence, data_licence)}")
