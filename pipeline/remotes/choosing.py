"""What a push is asked to do: which plans, to which remote, with which key."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pipeline.errors import BadInput
from pipeline.plan import ablation, folds
from pipeline.plan.plan import Plan
from pipeline.remotes import keys
from pipeline.remotes.described import Remote


def remote(known: Sequence[Remote], url: str | None) -> Remote:
    """The remote of a URL, or the only one that can be given to. Raises `BadInput`."""
    found = [each for each in known if each.can_be_given_to]
    if url:
        found = [each for each in known if each.url == url]
    if len(found) != 1:
        what = f"names {len(found)} such remotes, of {len(known)}"
        raise BadInput("remotes", what, "describe it in the config, and name its url with --to")
    return found[0]


def private_key(remote_: Remote, path: Path | None, default: Path) -> Ed25519PrivateKey | None:
    """The key to sign with; None where none is named and the remote needs none."""
    if path is None and remote_.public_key is None:
        return None
    return keys.load(path or default)


def plans(plan: Plan) -> list[Plan]:
    """A plan, its folds and its rows, as far as there are any."""
    found = [plan]
    if plan.facts.areas:
        with suppress(BadInput):  # scans without an area, or of one alone
            found += folds.folds(plan).values()
    if plan.section.get("ablation"):
        found += ablation.rows(plan).values()
    return found
