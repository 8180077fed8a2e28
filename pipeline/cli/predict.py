"""`python -m pipeline predict`: a trained network labels a scan."""

from pathlib import Path

import click

from pipeline.cli.common import AXES
from pipeline.errors import BadInput


@click.command()
@click.option(
    "--scan", default="", metavar="PATH", help="A cloud or mesh, or the folder of a scan."
)
@click.option(
    "--network", default="", metavar="PATH", help="A trained network: file or release folder."
)
@click.option("--query", default="", help="What to look for in the scan, in words.")
@click.option(
    "--up",
    type=AXES,
    show_default="y of glTF files, z of others",
    help="The axis of the scan that points up.",
)
@click.option(
    "--votes",
    type=bool,
    is_flag=False,
    flag_value=True,  # without a value; with one it can be in the config, as every option
    default=False,
    show_default="no",
    metavar="[yes|no]",
    help="Average class probabilities in the superpoints of the scan.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("results/predict"),
    show_default=True,
    help="The folder to write to.",
)
def predict(scan: str, network: str, query: str, up: str | None, votes: bool, out: Path) -> None:
    """Label a scan with a trained network.

    Writes labels.ply and view.html, a page in which to look at the scan, and with --query also
    heat.ply. A scan is a PLY, LAS, LAZ, OBJ, glTF, GLB or STL file, or the folder of a ScanNet
    scan, of an S3DIS room or of RGB-D frames. It needs no image, no label and no store.
    """
    for name, value in (("scan", scan), ("network", network)):
        if not value:
            raise BadInput("predict", f"no {name} is named", f"name it with --{name}=PATH")
    from model.inference.label_scan import label_scan
    from model.viewer.layers import view_of_points
    from model.viewer.page import write_page

    done = label_scan(Path(scan), Path(network), out, query or None, up, votes)
    view = view_of_points(Path(scan).name, done.voxels)
    view.words += [query] if query else []
    net, embed = done.network, done.network.embed if query else None
    colors = net.details["colors"]
    view.add_network(Path(network).stem, net.trained, done.voxels, colors, done.found, embed)
    size = write_page(view, out / "view.html")
    click.echo(f"view: {out / 'view.html'} ({size / 1e6:.1f} MB)")
