"""`python -m pipeline view`: look at a scan and at what networks say of it, and ask in words."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli.common import AXES
from pipeline.errors import BadInput

if TYPE_CHECKING:
    from model.viewer.layers import View

MOST = 5_000_000


@click.command()
@click.argument("run", required=False, metavar="[DATASET]")
@click.option("--scan", default="", help="A scan of the run; otherwise a PLY file or a folder.")
@click.option(
    "--network",
    "networks",
    multiple=True,
    help="A network of the run, or a .safetensors file. Repeat for more. [default: all of the run; "
    "otherwise the one that comes with the repository]",
)
@click.option(
    "--query",
    "queries",
    multiple=True,
    help="Words to begin with. Repeat for more that an HTML file shall know.",
)
@click.option(
    "--up",
    type=AXES,
    show_default="y of glTF files, z of others",
    help="The axis that points up, of a file or a folder.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write one HTML file, which knows the names of the classes, instead of serving.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to serve.")
@click.option("--port", type=click.IntRange(0, 65535), default=8020, show_default=True)
@click.option(
    "--points",
    type=click.IntRange(1000, MOST),
    default=1_000_000,
    show_default=True,
    help="How many points to show at most.",
)
@click.option(
    "--work",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("work"),
    show_default=True,
    help="Where runs keep their plans.",
)
def view(
    run: str | None,
    scan: str,
    networks: tuple[str, ...],
    queries: tuple[str, ...],
    up: str | None,
    out: Path | None,
    host: str,
    port: int,
    points: int,
    work: Path,
) -> None:
    """Look at a scan in the browser, and ask in words.

    With the DATASET of a finished run, a scan of it with everything that the store has: ground
    truth, fused 2D embeddings and all networks. Without, any scan that `predict` takes.
    """
    from model.viewer import page

    seen = _view(run, scan, networks, queries, up, work, free_words=out is None)
    if out:
        size = page.write_page(seen, out, points)
        click.echo(f"view: {out} ({size / 1e6:.1f} MB)")
        return
    from model.viewer.server import make_server

    with make_server(seen, host, port, points) as server:
        shown = f"[{host}]" if ":" in host else host
        click.echo(f"view: http://{shown}:{server.server_address[1]}/ (end with Ctrl-C)")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            click.echo()


def _view(
    run: str | None,
    scan: str,
    networks: tuple[str, ...],
    queries: tuple[str, ...],
    up: str | None,
    work: Path,
    free_words: bool,
) -> "View":
    if run is None and not scan:
        raise BadInput("view", "no scan is named", "name a dataset, or a scan with --scan=PATH")
    from model.viewer import sources

    if run is None:
        paths = [Path(each) for each in networks] or [sources.SHIPPED]
        return sources.view_of_scan(Path(scan), paths, up, queries, free_words)
    from pipeline.plan.plan import Plan

    path = work / run / "plan.json"
    if not path.is_file():
        raise BadInput(path, "no run has written it", f"run snakemake train_{run}")
    return sources.view_of_run(Plan.load(path), scan or None, networks, queries, free_words)
