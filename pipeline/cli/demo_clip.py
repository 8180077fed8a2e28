"""`python -m pipeline demo-clip ...`: train and score the small CLIP of the demo."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

FURNITURE = Path("/usr/share/sweethome3d/furniture")

_FOLDER = click.Path(path_type=Path, file_okay=False)


def _views_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--cache` and `--furniture`, which all commands need to render views."""
    furniture = click.option(
        "--furniture",
        type=_FOLDER,
        default=FURNITURE,
        show_default=True,
        help="The models of Debian's package sweethome3d-furniture.",
    )
    cache = click.option(
        "--cache", type=_FOLDER, required=True, help="The folder for rendered views."
    )
    return cache(furniture(function))


def _model_option(function: Callable[..., Any]) -> Callable[..., Any]:
    option = click.option(
        "--model",
        type=_FOLDER,
        default=Path("data_manifest/demo/clip"),
        show_default=True,
        help="The folder of the model.",
    )
    return option(function)


@click.group()
def demo_clip() -> None:
    """Train and score the demo's small CLIP on simulated views."""


@demo_clip.command()
@click.option("--out", type=_FOLDER, required=True, help="The folder for the model.")
@_views_options
@click.option("--rooms", type=click.IntRange(min=1), default=300, show_default=True)
@click.option(
    "--frames", type=click.IntRange(min=1), default=16, show_default=True, help="Views per room."
)
@click.option("--steps", type=click.IntRange(min=1), default=6500, show_default=True)
@click.option(
    "--batch", type=click.IntRange(min=1), default=64, show_default=True, help="Crops per step."
)
@click.option("--rate", default=1e-3, show_default=True, help="The highest learning rate.")
@click.option("--seed", default=0, show_default=True)
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True)
@click.option("--device", help="Default: cuda if there is a GPU, else cpu.")
def train(
    out: Path,
    cache: Path,
    furniture: Path,
    rooms: int,
    frames: int,
    steps: int,
    batch: int,
    rate: float,
    seed: int,
    threads: int,
    device: str | None,
) -> None:
    """Render rooms and captions, and train the model from scratch (about an hour on a CPU)."""
    import torch

    from pipeline.demo_clip.pairs import render_views
    from pipeline.demo_clip.train import train_from_scratch
    from pipeline.simulate.catalogue import Catalogue

    torch.set_num_threads(threads)
    views = render_views(cache, Catalogue(furniture), range(rooms), frames)
    train_from_scratch(out, views, steps, batch, rate, seed, device)


@demo_clip.command()
@_model_option
@_views_options
def scores(model: Path, cache: Path, furniture: Path) -> None:
    """Print the IoU of each class and the precision of queries, on validation rooms."""
    from pipeline.demo_clip.clip_scores import tables

    for line in tables(model, cache, furniture):
        click.echo(line)


@demo_clip.command()
@_model_option
@_views_options
def readings(model: Path, cache: Path, furniture: Path) -> None:
    """Compare recipes, windows and regions by their 2D mIoU, on three sets of rooms."""
    from pipeline.demo_clip.reading_scores import table

    for line in table(model, cache, furniture):
        click.echo(line)
