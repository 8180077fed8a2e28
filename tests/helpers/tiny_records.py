"""Entries with records that say what they took, without making anything."""

import json

from pipeline.plan.plan import Plan
from pipeline.store import publish, records


def put(plan: Plan, stage: str, name: str, **said: float) -> None:
    """An entry, and a record that says what it took."""
    home = plan.home(stage, name)
    with publish.place(home) as path:
        path.write_bytes(name.encode())
    record = records.path_for(home, records.digest(home))
    record.chmod(0o644)
    record.write_text(json.dumps(said))
