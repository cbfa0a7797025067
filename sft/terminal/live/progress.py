"""How far a grid is, and what displays say of it: its experiments, what runs, what ended last, how long the rest may
take.

It is told what displays are told, and asked by them; every call is cheap enough for grids of 10,000 experiments.
"""

import itertools
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sft.experiments.running.display import RunningJob
from sft.experiments.running.schedule import Workload
from sft.experiments.running.stage_costs import StageCosts
from sft.experiments.running.stage_size import StageWork
from sft.pipeline.jobs import PlannedJob
from sft.runs.files import ID_DIGITS
from sft.runs.records import StatusRecord
from sft.runs.states import FAILED, FINISHED, STOPPED, UNDER_WAY, ExperimentState, reason
from sft.wording import duration, one_line

KEPT_ENDS = 20

ITEMS_PER_CHANGE = 20
"""How many stages that run, and kinds of those that wait, are looked at for each stage that begins or ends: a grid may
have thousands of both.
"""

COUNTED: tuple[ExperimentState, ...] = ("predicted", *FAILED, *STOPPED, *UNDER_WAY, "waiting")
"""Beside those that are done."""


@dataclass(frozen=True)
class TimeLeft:
    """How long the rest of a grid may take."""

    seconds: float
    at_least: bool
    """Whether stages are left of which nothing is known yet."""


class GridProgress:
    """Follows the jobs of a grid."""

    def __init__(self, costs: StageCosts) -> None:
        """Take the costs, which learn elsewhere from the jobs that end."""
        self.costs = costs
        self.experiments: Mapping[str, Sequence[PlannedJob]] = {}
        self.states: dict[str, ExperimentState] = {}
        self.counts: Counter[ExperimentState] = Counter()
        self.running: dict[Path, RunningJob] = {}
        """All that was submitted and has not ended."""
        self._placed: dict[Path, RunningJob] = {}
        """Of these the ones that have a place: they alone get on."""
        self.statuses: dict[str, StatusRecord] = {}
        """The last end of a stage, of experiments that had one in this run; a failure stays."""
        self.spent: dict[str, float] = {}
        """Seconds that the stages of an experiment took in this run, shared ones too."""
        self.last_ended: deque[str] = deque(maxlen=KEPT_ENDS)
        """Experiments that ended, the latest last."""
        self._users: dict[Path, list[str]] = {}
        self._open: dict[Path, PlannedJob] = {}
        self._pending: Counter[StageWork] = Counter()
        self._paces: dict[Path, tuple[int, float]] = {}
        self._started: set[Path] = set()
        self._at_once = 1
        self._left: TimeLeft | None = None
        self._is_stale = True
        """Whether `_left` is to be worked out anew, however little has changed."""
        self._changes = 0
        """Stages that began or ended since it was worked out."""

    def began(self, work: Workload) -> None:
        """Take the experiments and their jobs that are to be done."""
        self.experiments = work.experiments
        self._open = dict(work.needed)
        for name, jobs in work.experiments.items():
            for job in jobs:
                self._users.setdefault(job.folder.path, []).append(name)
            self._move(name, "waiting" if any(job.folder.path in self._open for job in jobs) else "done")
        self._pending = Counter(map(self.costs.described, self._open.values()))
        self._is_stale = True

    def started(self, job: PlannedJob, status: StatusRecord) -> None:
        """A job was started."""
        path = job.folder.path
        self._take(path, RunningJob(job, status, None, 0.0))
        self._paces.pop(path, None)
        self._started.add(path)
        self._changes += 1
        self._count_running()
        for name in self.users(job):
            self._move(name, self._state_of(name))

    def ticked(self, running: Sequence[RunningJob]) -> None:
        """Take what has a place now."""
        for item in running:
            path, progress = item.job.folder.path, item.progress
            before = self.running.get(path)
            self._take(path, item)
            if before is None or before.status.state != item.status.state:
                for name in self.users(item.job):
                    self._put_back(name)
            if progress is not None and progress.total:
                self._paces.setdefault(path, (progress.step, item.seconds))
        self._is_stale = True
        self._count_running()

    def ended(self, job: PlannedJob, status: StatusRecord) -> None:
        """A job ended, will not start, or was put back."""
        path = job.folder.path
        self.running.pop(path, None)
        self._placed.pop(path, None)
        self._changes += 1
        if status.state in ("pending", *UNDER_WAY):
            for name in self.users(job):
                self._put_back(name)
            return
        if self._open.pop(path, None) is not None:
            work = self.costs.described(job)
            self._pending[work] -= 1
            if not self._pending[work]:
                del self._pending[work]
        for name in self.users(job):
            if self.was_started(job):
                self.statuses[name] = status
                self.spent[name] = self.spent.get(name, 0.0) + (status.seconds or 0.0)
            if status.state not in FINISHED or self._is_goal(name, path):
                self._end(name, status.state if status.state in (*FINISHED, *FAILED, *STOPPED) else "failed")
            else:
                self._put_back(name)

    def first_under_way(self, most: int) -> list[RunningJob]:
        """Jobs of experiments that were submitted and have not ended, those first that have a place.

        Args:
            most: how many; thousands may wait in a queue.
        """
        queued = (item for path, item in self.running.items() if path not in self._placed)
        items: Iterator[RunningJob] = itertools.chain(self._placed.values(), queued)
        return list(itertools.islice((item for item in items if self.users(item.job)), max(0, most)))

    def users(self, job: PlannedJob) -> Sequence[str]:
        """The experiments that need a job."""
        return self._users.get(job.folder.path, ())

    def was_started(self, job: PlannedJob) -> bool:
        """Whether the job ran in this run."""
        return job.folder.path in self._started

    def job_of(self, name: str) -> RunningJob | None:
        """The job of an experiment that runs now, or is nearest to it."""
        found = (self.running.get(job.folder.path) for job in self.experiments.get(name, ()))
        under_way = [item for item in found if item is not None]
        return min(under_way, key=lambda item: UNDER_WAY.index(item.status.state), default=None)

    def seconds_left_of(self, item: RunningJob) -> float | None:
        """How long a running job may still take: by its pace, else by what others like it took."""
        progress, begun = item.progress, self._paces.get(item.job.folder.path)
        if progress is not None and begun is not None and progress.step > begun[0]:
            per_step = (item.seconds - begun[1]) / (progress.step - begun[0])
            return max(0.0, (progress.total - progress.step) * per_step)
        expected = self.costs.seconds(item.job)
        return None if expected is None else max(0.0, expected - item.seconds)

    def time_left(self) -> TimeLeft | None:
        """How long the rest may take with as many jobs at the same time as were seen; None while nothing is known."""
        if self._is_stale or self._changes * ITEMS_PER_CHANGE >= len(self._placed) + len(self._pending):
            self._left, self._is_stale, self._changes = self._estimate(), False, 0
        return self._left

    def _estimate(self) -> TimeLeft | None:
        rests = [self.seconds_left_of(item) for item in self._placed.values()]
        waits = self._pending - Counter(self.costs.described(item.job) for item in self._placed.values())
        costs = [(count, self.costs.seconds_of(work)) for work, count in waits.items()]
        known = [rest for rest in rests if rest is not None]
        waiting = [count * seconds for count, seconds in costs if seconds is not None]
        if not known and not waiting:
            return None
        seconds = max([(sum(known) + sum(waiting)) / self._at_once, *known])
        return TimeLeft(seconds, at_least=len(known) < len(rests) or len(waiting) < len(costs))

    def _take(self, path: Path, item: RunningJob) -> None:
        self.running[path] = item
        if item.status.state == "queued":
            self._placed.pop(path, None)
        else:
            self._placed[path] = item

    def _is_goal(self, name: str, path: Path) -> bool:
        return self.experiments[name][-1].folder.path == path

    def _put_back(self, name: str) -> None:
        self._move(name, self._state_of(name))

    def _state_of(self, name: str) -> ExperimentState:
        item = self.job_of(name)
        return "waiting" if item is None else item.status.state

    def _count_running(self) -> None:
        running = sum(item.status.state == "running" for item in self._placed.values())
        self._at_once = max(self._at_once, running)

    def _end(self, name: str, state: ExperimentState) -> None:
        if self.states[name] != state:
            self._move(name, state)
            self.last_ended.append(name)

    def _move(self, name: str, state: ExperimentState) -> None:
        before = self.states.get(name)
        if before is not None:
            self.counts[before] -= 1
        self.states[name] = state
        self.counts[state] += 1


def counts_text(progress: GridProgress) -> str:
    """The experiments by state: `12 of 40 done, 2 failed, 3 running, 23 waiting`."""
    counts = progress.counts
    parts = [f"{counts['done']} of {len(progress.experiments)} done"]
    return ", ".join(parts + [f"{counts[state]} {state}" for state in COUNTED if counts[state]])


def left_text(left: TimeLeft | None) -> str:
    """`about 12 min left`, or nothing while nothing is known."""
    if left is None:
        return ""
    return f"{'more than' if left.at_least else 'about'} {duration(left.seconds)} left"


def shared_name(progress: GridProgress, job: PlannedJob) -> str:
    """The name of a job's experiment with its fold, and how many more need the job: `name fold 2 (+3)`."""
    others = len(progress.users(job)) - 1
    fold = "" if job.record.fold is None else f" fold {job.record.fold}"
    return one_line(job.record.name) + fold + (f" (+{others})" if others > 0 else "")


def failure_line(progress: GridProgress, job: PlannedJob, status: StatusRecord) -> str | None:
    """`FAILED name [id8] at train: why`, or `RETRY ...` for a job that was put back.

    None for what did not fail, or fails, or was put back, only because of another job.
    """
    is_put_back = status.state == "pending" and status.error is not None
    if not progress.was_started(job) or (status.state not in FAILED and not is_put_back):
        return None
    users = progress.users(job)
    jobs = progress.experiments[users[0]] if users else (job,)
    word = "RETRY" if is_put_back else "FAILED"
    key = jobs[-1].record.key[:ID_DIGITS]
    return f"{word} {shared_name(progress, job)} [{key}] {reason(status)}"
