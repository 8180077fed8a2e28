"""`python -m pipeline compare RUN RUN...`: one page about what differs between runs."""

from pathlib import Path

import click

_OUT = Path("results/compare/index.html")


@click.command("compare")
@click.argument("runs", metavar="RUN RUN...", type=click.Path(path_type=Path), nargs=-1)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=_OUT,
    show_default=True,
    help="The page to write.",
)
def compare(runs: tuple[Path, ...], out: Path) -> None:
    """Show on one page what differs between runs, and what that did to every score.

    A RUN is a folder of results, such as results/demo/latest. Scores are compared with those of the
    first one.
    """
    from model.pages.compare import read_run, render
    from pipeline.store import filesystem

    page = render([read_run(run) for run in runs])
    with filesystem.write_errors(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(page, encoding="utf-8")
    click.echo(f"page: {out}")
