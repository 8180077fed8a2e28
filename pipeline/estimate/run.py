"""A run of Snakemake, from its first job to its last: progress, and the ledger at its end."""

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pipeline.estimate import ledger, measured
from pipeline.estimate.forecast import Forecast, forecasts
from pipeline.estimate.reporter import Reporter
from pipeline.estimate.schedule import EACH, Job, makespan
from pipeline.plan import graph
from pipeline.plan.plan import Plan
from pipeline.stages.declaration import ONLY, Over


class Run:
    """The jobs of a run, with what each is expected to take."""

    def __init__(self, plans: Sequence[Plan], workflow: Any) -> None:
        """`workflow` is Snakemake's, whose jobs are known by now."""
        self.plans = {str(plan.path): plan for plan in plans}
        self.forecasts: dict[str, dict[str, Forecast]] = {
            path: forecasts(plan, measured.read_sizes(plan), measured.read(plan))
            for path, plan in self.plans.items()
        }
        settings = workflow.resource_settings
        self.cores = settings.cores or settings.nodes or 1
        self.on = f"{self.cores} cores" if workflow.local_exec else f"{self.cores} jobs at once"
        self.gpus = int(workflow.scheduler.resources.get("gpu", 0))
        self.unknown = False  # whether there is a job of which nothing is known
        self._logs: dict[int, list[str]] = {}  # of each job
        self._of: dict[int, tuple[str, str]] = {}  # the plan and the stage of a job
        self.jobs = self._jobs(workflow.dag)
        name = " ".join(dict.fromkeys(plan.dataset for plan in plans))
        self.reporter = Reporter(name, self.jobs, self.left, warnings=self.warnings)
        self.expected = self.left(self.jobs, {})
        self._begin = time.monotonic()

    def begin(self, settings: Any) -> None:
        """Follow the run; show progress, unless the user has said what Snakemake is to print."""
        quiet = settings.quiet or settings.verbose or settings.printshellcmds
        self.reporter.begin(show=not quiet)

    def end(self) -> Iterator[str]:
        """Let Snakemake print its last messages; write the ledgers, a sentence about each."""
        self.reporter.close()
        took = time.monotonic() - self._begin
        for path, plan in self.plans.items():
            expected, seen = (self._by_stage(path, each) for each in self._seconds())
            stages = ledger.rows(plan, self.forecasts[path], expected, seen)
            if stages:
                said = ledger.content(plan.dataset, self.expected, took, self.on, stages)
                yield f"{ledger.sentence(said)}; by stage: {ledger.write(plan, said)}"

    def left(self, jobs: Mapping[int, Job], running: Mapping[int, float]) -> float | None:
        """Seconds until the last of some jobs ends; None where a stage was never measured."""
        return None if self.unknown else makespan(jobs.values(), self.cores, self.gpus, running)

    def warnings(self, number: int) -> Iterator[str]:
        """The lines of a job's log that begin with its stage and a scan: what is unusual there."""
        begin = f"{self._of[number][1]} of "
        for path in self._logs[number]:
            with suppress(OSError, ValueError):
                lines = Path(path).read_text(encoding="utf-8").splitlines()
                yield from (line for line in lines if line.startswith(begin))

    def _seconds(self) -> tuple[dict[int, float], dict[int, float]]:
        """What each finished job was expected to take, and took."""
        took = self.reporter.took
        return {number: self.jobs[number].seconds for number in took}, took

    def _by_stage(self, path: str, seconds: Mapping[int, float]) -> dict[str, float]:
        found: defaultdict[str, float] = defaultdict(float)
        for number, each in seconds.items():
            of, stage = self._of[number]
            if of == path:
                found[stage] += each
        return found

    def _jobs(self, dag: Any) -> dict[int, Job]:
        needed = {job.jobid: job for job in dag.needrun_jobs()}
        found = {}
        for number, job in needed.items():
            above = {each.jobid for each in dag.dependencies[job]} & needed.keys()
            stage = str(job.params.get("stage") or ("page" if job.output.get("page") else ""))
            self._of[number] = str(job.params.get("plan")), stage
            self._logs[number] = [*map(str, job.log)]
            seconds = self._expected(job, *self._of[number])
            gpu = int(job.resources.get("gpu") or 0)
            name = stage or job.rule.name
            found[number] = Job(number, name, seconds, job.threads, gpu, job.priority, above)
        return found

    def _expected(self, job: Any, path: str, stage: str) -> float:
        """What a job is expected to take; nothing if that is unknown."""
        forecast = self.forecasts.get(path, {}).get(stage)
        if forecast is None:
            return EACH
        names = {Path(each).name.partition(".")[0] for each in job.output}
        if graph.stage(stage).over is Over.DATASET:
            names = {ONLY}
        seconds = forecast.of_job(names)
        self.unknown = self.unknown or seconds is None
        return EACH + (seconds or 0.0)
