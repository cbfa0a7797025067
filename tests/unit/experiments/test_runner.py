"""The runner with an executor that plays worker: what is run, in which order, and what is written about it."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sft.experiments.runner import Runner, RunSummary
from sft.pipeline.jobs import PlannedJob
from sft.runs.files import AttemptFolder, JobFolder, ResultsFolder
from sft.runs.manifest import write_manifest
from sft.runs.records import ErrorRecord, JobRecord, StatusRecord, read_job, read_status, write_record

Play = Callable[[JobFolder, AttemptFolder], int | None]


def succeed(job: JobFolder, _attempt: AttemptFolder) -> int:
    """A worker that does what its job says."""
    record = read_job(job.job)
    result = job.metrics if record.with_metrics and record.stage == "evaluate" else job.path / "result.json"
    result.parent.mkdir(parents=True, exist_ok=True)
    result.write_text("{}")
    write_manifest(job, [result])
    return 0


class FakeHandle:
    pid = 4711

    def __init__(self, job: JobFolder, code: int | None) -> None:
        self.job = job
        self.code = code
        self.stopped: list[float] = []

    def exit_code(self) -> int | None:
        return self.code

    def stop(self, grace: float) -> None:
        self.stopped.append(grace)
        self.code = -signal.SIGTERM


class FakeExecutor:
    """Plays each job when it is submitted; one that returns None runs until it is stopped."""

    def __init__(self, plays: dict[str, Play]) -> None:
        self.plays = plays
        self.handles: list[FakeHandle] = []
        self.while_waiting: Callable[[], None] = lambda: None

    @property
    def order(self) -> list[str]:
        return [handle.job.path.name for handle in self.handles]

    def submit(self, job: JobFolder, attempt: AttemptFolder) -> FakeHandle:
        attempt.path.mkdir(parents=True)
        attempt.stderr.write_text("first\nlast words\n")
        handle = FakeHandle(job, self.plays.get(job.path.name, succeed)(job, attempt))
        self.handles.append(handle)
        return handle

    def ended(self, _timeout: float) -> list[FakeHandle]:
        self.while_waiting()
        return []


class Shown:
    """A display that remembers."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def started(self, job: PlannedJob) -> None:
        self.lines.append(f"{job.folder.path.name} started")

    def ended(self, job: PlannedJob, status: StatusRecord) -> None:
        self.lines.append(f"{job.folder.path.name} {status.state}")


@pytest.fixture
def results(tmp_path: Path) -> ResultsFolder:
    return ResultsFolder(tmp_path)


def job(results: ResultsFolder, stage: Any, key: str, *needs: PlannedJob, name: str = "a", **more: Any) -> PlannedJob:
    folder = results.stage(stage, key)
    record = JobRecord(stage, key, name, config={}, config_folder="", fingerprints={}, **more)
    return PlannedJob(folder, record, tuple(need.folder.path for need in needs))


def chain(results: ResultsFolder, suffix: str = "") -> list[PlannedJob]:
    train = job(results, "train", f"t{suffix}")
    infer = job(results, "infer", f"i{suffix}", train)
    return [train, infer, job(results, "evaluate", f"e{suffix}", infer, train)]


def run(
    results: ResultsFolder, jobs: list[PlannedJob], executor: FakeExecutor, display: Shown | None = None
) -> RunSummary:
    return Runner(results, executor, display or Shown(), lambda: None).run(jobs)


def states(results: ResultsFolder, jobs: list[PlannedJob]) -> list[str | None]:
    found = [read_status(planned.folder.status) for planned in jobs]
    return [status and status.state for status in found]


def events(results: ResultsFolder) -> list[dict[str, Any]]:
    return [json.loads(line) for line in results.events.read_text().splitlines()]


def fail(kind: Any = "data", message: str = "no rows") -> Play:
    def play(_job: JobFolder, attempt: AttemptFolder) -> int:
        write_record(attempt.error, ErrorRecord(kind, message))
        return 11

    return play


def test_stages_run_in_order_and_everything_is_written(results: ResultsFolder) -> None:
    jobs, executor, display = chain(results), FakeExecutor({}), Shown()
    summary = run(results, jobs, executor, display)
    assert executor.order == ["t", "i", "e"]
    assert (summary.ran, summary.reused, summary.failed, summary.stopped_by) == (3, 0, {}, None)
    assert states(results, jobs) == ["done"] * 3
    status = read_status(jobs[0].folder.status)
    assert status is not None
    assert (status.attempt, status.pid, status.stage, status.error, status.log) == (1, 4711, "train", None, None)
    assert None not in (status.started, status.ended, status.seconds)
    assert [(event["job"], event["state"]) for event in events(results)][:3] == [
        ("stages/train/t", "running"),
        ("stages/train/t", "done"),
        ("stages/infer/i", "running"),
    ]
    assert display.lines == ["t started", "t done", "i started", "i done", "e started", "e done"]
    assert read_job(jobs[1].folder.job) == jobs[1].record


def test_the_same_jobs_again_start_nothing(results: ResultsFolder) -> None:
    jobs = chain(results)
    run(results, jobs, FakeExecutor({}))
    before = events(results)
    executor = FakeExecutor({})
    summary = run(results, jobs, executor)
    assert (summary.ran, summary.reused, executor.order) == (0, 3, [])
    assert events(results) == before


def test_a_stage_that_is_no_longer_whole_runs_again_as_the_next_attempt(results: ResultsFolder) -> None:
    jobs = chain(results)
    run(results, jobs, FakeExecutor({}))
    (jobs[1].folder.path / "result.json").unlink()
    executor = FakeExecutor({})
    run(results, jobs, executor)
    assert executor.order == ["i"]
    status = read_status(jobs[1].folder.status)
    assert status is not None
    assert status.attempt == 2
    assert [attempt.path.name for attempt in jobs[1].folder.attempts()] == ["01", "02"]


def test_equal_folders_run_once_under_the_first_name(results: ResultsFolder) -> None:
    first = job(results, "infer", "same", name="first")
    executor = FakeExecutor({})
    summary = run(results, [first, job(results, "infer", "same", name="second")], executor)
    assert executor.order == ["same"]
    assert (summary.ran, read_job(first.folder.job).name) == (1, "first")


def test_a_failure_fails_what_needs_it_with_its_error_and_log_and_the_rest_goes_on(results: ResultsFolder) -> None:
    broken, sound = chain(results, "1"), chain(results, "2")
    executor = FakeExecutor({"t1": fail()})
    summary = run(results, [*broken, *sound], executor)
    assert executor.order == ["t1", "t2", "i2", "e2"]
    assert set(summary.failed) == {planned.folder.path for planned in broken}
    assert states(results, broken) == ["failed"] * 3
    assert states(results, sound) == ["done"] * 3
    status = read_status(broken[2].folder.status)
    assert status is not None
    assert (status.stage, status.error) == ("train", ErrorRecord("data", "no rows"))
    assert status.log == "stages/train/t1/attempts/01/stderr.log"
    assert [event["error"] for event in events(results) if event["job"].endswith("e1")] == ["data"]
    assert summary.ran == 4


def test_a_failure_is_tried_again_by_the_next_run(results: ResultsFolder) -> None:
    jobs = chain(results)
    run(results, jobs, FakeExecutor({"i": fail()}))
    executor = FakeExecutor({})
    summary = run(results, jobs, executor)
    assert executor.order == ["i", "e"]
    assert (summary.reused, states(results, jobs)) == (1, ["done"] * 3)


@pytest.mark.parametrize(("code", "kind"), [(0, "no_result"), (1, "crash"), (-9, "killed"), (-11, "crash")])
def test_a_worker_that_leaves_no_word_is_judged_by_its_exit_code(results: ResultsFolder, code: int, kind: str) -> None:
    jobs = [job(results, "infer", "i")]
    summary = run(results, jobs, FakeExecutor({"i": lambda *_: code}))
    status = summary.failed[jobs[0].folder.path]
    assert status.error is not None
    assert (status.state, status.error.kind) == ("failed", kind)


def test_code_0_is_not_enough_and_an_old_manifest_does_not_count(results: ResultsFolder) -> None:
    evaluate = job(results, "evaluate", "e")
    succeed_with_predictions = job(results, "evaluate", "e", with_metrics=False)
    run(results, [succeed_with_predictions], FakeExecutor({}))
    assert states(results, [evaluate]) == ["predicted"]
    run(results, [evaluate], FakeExecutor({"e": lambda *_: 0}))
    assert states(results, [evaluate]) == ["failed"]
    assert not succeed_with_predictions.is_done


def test_metrics_after_predictions_run_the_evaluate_stage_again(results: ResultsFolder) -> None:
    predicted = job(results, "evaluate", "e", with_metrics=False)
    run(results, [predicted], FakeExecutor({}))
    executor = FakeExecutor({})
    run(results, [job(results, "evaluate", "e")], executor)
    assert (executor.order, states(results, [predicted])) == (["e"], ["done"])
    executor = FakeExecutor({})
    assert run(results, [predicted], executor).reused == 1


@pytest.mark.parametrize(
    ("number", "state"),
    [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "preempted"), (signal.SIGHUP, "preempted")],
)
def test_a_stop_signal_ends_the_running_job_and_starts_no_other(
    results: ResultsFolder, number: signal.Signals, state: str
) -> None:
    before = signal.getsignal(number)
    jobs = chain(results)
    executor = FakeExecutor({"i": lambda *_: None})
    executor.while_waiting = lambda: os.kill(os.getpid(), number)
    summary = run(results, jobs, executor)
    assert executor.order == ["t", "i"]
    assert executor.handles[-1].stopped == [30.0]
    assert states(results, jobs) == ["done", state, None]
    assert summary.stopped_by == number
    assert signal.getsignal(number) is before
    executor = FakeExecutor({})
    run(results, jobs, executor)
    assert (executor.order, states(results, jobs)) == (["i", "e"], ["done"] * 3)


def test_a_job_that_finishes_in_spite_of_the_signal_is_done(results: ResultsFolder) -> None:
    jobs = [job(results, "infer", "i"), job(results, "infer", "j")]

    def finish_under_a_signal(folder: JobFolder, attempt: AttemptFolder) -> int:
        os.kill(os.getpid(), signal.SIGTERM)
        return succeed(folder, attempt)

    summary = run(results, jobs, FakeExecutor({"i": finish_under_a_signal}))
    assert (states(results, jobs), summary.failed) == (["done", None], {})


def test_handlers_come_back_when_the_executor_breaks(results: ResultsFolder) -> None:
    before = signal.getsignal(signal.SIGTERM)

    def explode(*_: Any) -> int:
        raise OSError("no more processes")

    with pytest.raises(OSError, match="no more processes"):
        run(results, [job(results, "infer", "i")], FakeExecutor({"i": explode}))
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_board_is_refreshed_after_each_job(results: ResultsFolder) -> None:
    refreshed: list[list[str | None]] = []
    jobs = chain(results)
    Runner(results, FakeExecutor({}), Shown(), lambda: refreshed.append(states(results, jobs))).run(jobs)
    assert refreshed == [["done", None, None], ["done", "done", None], ["done"] * 3]
