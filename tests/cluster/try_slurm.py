"""Run the demo through a Slurm of one node, from a bare shell, and disturb it on the way.

    python -m tests.cluster.try_slurm FOLDER [--train 28] [--val 12] [--steps 1500] [--calm]

As root, where Debian's slurm-wlm and munge and, in this environment, Snakemake's plugin for Slurm
are installed. The checkout is cloned into FOLDER. Unless it is --calm: once a training that runs
has written a checkpoint its job is requeued; after the next one the main process is killed with -9,
and the same command is started again; and the time limit of a training is one minute, in which it
does not end. It is a fault if the training that was requeued begins anew, if there is no table or
if an entry was made twice. Prints how many jobs were submitted,
and what each took beside its own work.
"""

import argparse
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from tests.cluster.rooms import clone
from tests.cluster.slurm import one_node

SNAKEMAKE = Path(sys.executable).with_name("snakemake")  # whose environment is not activated
MADE = re.compile(r"^demo (\w+) (\S+): (?:made|simulated) in ([0-9.]+) s", re.M)
STARTS = 10  # at most, of trainings that get on by a minute with each try
TRAININGS = ("train", "supervised")
GOES_ON = re.compile(r"^training: goes on after ([0-9]+) of [0-9]+", re.M)
DONE = ("COMPLETED", "FAILED", "TIMEOUT", "CANCELLED", "PREEMPTED", "NODE_FAIL")


class Trial:
    """A clone of the checkout with a config of its own, and a Slurm to run it through."""

    def __init__(self, folder: Path, environment: dict[str, str], calm: bool) -> None:
        self.folder, self.slurm, self.calm = folder, environment, calm
        self.jobs: dict[str, dict[str, str]] = {}  # by id, as Slurm last told
        self.faults: list[str] = []

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
            "SLURM_CONF": self.slurm["SLURM_CONF"],
        }
        with (self.folder / "said.txt").open("ab") as said:
            return subprocess.Popen(
                command, cwd=self.folder, env=environment, stdout=said, stderr=said
            )

    def look(self) -> None:
        """Take down what Slurm tells of all jobs; it forgets them after some minutes."""
        told = subprocess.run(
            ["scontrol", "--oneliner", "show", "job"],
            env=self.slurm,
            capture_output=True,
            text=True,
        )
        for line in told.stdout.splitlines():
            fields = dict(re.findall(r"(\w+)=(\S+)", line))
            if "JobId" in fields:
                self.jobs[fields["JobId"]] = fields

    def trainings(self) -> Iterator[tuple[str, str, str]]:
        """The trainings that run: the job, its stage and its run."""
        self.look()
        for job, fields in self.jobs.items():
            named = re.search(r"rule_demo_(\w+?)_wildcards_(\S+)", fields.get("Comment", ""))
            if fields["JobState"] == "RUNNING" and named and named[1] in TRAININGS:
                yield job, named[1], named[2]

    def with_state(self, main: "subprocess.Popen[bytes]") -> tuple[str, str, str]:
        """Wait for a training that runs and has written its state since it started."""
        while main.poll() is None:
            for job, stage, run in self.trainings():
                start = datetime.fromisoformat(self.jobs[job]["StartTime"]).timestamp()
                states = (self.folder / "work/demo/scratch").glob(f"*/{run}/checkpoint.safetensors")
                if any(state.stat().st_mtime > start for state in states):
                    return job, stage, run
            time.sleep(0.5)
        raise RuntimeError(f"it ended without a training with a state: see {self.folder}/said.txt")

    def requeue(self, main: "subprocess.Popen[bytes]") -> None:
        """Requeue a training that has a state; it is a fault unless it goes on from there."""
        job, stage, run = self.with_state(main)
        log = self.folder / f"logs/demo/{stage}/{run}.log"
        log.write_text("", encoding="utf-8")  # what comes is of the next start
        subprocess.run(["scontrol", "requeue", job], env=self.slurm, check=True)
        print(f"job {job} requeued: {run}", flush=True)
        while main.poll() is None:
            self.look()
            said = log.read_text("utf-8", "replace")
            if found := GOES_ON.search(said):
                restarts = self.jobs[job]["Restarts"]
                print(f"{run} goes on after step {found[1]}, in start {int(restarts) + 1} of {job}")
                return
            if re.search("^training: +[0-9]+%", said, re.M):
                break
            time.sleep(0.5)
        self.faults.append(f"{run} did not go on after it was requeued: {said[-200:]!r}")

    def disturb(self, main: "subprocess.Popen[bytes]") -> "subprocess.Popen[bytes]":
        """Requeue a training, kill the main process, and start it again."""
        self.requeue(main)
        self.with_state(main)
        main.send_signal(signal.SIGKILL)
        main.wait()
        print("main process killed", flush=True)
        return self.start()

    def run(self) -> int:
        """Run to the table, as often as a user would; gives the exit code of the last command."""
        main = self.start()
        if not self.calm:
            main = self.disturb(main)
        for _ in range(STARTS):
            while main.poll() is None:
                self.look()
                time.sleep(2)
            if main.returncode == 0:
                break
            print("all retries are used up: started again", flush=True)
            main = self.start()
        return main.wait()

    def judge(self) -> None:
        """Find faults, and print the figures."""
        table = self.folder / "results/demo/latest/table.txt"
        if not table.exists():
            self.faults.append("there is no table")
        logs = [path.read_text("utf-8") for path in (self.folder / "logs").rglob("*.log")]
        logs += [p.read_text("utf-8") for p in self.folder.glob(".snakemake/slurm_logs/**/*.log")]
        made = [found for text in {*logs} for found in MADE.findall(text)]
        seconds = {(stage, name): float(took) for stage, name, took in made}
        for entry, times in Counter({*made}).items():
            if times > 1 or Counter((s, n) for s, n, _ in {*made})[entry[:2]] > 1:
                self.faults.append(f"{entry[0]} {entry[1]} was made more than once")
        ended = [each for each in self.jobs.values() if each["JobState"] in DONE]
        elapsed = sum(map(_elapsed, ended))
        states = Counter(each["JobState"] for each in self.jobs.values())
        restarts = sum(int(each.get("Restarts", 0)) for each in self.jobs.values())
        print(f"{len(self.jobs)} jobs submitted: {dict(states)}, requeued {restarts} times")
        print(f"{len(seconds)} entries and scans made, {sum(seconds.values()):.0f} s of work")
        beside = (elapsed - sum(seconds.values())) / len(ended)
        print(f"{elapsed:.0f} s in jobs: {beside:.1f} s each beside it")


def _elapsed(job: dict[str, str]) -> float:
    begin, end = (datetime.fromisoformat(job[name]) for name in ("StartTime", "EndTime"))
    return (end - begin).total_seconds()


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
        if code := trial.run():
            trial.faults.append(f"the command ended with {code}")
        trial.look()
    print(f"{time.monotonic() - begin:.0f} s from start to end")
    trial.judge()
    print(*(f"FAULT: {fault}" for fault in trial.faults), sep="\n")
    return bool(trial.faults)


if __name__ == "__main__":
    sys.exit(main())
