"""The runner with an executor that plays worker: what is run, in which order, and what is written about it."""

import json
import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from sft.exceptions import InternalError
from sft.experiments.executors.handle import Submission
from sft.experiments.executors.local.executor import LocalExecutor
from sft.experiments.executors.local.leases import Machine
from sft.experiments.running import board_refresh, runner
from sft.experiments.running.attempts import attempt
from sft.experiments.running.board_refresh import BoardFailure
from sft.experiments.running.runner import Runner
from sft.experiments.running.schedule import workload
from sft.experiments.running.settings import RunSettings, Surroundings
from sft.experiments.running.summary import RunSummary
from sft.pipeline.jobs import PlannedJob
from sft.runs.chains import Submission as ClusterSubmission
from sft.runs.chains import SubmittedTry
from sft.runs.files import ResultsFolder
from sft.runs.progress import ProgressRecord
from sft.runs.records import ErrorRecord, StatusRecord, read_job, read_status, write_record
from tests.support.fake_executor import FakeBoard, FakeExecutor, Shown, chain, fail, fail_times, job, run_on, succeed


def around(**more: Any) -> Surroundings:
    quick = {"backoff_seconds": 0.0, "tick_seconds": 0.01, "board_seconds": 0.0, "mask": str}
    return Surroundings(**{**quick, **more})


class Clock:
    """The runner's time, which passes by waits alone, whatever the machine is doing meanwhile."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(runner, "time", made)
    return made


def local(processes: FakeExecutor, machine: Machine | None = None) -> LocalExecutor:
    """The executor of this machine, with processes that are played."""
    return LocalExecutor(machine=machine or Machine(), processes=processes)


def run(
    results: ResultsFolder,
    jobs: list[PlannedJob] | dict[str, list[PlannedJob]],
    executor: FakeExecutor,
    display: Shown | None = None,
    surroundings: Surroundings | None = None,
    machine: Machine | None = None,
    beside: list[PlannedJob] | None = None,
    **settings: Any,
) -> RunSummary:
    experiments = jobs if isinstance(jobs, dict) else {"a": jobs}
    chosen = RunSettings(**settings)
    runner = Runner(
        results, local(executor, machine), display or Shown(), lambda: None, chosen, surroundings or around()
    )
    return runner.run(workload(experiments, beside=beside or ()))


def end_by(code: int, *, before: int) -> Any:
    """A worker that ends so until its attempt of this number succeeds."""
    return lambda submission: code if int(submission.attempt.path.name) < before else succeed(submission)


def signalled(*numbers: signal.Signals) -> Any:
    """Sends this process signals."""

    def send() -> None:
        for number in numbers:
            os.kill(os.getpid(), number)

    return send


def alone(*jobs: PlannedJob) -> dict[str, list[PlannedJob]]:
    """Each job an experiment of its own."""
    return {planned.folder.path.name: [planned] for planned in jobs}


def many(results: ResultsFolder, count: int) -> dict[str, list[PlannedJob]]:
    return alone(*(job(results, "infer", f"i{number}", config={"n": number}) for number in range(count)))


def status_of(planned: PlannedJob) -> StatusRecord:
    found = read_status(planned.folder.status)
    assert found is not None
    return found


def states(jobs: list[PlannedJob]) -> list[str | None]:
    found = [read_status(planned.folder.status) for planned in jobs]
    return [status and status.state for status in found]


def events(results: ResultsFolder) -> list[dict[str, Any]]:
    return [json.loads(line) for line in results.events.read_text().splitlines()]


def kinds(summary: RunSummary) -> dict[str, str | None]:
    return {path.name: status.error and status.error.kind for path, status in summary.failed.items()}


# what is run, and what is written


def test_stages_run_in_order_and_everything_is_written(results: ResultsFolder) -> None:
    jobs, executor, display = chain(results), FakeExecutor(), Shown()
    summary = run(results, jobs, executor, display)
    assert executor.order == ["t", "i", "e"]
    assert summary.reused | summary.finished == {planned.folder.path for planned in jobs}
    assert (summary.reused, summary.failed, summary.stopped_by, summary.machine) == (frozenset(), {}, None, None)
    assert states(jobs) == ["done"] * 3
    status = status_of(jobs[0])
    assert (status.attempt, status.pid, status.start, status.stage) == (1, 4711, "fresh", "train")
    assert (status.error, status.log) == (None, None)
    assert None not in (status.started, status.ended, status.seconds)
    assert display.lines == ["t running", "t done", "i running", "i done", "e running", "e done"]
    assert (display.closings, executor.closed) == (1, 1)
    assert read_job(jobs[1].folder.job) == jobs[1].record


def test_events_are_numbered_over_all_runs(results: ResultsFolder) -> None:
    jobs = chain(results)
    run(results, jobs, FakeExecutor({"i": fail()}))
    run(results, jobs, FakeExecutor(), retry_failed=True)
    written = events(results)
    assert [event["seq"] for event in written] == list(range(1, len(written) + 1))
    assert [(Path(event["job"]).name, event["state"], event["attempt"]) for event in written] == [
        ("t", "running", 1),
        ("t", "done", 1),
        ("i", "running", 1),
        ("i", "failed", 1),
        ("e", "failed", 1),
        ("i", "running", 2),
        ("i", "done", 2),
        ("e", "running", 1),
        ("e", "done", 1),
    ]
    assert [event["error"] for event in written if event["state"] == "failed"] == ["data", "data"]


@pytest.mark.parametrize(("kind", "again"), [("refused", ["i"]), ("exception", [])])
def test_a_job_that_another_process_worked_on_runs_again_by_the_same_command(
    results: ResultsFolder, kind: str, again: list[str]
) -> None:
    planned, executor = job(results, "infer", "i"), FakeExecutor()
    run(results, [planned], FakeExecutor({"i": fail(kind, "another process works in i")}))
    run(results, [planned], executor)
    assert executor.order == again


@pytest.mark.parametrize("name", ["status", "job", "progress", "manifest"])
def test_a_folder_in_the_place_of_a_record_is_moved_and_ends_no_grid(results: ResultsFolder, name: str) -> None:
    planned, display = job(results, "infer", "i"), Shown()
    place = getattr(planned.folder, name)

    def block(submission: Submission) -> int:
        if name == "status":
            place.unlink(missing_ok=True)
            (place / "kept").mkdir(parents=True)
        return succeed(submission)

    if name != "status":
        (place / "kept").mkdir(parents=True)
    summary = run(results, [planned], FakeExecutor({"i": block}), display)
    assert summary.reused | summary.finished == {planned.folder.path}
    (said,) = [line for line in display.said if "was a folder" in line]
    assert (Path(said.rpartition(" ")[2]) / "kept").is_dir()


def test_the_same_jobs_again_start_nothing(results: ResultsFolder) -> None:
    jobs, display = chain(results), Shown()
    run(results, jobs, FakeExecutor())
    before = events(results)
    executor = FakeExecutor()
    summary = run(results, jobs, executor, display)
    assert (len(summary.reused), summary.ended, executor.order) == (3, {}, [])
    assert display.done == {planned.folder.path for planned in jobs}
    assert events(results) == before


def test_a_finished_experiment_does_not_train_again_when_its_adapter_was_removed(results: ResultsFolder) -> None:
    jobs = chain(results)
    run(results, jobs, FakeExecutor())
    (jobs[0].folder.path / "result.json").unlink()
    executor = FakeExecutor()
    summary = run(results, jobs, executor)
    assert (executor.order, len(summary.reused)) == ([], 3)


def test_metrics_of_a_model_that_was_run_need_no_adapter(results: ResultsFolder) -> None:
    jobs = chain(results)
    run(results, jobs, FakeExecutor())
    (jobs[0].folder.path / "result.json").unlink()
    jobs[2].folder.manifest.unlink()
    executor = FakeExecutor()
    run(results, jobs, executor)
    assert executor.order == ["e"]


def test_a_stage_that_is_no_longer_whole_runs_again_as_the_next_attempt(results: ResultsFolder) -> None:
    jobs = chain(results)[:2]
    run(results, jobs, FakeExecutor())
    (jobs[1].folder.path / "result.json").unlink()
    executor = FakeExecutor()
    run(results, jobs, executor)
    assert executor.order == ["i"]
    assert status_of(jobs[1]).attempt == 2
    assert [attempt.path.name for attempt in jobs[1].folder.attempts()] == ["01", "02"]


def test_attempts_go_on_after_the_hundredth_and_after_a_folder_that_is_there(results: ResultsFolder) -> None:
    planned = job(results, "infer", "i")
    for number in (99, 100):
        planned.folder.attempt(number).path.mkdir(parents=True)
    run(results, [planned], FakeExecutor())
    assert status_of(planned).attempt == 101
    assert planned.folder.attempts()[-1].path.name == "101"


def test_nothing_of_the_last_try_is_left_when_a_job_is_submitted(results: ResultsFolder) -> None:
    planned = job(results, "evaluate", "e", with_metrics=False)
    run(results, [planned], FakeExecutor())
    write_record(planned.folder.progress, ProgressRecord("evaluate", 1, 1, None, 0.0))
    seen: list[bool] = []

    def look(submission: Submission) -> int:
        seen.extend(path.exists() for path in (submission.folder.manifest, submission.folder.progress))
        return succeed(submission)

    executor = FakeExecutor({"e": look})
    run(results, [job(results, "evaluate", "e")], executor)
    assert seen == [False, False]


def test_every_log_of_a_job_whose_runner_was_killed_is_masked(results: ResultsFolder) -> None:
    planned = job(results, "train", "t")
    write_record(planned.folder.status, StatusRecord("running", planned.record.stage, attempt=1))
    killed, by_hand = planned.folder.attempt(1), planned.folder.attempt(2)
    for attempt_folder in (killed, by_hand):
        attempt_folder.path.mkdir(parents=True)
    killed.stderr.write_text("a canary sings\n")
    run(results, [planned], FakeExecutor(), surroundings=around(mask=lambda text: text.replace("canary", "***")))
    assert killed.stderr.read_text() == "a *** sings\n"


def test_equal_folders_run_once_under_the_first_name(results: ResultsFolder) -> None:
    first, second = (job(results, "infer", "same", name=name) for name in ("first", "second"))
    executor = FakeExecutor()
    summary = run(results, {"first": [first], "second": [second]}, executor)
    assert executor.order == ["same"]
    assert (len(summary.ended), read_job(first.folder.job).name) == (1, "first")


def test_code_0_is_not_enough_and_an_old_manifest_does_not_count(results: ResultsFolder) -> None:
    evaluate = job(results, "evaluate", "e")
    predicted = job(results, "evaluate", "e", with_metrics=False)
    run(results, [predicted], FakeExecutor())
    assert states([evaluate]) == ["predicted"]
    summary = run(results, [evaluate], FakeExecutor({"e": lambda _: 0}))
    assert (states([evaluate]), kinds(summary)) == (["failed"], {"e": "no_result"})
    assert not predicted.is_done


def test_a_valid_manifest_counts_more_than_the_exit_code(results: ResultsFolder) -> None:
    planned = job(results, "infer", "i")
    run(results, [planned], FakeExecutor({"i": lambda submission: succeed(submission) or -signal.SIGSEGV}))
    assert states([planned]) == ["done"]


def test_metrics_after_predictions_run_the_evaluate_stage_again(results: ResultsFolder) -> None:
    predicted = job(results, "evaluate", "e", with_metrics=False)
    run(results, [predicted], FakeExecutor())
    executor = FakeExecutor()
    run(results, [job(results, "evaluate", "e")], executor)
    assert (executor.order, states([predicted])) == (["e"], ["done"])
    assert len(run(results, [predicted], FakeExecutor()).reused) == 1


# several at a time


def test_jobs_run_side_by_side_each_with_its_share_of_the_cores(results: ResultsFolder) -> None:
    executor = FakeExecutor()
    machine = Machine(jobs=2, cores=(0, 1, 2, 3), n_cores=4)
    summary = run(results, many(results, 5), executor, machine=machine)
    assert len(summary.reused | summary.finished) == 5
    assert max(map(len, executor.together)) == 2
    assert {(lease.cores, lease.threads) for lease in executor.leases.values()} == {((0, 1), 2), ((2, 3), 2)}


def test_no_slot_waits_for_a_shared_stage_while_other_jobs_are_ready(results: ResultsFolder) -> None:
    shared = job(results, "train", "shared", config={"n": 0})
    experiments = {
        str(number): [shared, job(results, "infer", f"i{number}", shared, config={"n": 0})] for number in range(4)
    } | alone(*(job(results, "infer", f"own{number}", config={"n": 1 + number}) for number in range(2)))
    executor = FakeExecutor({"shared": run_on})

    def end_shared_last() -> None:
        if len(executor.order) == 3 and executor.handles[0].code is None:
            executor.handles[0].code = succeed(executor.handles[0].submission)

    executor.while_waiting = end_shared_last
    run(results, experiments, executor, machine=Machine(jobs=2))
    assert executor.order[:3] == ["shared", "own0", "own1"]
    assert executor.together[:2] == [{"shared", "own0"}, {"shared", "own1"}]
    assert sorted(executor.order[3:]) == ["i0", "i1", "i2", "i3"]


# failures


def test_a_failure_fails_what_needs_it_with_its_error_and_log_and_the_rest_goes_on(results: ResultsFolder) -> None:
    broken, sound = chain(results, "1"), chain(results, "2", config={"other": 1})
    executor = FakeExecutor({"t1": fail()})
    summary = run(results, {"broken": broken, "sound": sound}, executor)
    assert executor.order == ["t1", "t2", "i2", "e2"]
    assert set(summary.failed) == {planned.folder.path for planned in broken}
    assert (states(broken), states(sound)) == (["failed"] * 3, ["done"] * 3)
    status = status_of(broken[2])
    assert (status.stage, status.error) == ("train", ErrorRecord("data", "no rows"))
    assert status.log == "stages/train/t1/attempts/01/stderr.log"


@pytest.mark.parametrize(("code", "kind"), [(0, "no_result"), (1, "crash"), (-9, "killed"), (139, "crash")])
def test_a_worker_that_leaves_no_word_is_judged_by_its_exit_code(results: ResultsFolder, code: int, kind: str) -> None:
    summary = run(results, [job(results, "infer", "i")], FakeExecutor({"i": lambda _: code}), retries=0)
    assert kinds(summary) == {"i": kind}


def test_what_the_executor_says_of_a_job_counts_before_its_code(results: ResultsFolder) -> None:
    executor = FakeExecutor({"i": run_on})

    def lose() -> None:
        executor.handles[-1].error, executor.handles[-1].code = ErrorRecord("crash", "it did not start"), -9

    executor.while_waiting = lose
    assert kinds(run(results, [job(results, "infer", "i")], executor)) == {"i": "crash"}


def test_a_passing_fault_is_tried_again_in_a_new_attempt(results: ResultsFolder) -> None:
    planned, display = job(results, "infer", "i"), Shown()
    executor = FakeExecutor({"i": fail_times(2)})
    summary = run(results, [planned], executor, display, retries=2)
    assert (executor.order, summary.failed, states([planned])) == (["i"] * 3, {}, ["done"])
    assert display.lines == ["i running", "i pending", "i running", "i pending", "i running", "i done"]
    assert status_of(planned).attempt == 3


def test_a_backoff_keeps_no_slot_and_does_not_spin(results: ResultsFolder, clock: Clock) -> None:
    executor = FakeExecutor({"i0": fail_times(1)})

    def wait() -> None:
        clock.now += 0.0 if executor.together[-1] else executor.timeouts[-1]

    executor.while_waiting = wait
    run(results, many(results, 3), executor, surroundings=around(backoff_seconds=0.3))
    assert executor.order == ["i0", "i1", "i2", "i0"]
    assert len(executor.timeouts) < 60


def test_a_job_whose_wait_is_over_does_not_make_the_loop_spin_while_the_slots_are_full(
    results: ResultsFolder, clock: Clock
) -> None:
    experiments = many(results, 2)
    executor = FakeExecutor({"i0": fail_times(1), "i1": run_on})

    def wait() -> None:
        clock.now += executor.timeouts[-1]
        if len(executor.timeouts) > 8:
            executor.handles[1].code = succeed(executor.handles[1].submission)

    executor.while_waiting = wait
    run(results, experiments, executor, surroundings=around(backoff_seconds=0.02, tick_seconds=0.1))
    assert executor.order == ["i0", "i1", "i0"]
    assert sum(timeout == 0 for timeout in executor.timeouts) < 5


def test_a_lasting_fault_is_not_tried_again_but_by_request(results: ResultsFolder) -> None:
    jobs = chain(results)
    run(results, jobs, FakeExecutor({"i": fail()}))
    executor, display, before = FakeExecutor(), Shown(), events(results)
    summary = run(results, jobs, executor, display)
    assert (executor.order, events(results)) == ([], before)
    assert kinds(summary) == {"i": "data", "e": "data"}
    assert summary.earlier == set(summary.failed)
    assert (states(jobs), display.said) == (
        ["done", "failed", "failed"],
        ["done 0, retry 0, new 0, waiting for --retry-failed 1"],
    )
    executor = FakeExecutor()
    run(results, jobs, executor, retry_failed=True)
    assert (executor.order, states(jobs)) == (["i", "e"], ["done"] * 3)


@pytest.mark.parametrize("kind", ["network", "killed", "oom_host", "crash", "no_result", "disk_full", "checkpoint"])
def test_a_fault_that_may_be_gone_is_tried_again_by_the_next_run(results: ResultsFolder, kind: str) -> None:
    jobs = chain(results)
    run(results, jobs, FakeExecutor({"t": fail(kind)}), retries=0)
    executor = FakeExecutor()
    run(results, jobs, executor)
    assert executor.order == ["t", "i", "e"]


def test_a_job_that_was_running_when_its_runner_was_killed_runs_again_and_its_logs_are_masked(
    results: ResultsFolder,
) -> None:
    planned = job(results, "infer", "i")
    planned.folder.attempt(1).path.mkdir(parents=True)
    planned.folder.attempt(1).stderr.write_text("the word is canary\n")
    write_record(planned.folder.status, StatusRecord("running", "infer", attempt=1, memory_step=2))
    run(results, [planned], FakeExecutor(), surroundings=around(mask=lambda text: text.replace("canary", "***")))
    assert planned.folder.attempt(1).stderr.read_text() == "the word is ***\n"
    assert (status_of(planned).attempt, read_job(planned.folder.job).memory_step) == (2, 2)


def test_what_a_cluster_has_of_an_earlier_run_is_said_to_be_given_up_for_this_machine(results: ResultsFolder) -> None:
    jobs, display = chain(results), Shown()
    for planned in jobs[:2]:
        planned.folder.attempt(1).path.mkdir(parents=True)
        write_record(planned.folder.status, StatusRecord("queued", planned.record.stage, attempt=1))
        record = ClusterSubmission("slurm", "sft-t-01", "chain.json", "7", outlives_runner=True)
        write_record(SubmittedTry(planned.folder.attempt(1).path).submission, record)
    run(results, jobs, FakeExecutor(), display)
    assert states(jobs) == ["done"] * 3
    left = "2 stages that an earlier run left to slurm will run on this machine; what slurm has of this is given up"
    assert left in display.said


def test_fail_fast_starts_nothing_after_a_failure_and_lets_what_runs_end(results: ResultsFolder) -> None:
    executor = FakeExecutor({"i0": fail()})
    machine = Machine(jobs=2)
    summary = run(results, many(results, 6), executor, machine=machine, fail_fast=True)
    assert executor.order == ["i0", "i1"]
    assert kinds(summary) == {"i0": "data"}
    assert summary.halted is not None
    assert "--fail-fast" in summary.halted


def test_what_fails_beside_the_experiments_holds_none_of_them_up(results: ResultsFolder) -> None:
    beside = [job(results, "baseline", f"b{number}") for number in range(7)]
    executor = FakeExecutor({planned.record.key: fail("exception", "a bug") for planned in beside})
    summary = run(results, many(results, 2), executor, beside=beside, fail_fast=True)
    assert executor.order == [*(planned.record.key for planned in beside), "i0", "i1"]
    assert (summary.halted, len(summary.failed)) == (None, 7)
    assert {path.name for path in summary.finished} == {"i0", "i1"}
    again = FakeExecutor()
    run(results, many(results, 2), again, beside=beside)
    assert again.order == []
    run(results, many(results, 2), again, beside=beside, retry_failed=True)
    assert again.order == [planned.record.key for planned in beside]


def test_what_ran_beside_the_experiments_when_the_runner_was_killed_runs_again(results: ResultsFolder) -> None:
    planned = job(results, "baseline", "b")
    planned.folder.attempt(1).path.mkdir(parents=True)
    write_record(planned.folder.status, StatusRecord("running", "baseline", attempt=1))
    executor = FakeExecutor()
    run(results, {}, executor, beside=[planned])
    assert executor.order == ["b"]
    assert (status_of(planned).state, status_of(planned).attempt) == ("done", 2)


def test_crashes_in_a_row_on_start_stop_the_run(results: ResultsFolder) -> None:
    executor = FakeExecutor({f"i{number}": lambda _: -signal.SIGSEGV for number in range(9)})
    summary = run(results, many(results, 9), executor)
    assert len(executor.order) == 5
    assert "every experiment crashes on start" in (summary.halted or "")
    assert summary.machine is None


def test_crashes_after_a_first_step_do_not_stop_the_run(results: ResultsFolder) -> None:
    def crash(submission: Submission) -> int:
        write_record(submission.folder.progress, ProgressRecord("infer", 1, 9, None, 0.0))
        return -signal.SIGSEGV

    executor = FakeExecutor({f"i{number}": crash for number in range(9)})
    assert run(results, many(results, 9), executor).halted is None
    assert len(executor.order) == 9


def test_a_full_disk_in_a_worker_stops_the_run(results: ResultsFolder) -> None:
    executor = FakeExecutor({"i0": fail("disk_full", "no space left while writing x")})
    summary = run(results, many(results, 3), executor)
    assert executor.order == ["i0"]
    assert summary.machine == (
        "no space left while writing x. Finished experiments are safe; free space and run the same command."
    )


def test_secrets_are_taken_out_of_errors_and_logs(results: ResultsFolder) -> None:
    planned = job(results, "infer", "i")
    executor = FakeExecutor({"i": fail(message="canary refused")})
    executor.while_waiting = lambda: planned.folder.attempt(1).stdout.write_text("a canary\n") and None
    run(results, [planned], executor, surroundings=around(mask=lambda text: text.replace("canary", "***")))
    error = status_of(planned).error
    assert error is not None
    assert error.message == "*** refused"
    assert planned.folder.attempt(1).stdout.read_text() == "a ***\n"


# memory


def test_the_ladder_is_climbed_until_it_fits_and_the_step_is_recorded(results: ResultsFolder) -> None:
    planned = job(results, "infer", "i")

    def play(submission: Submission) -> int:
        step = read_job(submission.folder.job).memory_step
        return succeed(submission) if step == 2 else fail("oom_gpu")(submission) or 0

    executor = FakeExecutor({"i": play})
    run(results, [planned], executor, surroundings=around(has_memory_step=lambda *_: True), retries=0)
    assert (states([planned]), status_of(planned).memory_step, len(executor.order)) == (["done"], 2, 3)


def test_on_oom_fail_fails(results: ResultsFolder) -> None:
    executor = FakeExecutor({"i": fail("oom_gpu")})
    ladder = around(has_memory_step=lambda *_: True)
    summary = run(results, [job(results, "infer", "i")], executor, surroundings=ladder, on_oom="fail")
    assert (kinds(summary), executor.order) == ({"i": "oom_gpu"}, ["i"])


def test_a_killed_job_is_tried_again_when_nothing_else_runs(results: ResultsFolder) -> None:
    executor = FakeExecutor({"i0": end_by(-9, before=2)})
    run(results, many(results, 5), executor, machine=Machine(jobs=3))
    assert executor.order[-1] == "i0"
    assert executor.together[-1] == {"i0"}


def test_a_job_that_shared_its_gpu_has_it_alone_before_it_needs_less(results: ResultsFolder) -> None:
    machine = Machine(jobs=4, gpus=("GPU-a", "GPU-b"), jobs_per_gpu=2, gpu_rest_seconds=0.0)
    steps: list[int] = []

    def play(submission: Submission) -> int:
        steps.append(read_job(submission.folder.job).memory_step)
        return fail("oom_gpu")(submission) or 0 if submission.attempt.path.name == "01" else succeed(submission)

    executor = FakeExecutor({"i0": play})
    ready = around(has_memory_step=lambda *_: True)
    run(results, many(results, 6), executor, surroundings=ready, machine=machine)
    assert steps == [0, 0]
    assert executor.together[-1] == {"i0"}


# stopping


@pytest.mark.parametrize(
    ("number", "state"),
    [
        (signal.SIGINT, "interrupted"),
        (signal.SIGTERM, "preempted"),
        (signal.SIGHUP, "preempted"),
        (signal.SIGUSR1, "preempted"),
        (signal.SIGUSR2, "preempted"),
    ],
)
def test_a_stop_signal_ends_the_running_jobs_and_starts_no_other(
    results: ResultsFolder, number: signal.Signals, state: str
) -> None:
    before = signal.getsignal(number)
    experiments = many(results, 4)
    executor = FakeExecutor({"i0": run_on, "i1": run_on})
    executor.while_waiting = lambda: os.kill(os.getpid(), number)
    summary = run(results, experiments, executor, machine=Machine(jobs=2))
    assert executor.order == ["i0", "i1"]
    assert [handle.stopped for handle in executor.handles] == [[30.0], [30.0]]
    jobs = [planned for jobs in experiments.values() for planned in jobs]
    assert states(jobs) == [state, state, None, None]
    assert (summary.stopped_by, summary.failed) == (number, {})
    assert signal.getsignal(number) is before
    executor = FakeExecutor()
    run(results, experiments, executor)
    assert states(jobs) == ["done"] * 4


def test_a_second_signal_ends_them_at_once(results: ResultsFolder) -> None:
    executor = FakeExecutor({"i0": run_on})

    def insist() -> None:
        executor.handles[0].heeds = False
        if len(executor.timeouts) in (1, 5):
            os.kill(os.getpid(), signal.SIGINT)

    executor.while_waiting = insist
    run(results, many(results, 1), executor)
    assert executor.handles[0].stopped == [30.0, 0.0]


def test_a_second_hangup_is_no_second_request(results: ResultsFolder) -> None:
    executor = FakeExecutor({"i0": run_on})
    executor.while_waiting = lambda: (
        [os.kill(os.getpid(), number) for number in (signal.SIGHUP, signal.SIGHUP)] and None
    )
    run(results, many(results, 1), executor)
    assert executor.handles[0].stopped == [30.0]


def test_signals_that_are_ignored_stay_ignored(results: ResultsFolder) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        executor = FakeExecutor()
        executor.while_waiting = lambda: os.kill(os.getpid(), signal.SIGHUP)
        assert run(results, many(results, 1), executor).stopped_by is None
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_job_that_finishes_in_spite_of_the_signal_is_done(results: ResultsFolder) -> None:
    def finish_under_a_signal(submission: Submission) -> int:
        os.kill(os.getpid(), signal.SIGTERM)
        return succeed(submission)

    experiments = many(results, 2)
    summary = run(results, experiments, FakeExecutor({"i0": finish_under_a_signal}))
    assert (states(experiments["i0"] + experiments["i1"]), summary.failed) == (["done", None], {})


def test_a_job_that_fails_in_spite_of_the_signal_has_failed(results: ResultsFolder) -> None:
    executor = FakeExecutor({"i0": run_on})

    def fail_when_stopped() -> None:
        (handle,) = executor.handles
        if handle.stopped:
            fail()(handle.submission)
        else:
            os.kill(os.getpid(), signal.SIGTERM)

    executor.while_waiting = fail_when_stopped
    assert kinds(run(results, many(results, 1), executor)) == {"i0": "data"}


def test_a_job_that_someone_else_stopped_is_tried_again(results: ResultsFolder) -> None:
    executor = FakeExecutor({"i0": end_by(75, before=3)})
    summary = run(results, many(results, 1), executor, retries=0)
    assert (len(executor.order), summary.failed) == (3, {})


def test_outside_the_main_thread_there_are_no_signals_to_heed(results: ResultsFolder) -> None:
    executor = FakeExecutor()
    thread = threading.Thread(target=lambda: run(results, many(results, 1), executor))
    thread.start()
    thread.join()
    assert executor.closed == 1


# limits


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stacks are written in no time."""
    monkeypatch.setattr(attempt, "DUMP_SECONDS", 0.0)


@pytest.mark.usefixtures("at_once")
def test_a_stage_over_its_time_is_ended_after_its_stacks(results: ResultsFolder) -> None:
    planned = job(results, "infer", "i")
    executor = FakeExecutor({"i": run_on})
    summary = run(results, [planned], executor, timeout=0.01, grace=7.0)
    assert (executor.handles[0].dumped, executor.handles[0].stopped) == (1, [7.0])
    assert states([planned]) == ["timeout"]
    assert summary.failed[planned.folder.path].error == ErrorRecord(
        "timeout", "infer ran longer than 0.01 s (timeout)"
    )


def test_what_is_finished_at_the_limit_is_done(results: ResultsFolder) -> None:
    planned = job(results, "infer", "i")
    executor = FakeExecutor({"i": run_on})

    def finish_at_the_limit() -> None:
        succeed(executor.handles[0].submission)

    executor.while_waiting = finish_at_the_limit
    run(results, [planned], executor, timeout=0.01)
    assert (states([planned]), executor.handles[0].dumped) == (["done"], 0)


def test_a_job_that_waits_for_its_process_is_not_over_its_time(results: ResultsFolder, clock: Clock) -> None:
    planned = job(results, "infer", "i")
    executor = FakeExecutor({"i": run_on})

    def start_at_last() -> None:
        clock.now += 60.0
        (handle,) = executor.handles
        waits = len(executor.timeouts)
        handle.pid = None if waits < 30 else 4711
        if waits == 32:
            handle.code = succeed(handle.submission)

    executor.while_waiting = start_at_last
    run(results, [planned], executor, timeout=200.0)
    assert executor.handles[0].stopped == []
    assert status_of(planned).seconds == 180.0, "from the last look at which it had no process"


@pytest.mark.usefixtures("at_once")
def test_no_progress_is_a_stall_but_not_before_the_first_line(results: ResultsFolder) -> None:
    planned = job(results, "infer", "i")
    executor = FakeExecutor({"i": run_on})
    waits = 0

    def hello_at_last() -> None:
        nonlocal waits
        waits += 1
        if waits == 4:
            assert executor.handles[0].stopped == []
            write_record(planned.folder.progress, ProgressRecord("infer", 0, 0, None, 0.0))

    executor.while_waiting = hello_at_last
    summary = run(results, [planned], executor, stall_timeout=0.02)
    error = summary.failed[planned.folder.path].error
    assert error is not None
    assert (error.kind, states([planned])) == ("stall", ["timeout"])
    assert "no progress for 0.02 s (stall_timeout)" in error.message
    assert executor.handles[0].dumped == 1


# what the runner itself can meet


def test_a_bug_stops_all_jobs_and_leaves_a_log(results: ResultsFolder) -> None:
    before = signal.getsignal(signal.SIGTERM)

    def explode(_submission: Submission) -> int:
        raise KeyError("a bug")

    executor, display = FakeExecutor({"i": explode}), Shown()
    with pytest.raises(InternalError, match="KeyError") as error:
        run(results, [job(results, "infer", "i")], executor, display)
    assert error.value.exit_code == 4
    assert (executor.closed, display.closings) == (1, 1)
    (log,) = results.path.glob("crash-*.log")
    assert "Traceback" in log.read_text()
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_fault_of_the_machine_ends_the_run_as_what_it_is(results: ResultsFolder) -> None:
    def explode(_submission: Submission) -> int:
        raise PermissionError(13, "Permission denied", "x")

    executor = FakeExecutor({"i": explode})
    with pytest.raises(PermissionError):
        run(results, [job(results, "infer", "i")], executor)
    assert executor.closed == 1


def test_the_board_is_refreshed_when_something_changed_and_its_failure_is_told_once(
    results: ResultsFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(board_refresh, "COST_SHARE", 0)
    boards: list[FakeBoard] = []

    def start() -> FakeBoard:
        boards.append(FakeBoard(BoardFailure("RuntimeError: no board")))
        return boards[-1]

    display = Shown()
    surroundings = around(tick_seconds=0.0)
    Runner(results, local(FakeExecutor()), display, start, RunSettings(), surroundings).run(workload(many(results, 4)))
    assert len(boards) > 1
    assert all(board.ended for board in boards)
    assert [line for line in display.said if "leaderboard" in line] == [
        "the leaderboard could not be written (RuntimeError: no board); the run goes on"
    ]


def test_a_board_that_never_ends_holds_up_no_job_and_none_is_started_beside_it(results: ResultsFolder) -> None:
    boards: list[FakeBoard] = []

    def start() -> FakeBoard:
        boards.append(FakeBoard(is_written=False))
        return boards[-1]

    runner = Runner(results, local(FakeExecutor()), Shown(), start, RunSettings(), around(tick_seconds=0.0))
    assert len(runner.run(workload(many(results, 4))).ended) == 4
    assert [board.ended for board in boards] == [True]


def test_a_run_that_is_stopped_ends_its_board_after_it_has_passed_the_signal_on(results: ResultsFolder) -> None:
    executor, order = FakeExecutor({"i1": run_on}), []

    class Ordered(FakeBoard):
        def end(self) -> None:
            order.append(list(executor.handles[-1].stopped))

    def stop_once_a_board_is_written() -> None:
        if executor.order[-1] == "i1" and boards:
            signalled(signal.SIGTERM)()

    boards: list[Ordered] = []

    def start() -> Ordered:
        assert not order, "it was started after the signal"
        boards.append(Ordered(is_written=False))
        return boards[-1]

    executor.while_waiting = stop_once_a_board_is_written
    Runner(results, local(executor), Shown(), start, RunSettings(), around(tick_seconds=0.0)).run(
        workload(many(results, 2))
    )
    assert order[0] == [RunSettings().grace]


def test_the_display_is_told_what_runs(results: ResultsFolder) -> None:
    planned, display = job(results, "infer", "i"), Shown()

    def report(submission: Submission) -> int:
        write_record(submission.folder.progress, ProgressRecord("infer", 3, 9, 0.5, 0.0))
        return succeed(submission)

    executor = FakeExecutor({"i": run_on})

    def step() -> None:
        if len(display.ticks) == 2:
            executor.handles[0].code = report(executor.handles[0].submission)
        elif executor.handles:
            write_record(planned.folder.progress, ProgressRecord("infer", 3, 9, 0.5, 0.0))

    executor.while_waiting = step
    run(results, [planned], executor, display)
    (shown,) = display.ticks[1]
    assert shown.progress == ProgressRecord("infer", 3, 9, 0.5, 0.0)
    assert (shown.job, shown.status.state) == (planned, "running")
