"""Run the demo through a Slurm of one node, from a bare shell, and disturb it on the way.

    python -m tests.cluster.try_slurm FOLDER [--train 28] [--val 12] [--steps 1500] [--calm]

As root, where Debian's slurm-wlm and munge and, in this environment, Snakemake's plugin for Slurm
are installed. The checkout is cloned into FOLDER. Unless it is --calm: a training that is in its
steps after a checkpoint is requeued; once it has gone on, and after the next checkpoint, the main
process is killed with -9, and the same command is started again; and the time limit of a training
is one minute, in which it does not end. It is a fault if there is no table, if an entry was made
twice, and if the training that was requeued did not go on in the same job from where it was. Prints
how many jobs were submitted, and what each took beside its own work.
"""

import argparse
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from tests.cluster.requeue import Requeued, find, requeue, rows, wait
from tests.cluster.rooms import clone
from tests.cluster.slurm import one_node
from tests.cluster.watched import Jobs, Logs

SNAKEMAKE = Path(sys.executable).with_name("snakemake")  # whose environment is not activated
STARTS = 10  # at most, of trainings that get on by a minute with each try
TRAININGS = ("train", "supervised")


class Trial:
    """A clone of the checkout with a config of its own, and a Slurm to run it through."""

    def __init__(self, folder: Path, environment: dict[str, str], calm: bool) -> None:
        self.folder, self.work, self.calm = folder, folder / "work/demo", calm
        self.jobs, self.logs = Jobs(environment), Logs(folder / "logs")
        self.requeued: Requeued | None = None
        self.faults: list[str] = []
        self.main, self.starts = self.start(), STARTS

    def start(self) -> "subprocess.Popen[bytes]":
        """Start the user's command in a shell that knows nothing of the environment."""
        command = [str(SNAKEMAKE), "--workflow-profile", "workflow/profiles/slurm"]
        command += ["train_demo", "--configfile", "mine.yaml"]
        command += ["--slurm-init-seconds-before-status-checks", "2"]
        if not self.calm:
            command += ["--set-resources", *(f"demo_{rule}:runtime=1" for rule in TRAININGS)]
        environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(self.folder),
            "SLURM_CONF": self.jobs.slurm["SLURM_CONF"],
        }
        with (self.folder / "said.txt").open("ab") as said:
            return subprocess.Popen(
                command, cwd=self.folder, env=environment, stdout=said, stderr=said
            )

    def look(self) -> None:
        """Take down what there is of jobs, and start the command again if it has failed."""
        self.jobs.look()
        self.logs.look()
        if self.main.poll() and self.starts:
            self.starts -= 1
            say("all retries are used up: started again")
            self.main = self.start()

    @property
    def ended(self) -> bool:
        """Whether the command has ended, and is not started again."""
        return self.main.poll() == 0 or (self.main.poll() is not None and not self.starts)

    def requeue(self) -> None:
        """Requeue a training that is in its steps after a checkpoint, and wait until it goes on."""
        while self.requeued is None and not self.ended:
            self.look()
            if found := find(self.jobs, self.work):
                self.requeued = requeue(*found, self.jobs, self.work)
            time.sleep(1)
        if self.requeued is None:
            self.faults.append("no training could be requeued after a checkpoint: more steps")
            return
        it = self.requeued
        say(f"job {it.job}, {' '.join(it.training)}, requeued at step {it.seen}, kept {it.kept}")
        begin = time.monotonic()
        wait(lambda: self.ended or it.went_on(self.work), self.look, 600)
        now = rows(self.work, it.training)
        say(f"at step {now[-1]['step']} after {time.monotonic() - begin:.0f} s")
        same = {job for job, each in self.jobs.trainings().items() if each == it.training}
        if self.jobs.restarts(it.job) and same > it.others:
            self.faults.append(f"{' '.join(it.training)} was also submitted anew")

    def kill(self) -> None:
        """Kill the main process after the next checkpoint, and start the command again."""
        begin = time.time()

        def newer() -> bool:
            states = self.work.glob("scratch/*/*/checkpoint.safetensors")
            return any(state.stat().st_mtime > begin for state in states)

        wait(lambda: self.ended or newer(), self.look, 600)
        self.main.send_signal(signal.SIGKILL)
        self.main.wait()
        say("main process killed")
        self.main = self.start()

    def run(self) -> int:
        """Run to the table, as often as a user would; gives the exit code of the last command."""
        if not self.calm:
            self.requeue()
            self.kill()
        while not self.ended:
            self.look()
            time.sleep(1)
        self.look()
        return self.main.wait()

    def judge(self) -> None:
        """Find faults, and print the figures."""
        if not (self.folder / "results/demo/latest/table.txt").exists():
            self.faults.append("there is no table")
        if self.requeued:
            self.faults += self.requeued.faults(self.jobs, self.logs, self.work)
        seconds, twice = self.logs.made()
        self.faults += [f"{stage} {name} was made more than once" for stage, name in twice]
        states = Counter(each["JobState"] for each in self.jobs.told.values())
        restarts = sum(map(self.jobs.restarts, self.jobs.told))
        say(f"{len(self.jobs.told)} jobs submitted: {dict(states)}, requeued {restarts} times")
        say(f"{len(seconds)} entries and scans made, {sum(seconds.values()):.0f} s of work")
        ended = self.jobs.seconds("COMPLETED")
        beside = (sum(ended) - sum(seconds.values())) / max(1, len(ended))
        say(f"{sum(ended):.0f} s in the jobs that made them: {beside:.1f} s each beside it")


def say(sentence: str) -> None:
    """Print a sentence with the time."""
    print(f"{time.strftime('%H:%M:%S')} {sentence}", flush=True)


def main() -> int:
    """Run the trial; 1 where there was a fault."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--train", type=int, default=28)
    parser.add_argument("--val", type=int, default=12)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--calm", action="store_true", help="without disturbances")
    given = parser.parse_args()
    folder = given.folder.absolute()
    clone(folder / "tree", given.train, given.val, given.steps)
    begin = time.monotonic()
    with one_node(folder / "slurm") as environment:
        trial = Trial(folder / "tree", environment, given.calm)
        try:
            if code := trial.run():
                trial.faults.append(f"the command ended with {code}")
        finally:
            trial.main.kill()
    print(f"{time.monotonic() - begin:.0f} s from start to end")
    trial.judge()
    print(*(f"FAULT: {fault}" for fault in trial.faults), sep="\n")
    return bool(trial.faults)


if __name__ == "__main__":
    sys.exit(main())
