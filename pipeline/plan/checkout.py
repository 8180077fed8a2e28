"""The checkout that Snakemake runs in, and what an earlier run left in it."""

from contextlib import suppress
from pathlib import Path

from pipeline.errors import BadInput
from pipeline.plan import provenance
from pipeline.store import lease


def recover(state: Path = Path(".snakemake")) -> None:
    """Remove what an earlier Snakemake left in this work tree, unless another one runs in it.

    The lock of a killed one would stop the next run, and its marks of unfinished outputs too,
    though no output can be unfinished here: each appears whole or not at all. Its records of rules'
    texts and inputs go as well: keys say what is stale, and existing inputs are not named to it.
    Raises `BadInput` where it may not be written to, as in the checkout of another user.
    """
    running, me = state / "running", lease.process_identity()
    try:
        running.mkdir(parents=True, exist_ok=True)
        (running / provenance.digest(me)).write_text(me, encoding="utf-8")
    except OSError as error:
        what = f"cannot be written ({error.strerror})"
        remedy = "run in a checkout of your own, and share the store: `store` in its config"
        raise BadInput(running.absolute(), what, remedy) from error
    alone = True
    for path in running.iterdir():
        with suppress(FileNotFoundError):
            who = path.read_text(encoding="utf-8")
            if lease.is_gone(who):
                path.unlink()
            elif who != me:
                alone = False
    if alone:
        for left in ("locks", "incomplete", "metadata"):
            for path in (state / left).glob("**/*"):
                if path.is_file():
                    path.unlink()


def require_checkout() -> None:
    """Raise `BadInput` where the working directory is not the checkout, as after `-d` or `-s`."""
    if not Path("workflow/config.yaml").is_file():
        what = "is not the folder of the checkout, to which all paths are relative"
        raise BadInput(Path.cwd(), what, "run snakemake there, without `-d` and `-s`")
