"""What runs is looked at when a limit may be passed, and asked to end with the run."""

import signal
from pathlib import Path
from typing import cast

import pytest

from sft.experiments.executors.protocol import Handle, JobAttempt, Lease, Outcome, Placement
from sft.experiments.running.attempts.active_jobs import ActiveJobs
from sft.experiments.running.attempts.attempt import DUMP_SECONDS, Limits
from sft.experiments.running.log_files import LogSize
from sft.pipeline.jobs import PlannedJob
from sft.processes.signals import StopSignals
from sft.runs.attempts import begin_attempt
from sft.runs.files import JobFolder
from sft.runs.records import JobRecord, StatusRecord

NEVER = float("inf")


class FakeHandle:
    """A job that runs and notes what it is asked."""

    standing = "running"
    placement = Placement("here", Lease(), 1, "fresh")

    def __init__(self, job: JobAttempt) -> None:
        self.job = job
        self.graces: list[float] = []
        self.n_dumps = 0

    def outcome(self) -> Outcome | None:
        return None

    def stop(self, grace: float) -> None:
        self.graces.append(grace)

    def dump_stacks(self) -> None:
        self.n_dumps += 1


class FakeSignals:
    """Signals as they came."""

    def __init__(self) -> None:
        self.first: signal.Signals | None = None
        self.at_once = False
        self.heeded = False


@pytest.fixture
def said() -> list[str]:
    return []


def started(jobs: ActiveJobs, folder: Path, now: float) -> FakeHandle:
    job = JobFolder(folder)
    handle = FakeHandle(JobAttempt(job, begin_attempt(job)))
    planned = PlannedJob(job, JobRecord("train", folder.name, folder.name, {}, "", {}), ())
    jobs.add(planned, cast("Handle", handle), StatusRecord("running", "train", attempt=1), now)
    return handle


def test_the_next_limit_is_the_nearest_of_those_that_run(tmp_path: Path) -> None:
    jobs = ActiveJobs(Limits(timeout=10.0), grace=5.0, log_size=LogSize())
    assert jobs.next_limit == NEVER
    first, second = started(jobs, tmp_path / "a", 0.0), started(jobs, tmp_path / "b", 3.0)
    assert jobs.next_limit == 10.0
    jobs.check_limits(10.0)
    assert (first.n_dumps, first.graces, second.n_dumps) == (1, [], 0)
    assert jobs.next_limit == 10.0 + DUMP_SECONDS, "its stacks are written by then"
    jobs.check_limits(10.0 + DUMP_SECONDS)
    assert (first.graces, second.graces) == ([5.0], [])
    assert jobs.next_limit == 13.0, "what was asked to end has no limit any more"
    jobs.pop(cast("Handle", second))
    jobs.check_limits(20.0)
    assert (jobs.next_limit, len(jobs), second.n_dumps) == (NEVER, 1, 0)


def test_all_are_asked_once_to_end_with_the_run_and_again_to_end_at_once(tmp_path: Path, said: list[str]) -> None:
    jobs, signals = ActiveJobs(Limits(), grace=5.0, log_size=LogSize()), FakeSignals()
    handles = [started(jobs, tmp_path / name, 0.0) for name in "ab"]
    stops = cast("StopSignals", signals)
    assert not jobs.heed(stops, said.append)
    signals.first = signal.SIGTERM
    assert jobs.heed(stops, said.append)
    assert not jobs.heed(stops, said.append), "they know"
    signals.at_once = True
    assert jobs.heed(stops, said.append)
    assert [handle.graces for handle in handles] == [[5.0, 0.0]] * 2
    assert said == ["SIGTERM: stopping 2 running, at most 5 s; once more ends them at once"]
    assert signals.heeded
