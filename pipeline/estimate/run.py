"""A run of Snakemake, from its first job to its last: progress, and the ledger at its end."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.estimate import measured
from pipeline.estimate.forecast import Forecast, forecasts
from pipeline.estimate.reporter import Reporter
from pipeline.estimate.schedule import Job, makespan
from pipeline.plan import graph
from pipeline.plan.plan import Plan
from pipeline.stages.declaration import ONLY, Over


class Run:
    """The jobs of a run, with what each is expected to take."""

    def __init__(self, plans: Sequence[Plan], workflow: Any) -> None:
        """`workflow` is Snakemake's, whose jobs are known by now."""
        self.plans = {str(plan.path): plan for plan in plans}
        self.forecasts: dict[str, dict[str, Forecast]] = {
            path: forecasts(plan, measured=measured.read(plan)) for path, plan in self.plans.items()
        }
        self.cores = workflow.resource_settings.cores or workflow.resource_settings.nodes or 1
        self.gpus = int(workflow.scheduler.resources.get("gpu", 0))
        self.jobs = self._jobs(workflow.dag)
        self.known = all(job.seconds >= 0 for job in self.jobs.values())
        name = " ".join(dict.fromkeys(plan.dataset for plan in plans))
        self.reporter = Reporter(name, self.jobs, self.left)

    def begin(self, settings: Any) -> None:
        """Show progress, unless the user has said what Snakemake is to print."""
        if not (settings.quiet or settings.verbose or settings.printshellcmds):
            self.reporter.begin()

    def end(self) -> None:
        """Let Snakemake print its last messages."""
        self.reporter.close()

    def left(self, jobs: Mapping[int, Job], running: Mapping[int, float]) -> float | None:
        """Seconds until the last of some jobs ends; None where a stage was never measured."""
        return makespan(jobs.values(), self.cores, self.gpus, running) if self.known else None

    def _jobs(self, dag: Any) -> dict[int, Job]:
        needed = {job.jobid: job for job in dag.needrun_jobs()}
        found = {}
        for number, job in needed.items():
            above = {each.jobid for each in dag.dependencies[job]} & needed.keys()
            stage = str(job.params.get("stage") or ("page" if job.output.get("page") else ""))
            found[number] = Job(
                number,
                stage,
                self._seconds(job, stage),
                job.threads,
                int(job.resources.get("gpu") or 0),
                job.priority,
                above,
            )
        return found

    def _seconds(self, job: Any, stage: str) -> float:
        """What a job is expected to take; -1 if that is unknown."""
        forecast = self.forecasts.get(str(job.params.get("plan")), {}).get(stage)
        if forecast is None:
            return 0.0
        names = {Path(path).name.partition(".")[0] for path in job.output}
        if graph.stage(stage).over is Over.DATASET:
            names = {ONLY}
        seconds = forecast.of_job(names)
        return -1.0 if seconds is None else seconds
