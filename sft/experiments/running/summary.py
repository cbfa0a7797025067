"""What a run leaves of a grid: what became of its jobs and experiments, and what did not have to be computed."""

import signal
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sft.pipeline.job_graph import Experiments, unique_jobs
from sft.pipeline.jobs import PlannedJob
from sft.runs.records import StatusRecord
from sft.runs.states import FAILED, FINISHED, STOPPED, WAITING, ExperimentState


@dataclass(frozen=True)
class Detached:
    """What a run left to a cluster when it ended on purpose before its jobs had."""

    executor: str
    chains: int
    """Submitted by this run."""
    stages: int
    """In those chains."""
    before: int
    """Stages that earlier runs submitted and that have not ended."""
    left_out: int
    """Stages that were not submitted, because as many wait or run as may."""


@dataclass
class RunSummary:
    """Jobs by their folders."""

    reused: frozenset[Path] = frozenset()
    """Had nothing to do, because they, or all that needs them, were done before."""

    ended: dict[Path, StatusRecord] = field(default_factory=dict)
    """Ran in this run, with the status that their last try left."""

    failed: dict[Path, StatusRecord] = field(default_factory=dict)
    """Failed or, with the status of the one that did, cannot run because of it."""

    earlier: frozenset[Path] = frozenset()
    """Those of `failed` that failed in an earlier run and were not tried again, with what needs them."""

    stopped_by: signal.Signals | None = None
    """The first signal that asked the run to end."""

    halted: str | None = None
    """Why nothing more was started, in one line; None when nothing held it up, or only a signal."""

    machine: str | None = None
    """What the machine must change, in one line, where that is what went wrong."""

    detached: Detached | None = None
    """What was left to a cluster; None where nothing was."""

    def leave(
        self, executor: str, handed: Mapping[Path, Path], active: Collection[Path], needed: Collection[Path]
    ) -> None:
        """Take note of what was left to a cluster.

        Args:
            executor: its name.
            handed: the folders of the jobs that this run submitted, and of the first try of their chain.
            active: those of the jobs that wait or run.
            needed: those of all jobs that were to be done.
        """
        over = {*active, *self.finished, *self.failed}
        before = sum(path not in handed for path in active)
        left_out = sum(path not in over for path in needed)
        self.detached = Detached(executor, len(set(handed.values())), len(handed), before, left_out)

    @property
    def finished(self) -> frozenset[Path]:
        """The jobs that have their results since this run."""
        return frozenset(path for path, status in self.ended.items() if status.state in FINISHED)


@dataclass(frozen=True)
class RunFacts:
    """What a run, or the files before it, tell of a grid."""

    experiments: Experiments
    """Name -> jobs in the order of their stages."""

    open: Collection[Path]
    """Folders of the jobs that are to be done."""

    statuses: Mapping[Path, StatusRecord] = field(default_factory=dict)
    """Job folder -> status, where there is one; of the done jobs too, for their seconds."""

    earlier: frozenset[Path] = frozenset()
    """Folders of the jobs that failed in an earlier run and were left alone in this one."""

    tried: frozenset[Path] = frozenset()
    """Folders of the jobs that ended in this run, to whatever end."""

    adopted: frozenset[Path] = frozenset()
    """Folders of the jobs that an earlier run submitted, and that this one takes over."""

    collected: frozenset[Path] = frozenset()
    """Folders of the jobs that ended with their results after the last run, while none watched them."""


@dataclass(frozen=True)
class ExperimentFacts:
    """How one experiment stands."""

    name: str
    id: str
    state: ExperimentState
    job: PlannedJob | None = None
    """The stage that it stands at; None where it is done."""

    status: StatusRecord | None = None
    """Of that stage."""


@dataclass(frozen=True)
class Reuse:
    """How often stages served that were not run for it."""

    stages: int
    """Uses of finished stages, less those that were run in this run or ended since the last one."""

    seconds: float
    """What these stages took when they ran, once for each such use."""


def experiment_facts(facts: RunFacts) -> list[ExperimentFacts]:
    """How each experiment stands."""
    return [_experiment(name, jobs, facts) for name, jobs in facts.experiments.items() if jobs]


def failed_beside(facts: RunFacts) -> dict[Path, StatusRecord]:
    """The failed jobs that no experiment waits for, which are baselines and exports, in this run or an earlier one.

    Args:
        facts: of the run, after its last job.
    """
    owned = unique_jobs(facts.experiments)
    found = ((path, facts.statuses.get(path)) for path in facts.open if path not in owned)
    return {path: status for path, status in found if status is not None and status.state in FAILED}


def reuse_of(facts: RunFacts) -> Reuse:
    """What was not computed because it was there; a stage that is new is paid once and saved for each further use."""
    n_uses, seconds = 0, 0.0
    paid: set[Path] = {*facts.tried, *facts.collected}
    for jobs in facts.experiments.values():
        for job in jobs:
            path = job.folder.path
            if path in facts.open:
                continue
            if path in paid:
                paid.remove(path)
                continue
            status = facts.statuses.get(path)
            n_uses += 1
            seconds += 0.0 if status is None or status.seconds is None else status.seconds
    return Reuse(n_uses, seconds)


def _experiment(name: str, jobs: Sequence[PlannedJob], facts: RunFacts) -> ExperimentFacts:
    goal = jobs[-1]
    is_open = goal.folder.path in facts.open  # else what is open of it is run for another, or to be exported
    blocking = next((job for job in jobs if job.folder.path in facts.open), None) if is_open else None
    if blocking is None:
        status = facts.statuses.get(goal.folder.path)
        state: ExperimentState = "predicted" if status is not None and status.state == "predicted" else "done"
        return ExperimentFacts(name, goal.record.key, state)
    path = blocking.folder.path
    status = facts.statuses.get(path)
    return ExperimentFacts(name, goal.record.key, _state(path, status, facts), blocking, status)


def _state(path: Path, status: StatusRecord | None, facts: RunFacts) -> ExperimentState:
    if path in facts.earlier:
        return WAITING
    if status is None or path not in facts.tried:
        return "not started"
    return status.state if status.state in (*FAILED, *STOPPED) else "not started"
