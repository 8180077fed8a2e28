"""One of the processes that make an entry together: `python -m pipeline.jobs.rank`, by torchrun."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

from pipeline.jobs import entries, ranks
from pipeline.plan.plan import Plan
from pipeline.store import lease

_LOOK = 1.0  # seconds between two looks at whether the job is still there


def main(plan: Path, stage: str, name: str, path: Path, said: Path, job: str) -> int:
    """Do the part of this process in the entry `name` of a stage, which is written to `path`.

    What it raises is left in the file `said`. It ends when the process `job`, which holds the
    lease, does. Returns its exit code.
    """
    from model.training import ranks as together

    signal.signal(signal.SIGUSR1, signal.SIG_DFL)  # which `torchrun` was told to ignore
    if job:
        threading.Thread(target=_end_with, args=(job,), daemon=True).start()
    try:
        with together.joined():
            entries.load(stage, Plan.load(plan, stage))(name, path)
    except Exception as error:
        ranks.say(said, error)
        if type(error).__name__ not in ("BadInput", "Stopped"):
            raise
        return 1
    return 0


def _end_with(job: str) -> None:
    while not lease.is_gone(job):
        time.sleep(_LOOK)
    os._exit(1)


if __name__ == "__main__":
    plan, stage, name, path, said, job = sys.argv[1:]
    sys.exit(main(Path(plan), stage, name, Path(path), Path(said), job))
