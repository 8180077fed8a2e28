"""Who uses a store, and for what: each work tree writes its plans into it."""

import getpass
import json
import os
import socket
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

from pipeline.errors import BadInput
from pipeline.facts import Facts
from pipeline.plan import provenance
from pipeline.plan.plan import Plan
from pipeline.store import filesystem
from pipeline.whole_file import replaced

PLANS = "plans"  # the folder of a store in which those who use it write their plans


class Registered(NamedTuple):
    """A plan that a user ran on a store: `plan` has the keys of their code, not of this one.

    `plan.facts` are theirs too, but for the path of the store, which is the one asked about.
    """

    plan: Plan
    user: str
    host: str
    work: str  # absolute path of their links
    path: Path  # of the file in the store


def register(plan: Plan) -> None:
    """Write down in the store that this work tree uses it, and for what; warn where that fails."""
    work = os.path.abspath(plan.facts.work)
    who = {"user": _user(), "host": socket.gethostname(), "work": work}
    name = provenance.digest(*who.values(), *plan.parts)
    path = Path(plan.facts.store, PLANS, f"{name}.json")
    facts = replace(plan.facts, keys=plan.keys, work=work).to_json()
    try:
        with replaced(path) as partial:
            partial.write_text(json.dumps({**who, "plan": facts}, sort_keys=True), encoding="utf-8")
    except OSError as error:
        what = f"this run cannot be registered ({error.strerror})"
        what += ", so `python -m pipeline store prune` may remove what it uses"
        _say(f"{path.parent}: {what}; ask its owner for access.")


@cache
def _say(sentence: str) -> None:
    """Print it once, however many plans a run has."""
    print(sentence, file=sys.stderr, flush=True)


def registered(store_: Path) -> list[Registered]:
    """Everybody's plans on a store, by file name. Raises `BadInput` where one cannot be read."""
    found = []
    for name in sorted(filesystem.list_names(store_ / PLANS)):
        if not name.endswith(".json"):
            continue
        path = store_ / PLANS / name
        try:
            said = json.loads(filesystem.read_text(path))
            facts = Facts.from_json(said["plan"] | {"store": str(store_)})
            if facts.keys is None:
                raise LookupError("keys")
            planned = Plan(facts)
            found.append(Registered(planned, said["user"], said["host"], said["work"], path))
        except FileNotFoundError:  # taken away just now
            continue
        except (OSError, ValueError, LookupError, TypeError) as error:
            what = f"is not a plan that a run has written ({error!r})"
            raise BadInput(path, what, "find out whose it is, and remove it") from error
    return found


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container without a name for its user
        return str(os.getuid())
