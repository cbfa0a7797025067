"""What a plan would run in a results folder: what is done, what is needed, what failed and is left as it is."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from sft.experiments.planning.plan import GridPlan
from sft.experiments.reusing.other_results import NO_OTHERS, FoundStage, OtherResults
from sft.pipeline.exports import export_jobs
from sft.pipeline.job_graph import direct_needs, goals_beside, needed_jobs, unique_jobs
from sft.pipeline.jobs import ExperimentFolders, PlannedJob, baseline_jobs, jobs_of
from sft.runs.experiments import Standings
from sft.runs.files import ResultsFolder
from sft.runs.lock import lock_holder
from sft.runs.records import JOB_STAGES, StageName
from sft.runs.states import FINISHED, UNTRIED, Standing, runs_again


@dataclass(frozen=True)
class StageCounts:
    """The jobs of one stage: what all experiments ask for is the sum of what is to run, done, held up and shared.

    Attributes:
        asked: by the experiments, each for itself.
        to_run: by the next run.
        done: there already.
        shared: asked for again by another experiment.
        held_up: failed in a way that the next run would meet again, or waiting for such a job.
        reused: there in another results folder, from which the next run takes them.
    """

    asked: int
    to_run: int
    done: int
    shared: int
    held_up: int
    reused: int


@dataclass(frozen=True)
class PlannedRun:
    """The jobs of a plan and how they stand; every job is known by its folder."""

    experiments: dict[str, list[PlannedJob]]
    """Experiment name -> its jobs."""
    jobs: Mapping[Path, PlannedJob]
    """Every job once."""
    standings: Mapping[Path, Standing]
    done: frozenset[Path]
    to_run: Mapping[Path, PlannedJob]
    """What the next run would run."""
    left: Mapping[Path, PlannedJob]
    """What failed in a way that the next run would meet again, and what waits for it."""
    elsewhere: Mapping[Path, FoundStage]
    """What is not done here, and is in another results folder that the next run is to use."""

    @cached_property
    def owners(self) -> Mapping[Path, str]:
        """Job folder -> the first experiment that has the job."""
        return {job.folder.path: name for name, jobs in reversed(self.experiments.items()) for job in jobs}

    @cached_property
    def stopped_paths(self) -> frozenset[Path]:
        """The folders of `stopped`."""
        return frozenset(self.stopped())

    def counts(self) -> dict[StageName, StageCounts]:
        """Of each stage that an experiment asks for, in their order."""
        asked = Counter(job.record.stage for jobs in self.experiments.values() for job in jobs)
        there, to_run, left = (
            Counter(job.record.stage for job in jobs.values()) for jobs in (self.jobs, self.to_run, self.left)
        )
        reused = Counter(self.jobs[path].record.stage for path in self.elsewhere)
        return {
            stage: StageCounts(
                asked=asked[stage],
                to_run=to_run[stage],
                done=there[stage] - to_run[stage] - left[stage] - reused[stage],
                shared=asked[stage] - there[stage],
                held_up=left[stage],
                reused=reused[stage],
            )
            for stage in JOB_STAGES
            if asked[stage]
        }

    def stopped(self) -> dict[Path, Standing]:
        """The jobs that were tried and are not done."""
        return {
            path: standing
            for path, standing in self.standings.items()
            if standing.state not in (*FINISHED, *UNTRIED) and not self._is_copy(path, standing)
        }

    def _is_copy(self, path: Path, standing: Standing) -> bool:
        """Whether the status only repeats what stopped an earlier stage."""
        return standing.status is not None and standing.status.stage != self.jobs[path].record.stage


def planned_run(plan: GridPlan, results: ResultsFolder, others: OtherResults = NO_OTHERS) -> PlannedRun:
    """Look at the folder of every job of a plan, and at other results folders from which it may be taken."""
    return _planned(_jobs(plan, results), results, others)


def planned_baselines(plan: GridPlan, results: ResultsFolder, others: OtherResults = NO_OTHERS) -> PlannedRun:
    """The baselines beside the experiments of a plan, each as the only job of what is called by its key."""
    jobs = baseline_jobs(((planned.experiment, planned.keys) for planned in plan.experiments), results)
    return _planned({job.record.key: [job] for job in jobs}, results, others)


def planned_exports(plan: GridPlan, results: ResultsFolder, others: OtherResults = NO_OTHERS) -> PlannedRun:
    """The exports beside the experiments of a plan, each after its training in what is called by its folder."""
    exports = export_jobs(((planned.experiment, planned.keys) for planned in plan.experiments), results)
    return _planned(goals_beside(_jobs(plan, results), exports) if exports else {}, results, others)


def _planned(experiments: dict[str, list[PlannedJob]], results: ResultsFolder, others: OtherResults) -> PlannedRun:
    jobs = unique_jobs(experiments)
    standings = Standings(is_locked=lock_holder(results) is not None)
    found = {path: standings.of(job.folder) for path, job in jobs.items()}
    done = frozenset(path for path, job in jobs.items() if job.is_made_by(found[path].files))
    sought = ((path, others.find(job)) for path, job in jobs.items() if path not in done)
    elsewhere = {path: stage for path, stage in sought if stage is not None}
    needed = needed_jobs(experiments, lambda job: job.folder.path in done or job.folder.path in elsewhere)
    left = _left(needed, found)
    to_run = {path: job for path, job in needed.items() if path not in left}
    return PlannedRun(experiments, jobs, found, done, to_run, left, elsewhere)


def _jobs(plan: GridPlan, results: ResultsFolder) -> dict[str, list[PlannedJob]]:
    """The jobs of each experiment by its name."""
    folders = ExperimentFolders(results)
    return {
        planned.experiment.name: jobs_of(planned.experiment, planned.keys, folders, results, "metrics")
        for planned in plan.experiments
    }


def _left(needed: Mapping[Path, PlannedJob], standings: Mapping[Path, Standing]) -> dict[Path, PlannedJob]:
    left: dict[Path, PlannedJob] = {}
    for path, job in needed.items():
        status = standings[path].status
        fails_again = status is not None and not runs_again(status, job.record.stage)
        if fails_again or any(need in left for need in direct_needs(job, needed)):
            left[path] = job
    return left
