"""`python -m pipeline export`: predictions in the files of a benchmark."""

from pathlib import Path

import click

from model.exports.formats import FORMATS
from pipeline.cli.common import config_option


@click.command()
@click.argument("dataset")
@click.option(
    "--format",
    "name",
    type=click.Choice([*FORMATS]),
    default="scannet",
    show_default=True,
    help="The benchmark: ids of NYU40, or ScanNet200's ids.",
)
@click.option(
    "--network",
    required=True,
    metavar="RUN",
    help="A run of the dataset, such as ess_esgs-0, or the .safetensors file of a network.",
)
@click.option("--votes", is_flag=True, help="Average class probabilities in superpoints.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder to write to. [default: results/DATASET/export/FORMAT-RUN]",
)
@config_option
def export(
    dataset: str, name: str, network: str, votes: bool, out: Path | None, config: Path
) -> None:
    """Write predictions for a benchmark: val/<scan>.txt, test/<scan>.txt, and a zip of each folder.

    Each line is the id of a class, for each vertex of <scan>_vh_clean_2.ply. Scans of the split
    test need that file alone. A scan that fails is passed over; then there is no zip of its split,
    and the command exits with 1.
    """
    from model.exports.export import export as write
    from pipeline.plan.config import plan

    planned = plan(dataset, config, wanted=False)
    if not write(planned, name, network, out, votes, click.echo):
        raise click.exceptions.Exit(1)
