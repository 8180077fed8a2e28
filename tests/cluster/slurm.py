"""A Slurm of one node on this machine, without accounting (Debian: slurm-wlm, munge)."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PORTS = (16817, 16818)  # of the controller and the node, beside those of a cluster that is there
CONFIG = """\
ClusterName=one
SlurmctldHost={host}
SlurmUser=root
AuthType=auth/munge
AuthInfo=cred_expire=30
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerParameters=sched_interval=1,batch_sched_delay=1,bf_interval=2
MinJobAge=300
KillWait=30
ReturnToService=2
SlurmdParameters=config_overrides
JobRequeue=1
NodeName={host} CPUs={cores} RealMemory={memory} State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=12:00:00 State=UP OverSubscribe=FORCE:8
"""


@contextmanager
def one_node(folder: Path) -> Iterator[dict[str, str]]:
    """Start the daemons with all they write in `folder`; gives the environment for its commands.

    Raises `RuntimeError` where a daemon is missing or the node does not come up.
    """
    for program in ("munged", "slurmctld", "slurmd"):
        if not shutil.which(program):
            raise RuntimeError(f"{program} is missing: apt-get install slurm-wlm munge")
    for part in ("state", "spool"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    config = folder / "slurm.conf"
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    # Neither is what is tried: a node that claims more than it has takes jobs side by side, and
    # groups of jobs, which ask for as many cores as they can use at once.
    host, cores = os.uname().nodename, 4 * (os.cpu_count() or 1)
    known = {"host": host, "cores": cores, "memory": 4 * memory}
    config.write_text(CONFIG.format(**known, ports=PORTS, folder=folder), encoding="utf-8")
    # Snakemake's plugin takes SLURM_CONF out of the environment of a job's step.
    usual = Path("/etc/slurm/slurm.conf")
    if usual.exists():
        raise RuntimeError(f"{usual} is there: this machine has a Slurm of its own")
    usual.parent.mkdir(parents=True, exist_ok=True)
    usual.unlink(missing_ok=True)  # a link that a killed trial has left
    usual.symlink_to(config.absolute())
    environment = os.environ | {"SLURM_CONF": str(config)}
    Path("/run/munge").mkdir(mode=0o755, exist_ok=True)
    shutil.chown("/run/munge", "munge", "munge")
    commands = {
        "munged": ["runuser", "-u", "munge", "--", "munged", "--foreground", "--force"],
        "slurmctld": ["slurmctld", "-D", "-c"],
        "slurmd": ["slurmd", "-D", "-c", "-N", host],
    }
    daemons = []
    try:
        for name, command in commands.items():
            with (folder / f"{name}.out").open("wb") as out:
                daemons.append(subprocess.Popen(command, env=environment, stdout=out, stderr=out))
            time.sleep(2)  # each needs the one before
        _wait_for_node(environment)
        yield environment
    finally:
        for daemon in reversed(daemons):
            daemon.terminate()
            daemon.wait(30)
        usual.unlink()


def _wait_for_node(environment: dict[str, str], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        told = subprocess.run(
            ["sinfo", "--noheader", "--format=%T"], env=environment, capture_output=True, text=True
        )
        if told.stdout.strip() in ("idle", "mixed", "allocated"):
            return
        time.sleep(1)
    raise RuntimeError(f"the node does not come up: {told.stdout}{told.stderr}")
