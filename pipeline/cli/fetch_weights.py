"""`python -m pipeline fetch-weights ...`: weights for a machine without a network."""

from pathlib import Path

import click


@click.command()
@click.argument("preset")
@click.option(
    "--to",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("data/weights"),
    show_default=True,
    help="The folder to write, for data/weights of another checkout.",
)
def fetch_weights(preset: str, folder: Path) -> None:
    """Fetch the weights of a preset (fast, good, best) for a machine without a network."""
    from pipeline.clip.saving import save
    from pipeline.plan.presets import settings

    tower = settings(preset, "the command")["embeddings"]
    click.echo(save(preset, tower["model"], tower["pretrained"], folder))
