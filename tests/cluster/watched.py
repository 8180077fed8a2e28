"""What a trial sees of its jobs while they run: Slurm forgets them, and logs are written over."""

import re
import subprocess
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

TRAINING = re.compile(r"rule_demo_(train|supervised)_wildcards_(\S+)")
MADE = re.compile(r"^demo (\w+) (\S+): (?:made|simulated) in ([0-9.]+) s", re.M)

Made = tuple[str, str]  # stage and name


class Jobs:
    """The jobs of a Slurm, as it last told of each, by their numbers."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.slurm = environment
        self.told: dict[str, dict[str, str]] = {}

    def look(self) -> None:
        """Take down what Slurm tells of all jobs."""
        command = ["scontrol", "--oneliner", "show", "job"]
        told = subprocess.run(command, env=self.slurm, capture_output=True, text=True).stdout
        for line in told.splitlines():
            fields = dict(re.findall(r"(\w+)=(\S+)", line))
            if "JobId" in fields:
                self.told[fields["JobId"]] = fields

    def trainings(self) -> dict[str, Made]:
        """All jobs that train a network, and which one."""
        found = {job: TRAINING.search(each.get("Comment", "")) for job, each in self.told.items()}
        return {job: (each[1], each[2]) for job, each in found.items() if each}

    def state(self, job: str) -> str:
        """What a job does, such as RUNNING, as last seen."""
        return self.told[job]["JobState"]

    def begun(self, job: str) -> float:
        """When a job that runs began, in seconds since 1970."""
        return datetime.fromisoformat(self.told[job]["StartTime"]).timestamp()

    def restarts(self, job: str) -> int:
        """How often a job was requeued."""
        return int(self.told[job].get("Restarts", 0))

    def seconds(self, state: str) -> list[float]:
        """How long the jobs that ended in a state took, the last time that they were started."""
        ended = [each for each in self.told.values() if each["JobState"] == state]
        times = [[datetime.fromisoformat(e[n]) for n in ("StartTime", "EndTime")] for e in ended]
        return [(end - begin).total_seconds() for begin, end in times]


class Logs:
    """The logs of rules, with what was in them before a later try of the same job began anew."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._tries: dict[Path, list[str]] = {}

    def look(self) -> None:
        """Read all logs. A try takes longer to begin than there is between two looks."""
        for path in self.folder.rglob("*.log"):
            text = path.read_text("utf-8", errors="replace")
            tries = self._tries.setdefault(path, [""])
            if text.startswith(tries[-1]):
                tries[-1] = text
            else:
                tries.append(text)

    def said(self, stage: str, name: str) -> str:
        """All that the tries of a job have said."""
        return "".join(self._tries.get(self.folder / f"demo/{stage}/{name}.log", []))

    def made(self) -> tuple[dict[Made, float], list[Made]]:
        """The seconds of each entry that was made, and those that were made more than once."""
        texts = [text for tries in self._tries.values() for text in tries]
        found = [MADE.findall(text) for text in texts]
        seconds = {(stage, name): float(took) for some in found for stage, name, took in some}
        times = Counter((stage, name) for some in found for stage, name, _ in some)
        return seconds, [entry for entry, count in times.items() if count > 1]
