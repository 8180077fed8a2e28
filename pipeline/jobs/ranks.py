"""A training by several processes, one for each GPU, which `torchrun` starts.

The job itself holds the lease of the entry and publishes it. Its processes, on this machine or on
all nodes of a job of Slurm, each read the plan and do the work of the stage (`pipeline.jobs.rank`).
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from model.training.stop import SIGNALS
from pipeline.errors import BadInput, Stopped
from pipeline.plan import graph, machine
from pipeline.plan.plan import Plan
from pipeline.store import lease

_PORTS = range(20000, 30000)  # where the nodes of a job of Slurm meet: by the number of the job


def processes(stage: str, plan: Plan) -> tuple[int, int]:
    """How many nodes make an entry of a stage together, and how many processes on each."""
    declared = graph.stage(stage)
    nodes = declared.nodes(plan.facts) if "SLURM_JOB_ID" in os.environ else 1
    return nodes, max(1, min(declared.gpus(plan.facts), machine.own_gpus()))


def run(stage: str, plan: Plan, name: str, path: Path, nodes: int, each: int) -> None:
    """Let processes on some nodes, as many on `each`, write an entry to `path`.

    SIGTERM and SIGUSR1 are passed on to them. Raises what the first that failed raised: `BadInput`
    or `Stopped`, and `RuntimeError` for all else, which is in the log.
    """
    scratch = plan.scratch(stage, name)
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        said = Path(folder) / "said.json"
        parent = lease.process_identity() if nodes == 1 else ""
        job = [str(plan.path), stage, name, str(path), str(said), parent]
        command = [*_start(nodes, each, _threads(stage, plan)), "-m", "pipeline.jobs.rank", *job]
        # `srun` passes SIGUSR1 on to all that it started, and ends it at once after SIGTERM.
        way = signal.SIGTERM if nodes == 1 else signal.SIGUSR1
        with subprocess.Popen(command) as process, _passing_on(process, way) as asked:
            code = process.wait()
        if code:
            raise _error(said, bool(asked), code)


def _threads(stage: str, plan: Plan) -> int:
    return graph.stage(stage).threads(plan.facts)


def _start(nodes: int, each: int, threads: int) -> list[str]:
    """The command of `torchrun`, up to the module that it is to run.

    It has to outlive SIGUSR1, which Slurm sends to all processes alike.
    """
    deaf = ["sh", "-c", "trap '' USR1; exec \"$@\"", "sh"]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(each)]
    if nodes == 1:
        return [*deaf, *torchrun, "--standalone"]
    job = os.environ["SLURM_JOB_ID"]
    port = _PORTS[int(job) % len(_PORTS)]
    meet = ["--rdzv-backend", "c10d", "--rdzv-id", job]
    meet += ["--rdzv-endpoint", f"{socket.gethostname()}:{port}", "--nnodes", str(nodes)]
    srun = ["srun", f"--nodes={nodes}", f"--ntasks={nodes}", "--ntasks-per-node=1"]
    srun += [f"--cpus-per-task={threads}", "--overlap", "--kill-on-bad-exit=1"]
    srun += [f"--gres=gpu:{each}"] if machine.own_gpus() else []
    return [*srun, *deaf, *torchrun, *meet]


@contextmanager
def _passing_on(process: "subprocess.Popen[bytes]", way: signal.Signals) -> Iterator[list[int]]:
    """Pass signals on as the one by which a process stops what it has started.

    Yields the list of those that came.
    """
    came: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        came.append(number)
        process.send_signal(way)

    before = {each: signal.signal(each, note) for each in SIGNALS}
    try:
        yield came
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def say(path: Path, error: Exception) -> None:
    """Leave what one of the processes raised, unless another was first."""
    known = {"kind": type(error).__name__, "arguments": [str(each) for each in error.args]}
    partial = path.with_name(f"{path.name}.{socket.gethostname()}.{os.getpid()}")
    partial.write_text(json.dumps(known), encoding="utf-8")
    try:
        os.link(partial, path)
    except FileExistsError:
        pass
    finally:
        partial.unlink()


def _error(said: Path, asked: bool, code: int) -> Exception:
    """What to raise after the processes ended with a `code` that is not 0."""
    if said.exists():
        known = json.loads(said.read_text(encoding="utf-8"))
        kinds = {"BadInput": BadInput, "Stopped": Stopped}
        if known["kind"] in kinds:
            return kinds[known["kind"]](*known["arguments"])
        return RuntimeError(f"{known['kind']}: {' '.join(known['arguments'])}")
    if asked:
        return Stopped("stopped before a step was done")
    return RuntimeError(f"the processes of the training ended with the exit code {code}")
