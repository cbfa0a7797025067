"""Workers and their guards: nothing outlives the runner, every end is told, no job sees another's process."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sft.experiments.executors import guarded_process, handle, start_limits, warm
from sft.experiments.executors.protocol import Lease
from sft.experiments.executors.start_limits import StartLimits
from sft.experiments.executors.warm import Preload
from sft.runs.progress import read_progress
from sft.runs.records import read_error, read_json_or_none
from tests.support.waiting import wait_until

SCRIPT = Path(__file__).parent / "executor_process.py"
MARK = "SFT_TEST_MARK"
Living = Callable[[], dict[int, str]]


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def marker(job: Any, name: str) -> Path:
    return Path(job.folder.path / f"marker-{name}")


def pid_in(job: Any, name: str) -> int:
    wait_until(marker(job, name).exists)
    return int(marker(job, name).read_text())


def run_until(executor: Any, condition: Callable[[], Any]) -> Any:
    """As the runner does: the executor is asked again and again."""

    def look() -> Any:
        executor.ended(0.02)
        return condition()

    return wait_until(look)


def stderr(job: Any) -> str:
    return str(job.attempt.stderr.read_text("utf-8", "replace"))


def test_a_job_runs_with_its_output_in_files_and_says_hello(jobs: Any, start: str) -> None:
    executor = jobs.executor(start)
    job = jobs.job("print_megabytes", megabytes=1)
    ended = jobs.run(executor, job)
    assert (ended.exit_code(), ended.error, ended.start, ended.submission) == (0, None, start, job)
    assert job.attempt.stdout.stat().st_size == 1_000_000
    assert job.attempt.stderr.read_bytes() == b"\xff\xfe\n"
    assert read_progress(job.folder.progress).step == 1
    assert ended.pid == pid_in(job, "started")
    assert jobs.said == []


def test_a_job_runs_from_another_thread_than_the_main_one(jobs: Any, start: str) -> None:
    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(lambda: jobs.run(jobs.executor(start), jobs.job("succeed"))).result()
    assert (ended.exit_code(), ended.error) == (0, None)


def test_jobs_of_one_executor_run_at_the_same_time_and_all_ends_are_told(jobs: Any, start: str) -> None:
    executor = jobs.executor(start)
    submitted = [jobs.job("sleep", key=f"k{number}") for number in range(4)]
    handles = [executor.submit(job) for job in submitted]
    run_until(executor, lambda: all(marker(job, "started").exists() for job in submitted))
    assert executor.ended(0.0) == []
    for job in reversed(submitted):
        marker(job, "go").touch()
    told: list[Any] = []
    wait_until(lambda: told.extend(executor.ended(0.1)) or len(told) == 4)
    assert {id(item) for item in told} == {id(item) for item in handles}
    assert [item.exit_code() for item in handles] == [0] * 4


@pytest.mark.parametrize("n_kills", [1, pytest.param(10, marks=pytest.mark.slow)])
def test_nothing_outlives_a_killed_runner__row_1(jobs: Any, start: str, n_kills: int, no_process_left: Living) -> None:
    for number in range(n_kills):
        job = jobs.job("spawn_setsid_grandchild", key=f"k{number}")
        command = [sys.executable, str(SCRIPT), start, str(job.folder.path), str(job.attempt.path)]
        with subprocess.Popen(command) as runner:
            try:
                pids = [pid_in(job, name) for name in ("started", "child", "grandchild")]
                wait_until(lambda pids=pids: set(pids) <= set(no_process_left()))
                assert os.getsid(pids[2]) == pids[2]
            finally:
                runner.kill()
        wait_until(lambda: not no_process_left(), 2.0)


def test_a_runner_that_closes_leaves_nothing__row_1(jobs: Any, start: str, no_process_left: Living) -> None:
    executor = jobs.executor(start)
    job = jobs.job("spawn_setsid_grandchild")
    submitted = executor.submit(job)
    run_until(executor, marker(job, "grandchild").exists)
    executor.close()
    assert not no_process_left()
    assert submitted.exit_code() == -signal.SIGKILL


def test_a_killed_worker_ends_by_its_signal__row_2(jobs: Any, start: str) -> None:
    executor = jobs.executor(start)
    first, second = jobs.job("kill_self"), jobs.job("succeed")
    assert [jobs.run(executor, job).exit_code() for job in (first, second)] == [-signal.SIGKILL, 0]
    assert read_error(first.attempt.error) is None


def test_the_stack_of_a_segfault_is_in_the_log__row_3(jobs: Any, start: str) -> None:
    job = jobs.job("segfault")
    assert jobs.run(jobs.executor(start), job).exit_code() == -signal.SIGSEGV
    assert "Segmentation fault" in stderr(job)
    assert "stub.py" in stderr(job)


def test_code_0_without_results_is_told_as_it_is__row_4(jobs: Any, start: str) -> None:
    job = jobs.job("exit0")
    ended = jobs.run(jobs.executor(start), job)
    assert (ended.exit_code(), ended.error) == (0, None)
    assert not job.folder.manifest.exists()


def test_a_worker_dies_with_its_guard__row_5(jobs: Any, start: str, no_process_left: Living) -> None:
    executor = jobs.executor(start)
    job = jobs.job("spawn_setsid_grandchild")
    submitted = executor.submit(job)
    run_until(executor, marker(job, "grandchild").exists)
    worker = pid_in(job, "started")
    os.kill(parent_of(worker), signal.SIGKILL)
    ended = jobs.end(executor, submitted)
    assert (ended.exit_code(), ended.error.kind) == (-signal.SIGKILL, "killed")
    assert "guard" in ended.error.message
    wait_until(lambda: worker not in no_process_left())
    os.kill(pid_in(job, "grandchild"), signal.SIGKILL)  # has a session of its own, and nobody is left to know it
    assert jobs.run(executor, jobs.job("succeed")).exit_code() == 0


def test_a_worker_dies_with_its_guard_though_nobody_acts__row_5(
    jobs: Any, start: str, no_process_left: Living
) -> None:
    job = jobs.job("sleep")
    command = [sys.executable, str(SCRIPT), start, str(job.folder.path), str(job.attempt.path)]
    with subprocess.Popen(command) as runner:
        try:
            worker = pid_in(job, "started")
            guard = parent_of(worker)
            os.kill(parent_of(guard), signal.SIGSTOP)  # the runner, or the server
            os.kill(guard, signal.SIGKILL)
            wait_until(lambda: worker not in no_process_left(), 2.0)
        finally:
            runner.kill()
    wait_until(lambda: not no_process_left(), 2.0)


def test_jobs_of_a_killed_server_are_lost_and_auto_goes_on_fresh__row_5(jobs: Any, no_process_left: Living) -> None:
    executor = jobs.executor("auto")
    job = jobs.job("spawn_setsid_grandchild")
    submitted = executor.submit(job)
    run_until(executor, marker(job, "grandchild").exists)
    server = parent_of(parent_of(pid_in(job, "started")))
    os.kill(server, signal.SIGKILL)
    ended = jobs.end(executor, submitted)
    assert (ended.exit_code(), ended.error.kind) == (-signal.SIGKILL, "killed")
    assert not no_process_left()
    assert jobs.run(executor, jobs.job("succeed")).start == "fresh"
    assert jobs.said == ["jobs start fresh from here on: the server of warm starts was ended by SIGKILL"]


def _stop_server(executor: Any, running: Any) -> None:
    """Have the server hang, below which a job runs, and the executor notice that soon."""
    run_until(executor, marker(running, "started").exists)
    os.kill(parent_of(parent_of(pid_in(running, "started"))), signal.SIGSTOP)
    executor._limits.fork = 0.2


def test_a_server_that_hangs_is_given_up_and_what_it_forked_goes_on__row_76(
    jobs: Any, no_process_left: Living
) -> None:
    executor = jobs.executor("auto")
    running = jobs.job("sleep")
    submitted = executor.submit(running)
    _stop_server(executor, running)
    handles = [executor.submit(jobs.job("succeed", key=key)) for key in "ab"]
    assert [(jobs.end(executor, item).exit_code(), item.start, item.error) for item in handles] == [
        (0, "fresh", None)
    ] * 2
    assert jobs.said == ["jobs start fresh from here on: the server of warm starts does not answer"]
    marker(running, "go").touch()
    assert (jobs.end(executor, submitted).exit_code(), submitted.start) == (0, "warm")
    run_until(executor, lambda: not no_process_left())


def test_warm_alone_fails_where_the_server_hangs_and_the_next_gets_another__row_76(jobs: Any) -> None:
    executor = jobs.executor("warm")
    running = jobs.job("sleep")
    submitted = executor.submit(running)
    _stop_server(executor, running)
    ended = jobs.run(executor, jobs.job("succeed", key="a"))
    assert ended.error.message == "warm start failed: the server of warm starts does not answer"
    executor._limits.fork = 20.0
    assert jobs.run(executor, jobs.job("succeed", key="b")).exit_code() == 0
    submitted.stop(0.0)
    assert jobs.end(executor, submitted, 5.0).exit_code() == -signal.SIGKILL


def test_a_job_that_a_server_that_hangs_never_started_is_stopped_at_once__row_76(jobs: Any) -> None:
    executor = jobs.executor("warm")
    running = jobs.job("sleep")
    executor.submit(running)
    _stop_server(executor, running)
    submitted = executor.submit(jobs.job("succeed"))
    submitted.stop(60.0)
    assert jobs.end(executor, submitted, 5.0).exit_code() == -signal.SIGTERM


def test_a_worker_that_ignores_the_request_is_killed_after_the_grace__row_10(jobs: Any, start: str) -> None:
    executor = jobs.executor(start)
    job = jobs.job("ignore_term")
    submitted = executor.submit(job)
    run_until(executor, marker(job, "ignoring").exists)
    submitted.stop(60.0)
    assert executor.ended(0.1) == []
    submitted.stop(0.2)
    assert jobs.end(executor, submitted, 5.0).exit_code() == -signal.SIGKILL


def test_a_request_is_heeded_within_the_grace__row_10(jobs: Any, start: str) -> None:
    executor = jobs.executor(start)
    saving, sleeping = jobs.job("save_on_term"), jobs.job("sleep")
    handles = [executor.submit(job) for job in (saving, sleeping)]
    run_until(executor, lambda: marker(saving, "working").exists() and marker(sleeping, "started").exists())
    for submitted in handles:
        submitted.stop(30.0)
        assert jobs.end(executor, submitted).exit_code() == 75
    assert marker(saving, "saved").exists()
    assert not saving.attempt.error.exists()
    assert not sleeping.attempt.error.exists()


def test_no_grace_kills_at_once_with_all_descendants__row_10(jobs: Any, start: str, no_process_left: Living) -> None:
    executor = jobs.executor(start)
    job = jobs.job("spawn_setsid_grandchild")
    submitted = executor.submit(job)
    run_until(executor, marker(job, "grandchild").exists)
    submitted.stop(0.0)
    assert jobs.end(executor, submitted, 5.0).exit_code() == -signal.SIGKILL
    assert not {pid_in(job, name) for name in ("started", "child", "grandchild")} & set(no_process_left())


def test_a_job_that_cannot_be_killed_is_given_up__row_13(jobs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handle, "STEPS", ((0.0, "kill_all"), (0.1, "kill_guard"), (0.2, "give_up")))
    executor = jobs.executor("fresh")
    job = jobs.job("sleep")
    submitted = executor.submit(job)
    run_until(executor, marker(job, "started").exists)
    monkeypatch.setattr(submitted.process, "order", lambda _order: None)
    monkeypatch.setattr(submitted.process, "kill_guard", lambda: None)
    submitted.stop(0.0)
    ended = jobs.end(executor, submitted, 5.0)
    assert (ended.error.kind, ended.error.message) == ("killed", "the job could not be stopped")
    assert jobs.run(executor, jobs.job("succeed")).exit_code() == 0


def test_the_stacks_of_a_hanging_worker_come_into_its_log__row_11(jobs: Any, start: str) -> None:
    executor = jobs.executor(start)
    job = jobs.job("progress_then_hang")
    submitted = executor.submit(job)
    run_until(executor, marker(job, "hanging").exists)
    submitted.dump_stacks()
    run_until(executor, lambda: "most recent call first" in stderr(job))
    assert "in wait" in stderr(job)
    marker(job, "go").touch()
    assert jobs.end(executor, submitted).exit_code() == 0


def test_what_outlives_a_worker_is_ended_and_its_log_does_not_hang__row_14(
    jobs: Any, start: str, no_process_left: Living
) -> None:
    executor = jobs.executor(start)
    job = jobs.job("keep_log_open")
    assert jobs.run(executor, job).exit_code() == 0
    assert pid_in(job, "grandchild") not in no_process_left()
    assert "processes that outlived the worker were ended: 1" in stderr(job)


def test_a_worker_runs_in_a_folder_of_its_own__row_71(jobs: Any, start: str, tmp_path: Path) -> None:
    executor = jobs.executor(start)
    before = Path.cwd()
    first = jobs.job("write_relative", key="a", chdir=str(tmp_path))
    second = jobs.job("write_relative", key="b")
    for job in (first, second):
        assert jobs.run(executor, job).exit_code() == 0
        assert (job.attempt.work / "relative.txt").exists()
        assert marker(job, "place").read_text() == str(job.attempt.work)
    assert Path.cwd() == before
    assert not (tmp_path / "relative.txt").exists()


def _report(jobs: Any, executor: Any, key: str, lease: Lease) -> Any:
    job = jobs.job("report", key=key, lease=lease)
    assert jobs.run(executor, job).exit_code() == 0, stderr(job)
    report = read_json_or_none(job.folder.path / "report.json")
    for name in ("cwd", "files"):
        report[name] = str(report[name]).replace(key, "KEY")
    return report


@pytest.mark.parametrize("libraries", ["", pytest.param("torch", marks=pytest.mark.slow)])
def test_a_forked_worker_is_in_the_state_of_a_fresh_one__row_73(
    jobs: Any, libraries: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SFT_TEST_TORCH", libraries)
    lease = Lease(cores=(0,), threads=2, gpus=())
    stages = Preload(stages=("infer",))
    wanted = _report(jobs, jobs.executor("fresh"), "wanted", lease)
    executor = jobs.executor("warm", preload=stages)
    first = _report(jobs, executor, "first-", lease)
    assert jobs.run(executor, jobs.job("spoil", lease=lease)).exit_code() == 0
    assert jobs.run(executor, jobs.job("succeed", lease=Lease(cores=(1,), threads=1, gpus=()))).exit_code() == 0
    second = _report(jobs, executor, "second", lease)
    draws = [report.pop("draws") for report in (first, second, wanted)]
    assert first == second == wanted
    assert all(len({drawn[name] for drawn in draws}) == 3 for name in draws[0])
    assert wanted["leads_session"]
    assert wanted["environment"]["OMP_NUM_THREADS"] == "2"
    assert wanted["environment"]["CUDA_VISIBLE_DEVICES"] == ""
    assert wanted["affinity"] == [0]
    assert ("torch_threads" in wanted) is bool(libraries)


def test_a_python_that_does_not_start_is_told__row_76(
    jobs: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(handle, "STEPS", ((0.0, "kill_all"), (0.1, "kill_guard"), (10.0, "give_up")))
    fake = tmp_path / "python"
    fake.write_text("#!/bin/sh\nexec sleep 600\n")
    fake.chmod(0o755)
    executor = jobs.executor("fresh", limits=StartLimits(fresh=0.3))
    monkeypatch.setattr(sys, "executable", str(fake))
    ended = jobs.run(executor, jobs.job("succeed"))
    assert (ended.exit_code(), ended.error.kind) == (-signal.SIGKILL, "crash")
    assert ended.error.message == "worker did not start within 0.3 s (run-experiments --start-timeout)"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["/nowhere/python"], "/nowhere/python"),
        ([sys.executable, "-m", "no_such_package"], "No module named no_such_package"),
    ],
)
def test_a_missing_python_or_package_is_in_the_log__row_76(
    jobs: Any, monkeypatch: pytest.MonkeyPatch, command: list[str], said: str
) -> None:
    monkeypatch.setattr(guarded_process, "worker_command", lambda *_: command)
    job = jobs.job("succeed")
    ended = jobs.run(jobs.executor("fresh"), job)
    assert ended.exit_code() not in (0, None)
    assert said in stderr(job)


def test_a_library_missing_in_the_server_means_fresh_starts__row_76(
    jobs: Any, stub_faults: Callable[..., None]
) -> None:
    stub_faults(stage="/nowhere/stub.py:run")
    executor = jobs.executor("auto", preload=Preload(stages=("infer",)))
    handles = [executor.submit(jobs.job("succeed", key=key)) for key in "ab"]
    assert [jobs.end(executor, item).exit_code() for item in handles] == [10, 10]
    assert [item.start for item in handles] == ["fresh", "fresh"]
    (said,) = jobs.said
    assert said.startswith("jobs start fresh from here on: the server of warm starts ended (")
    assert "no file /nowhere/stub.py" in said


def test_warm_alone_fails_where_the_server_does__row_76(jobs: Any, stub_faults: Callable[..., None]) -> None:
    stub_faults(stage="/nowhere/stub.py:run")
    executor = jobs.executor("warm", preload=Preload(stages=("infer",)))
    ended = jobs.run(executor, jobs.job("succeed"))
    assert ended.error.kind == "crash"
    assert "no file /nowhere/stub.py" in ended.error.message
    assert jobs.said == []


def test_an_environment_that_changed_is_refused_by_the_server(jobs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    executor = jobs.executor("auto")
    assert jobs.run(executor, jobs.job("succeed", key="a")).start == "warm"
    monkeypatch.setenv("HF_HUB_OFFLINE", "other")
    job = jobs.job("succeed", key="b")
    assert (jobs.run(executor, job).start, jobs.said) == (
        "fresh",
        ["jobs start fresh from here on: the environment has changed (HF_HUB_OFFLINE)"],
    )
    assert job.folder.manifest.exists()


def test_a_job_stopped_while_the_server_gets_ready_ends_at_once(
    jobs: Any, monkeypatch: pytest.MonkeyPatch, no_process_left: Living
) -> None:
    monkeypatch.setattr(warm, "worker_command", lambda *_: ["/bin/sleep", "600"])
    executor = jobs.executor("warm")
    job = jobs.job("succeed")
    submitted = executor.submit(job)
    assert executor.ended(0.05) == []
    submitted.stop(30.0)
    assert [item.exit_code() for item in executor.ended(0.0)] == [-signal.SIGTERM]
    assert not marker(job, "started").exists()


def test_imports_that_take_longer_than_usual_are_no_error(
    jobs: Any, start: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the first process of a stage nothing is known; those that follow are measured by it."""
    for name in ("LEAST_FRESH_SECONDS", "LEAST_FORK_SECONDS"):
        monkeypatch.setattr(start_limits, name, 0.0)
    executor = jobs.executor(start)
    handles = [jobs.run(executor, jobs.job("succeed", key=key)) for key in ("first", "second")]
    assert [(item.exit_code(), item.error) for item in handles] == [(0, None)] * 2
    limits = [item.hello_seconds for item in handles]
    assert (limits[0] == start_limits.FIRST_SECONDS) is (start == "fresh")
    assert all(0.0 < limit < start_limits.FIRST_SECONDS for limit in limits[start == "fresh" :])


def test_a_server_that_does_not_get_ready_is_given_up(jobs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm, "worker_command", lambda *_: ["/bin/sleep", "600"])
    executor = jobs.executor("auto", limits=StartLimits(fresh=60.0))
    job = jobs.job("succeed")
    submitted = executor.submit(job)
    executor._server_began, executor._server_by = -60.0, 0.0
    assert (jobs.end(executor, submitted).exit_code(), submitted.start) == (0, "fresh")
    assert jobs.said == [
        "jobs start fresh from here on: the server of warm starts was not ready within 60 s "
        "(run-experiments --start-timeout)"
    ]


def test_a_signal_to_the_runner_ends_the_wait(jobs: Any, start: str) -> None:
    executor = jobs.executor(start)
    job = jobs.job("sleep")
    submitted = executor.submit(job)
    run_until(executor, marker(job, "started").exists)
    came: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, _: came.append(number))
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    began = time.monotonic()
    assert executor.ended(60.0) == []
    assert (came, time.monotonic() - began < 30) == ([signal.SIGALRM], True)
    os.kill(os.getpid(), signal.SIGALRM)  # between two waits: the next one must not sleep
    assert executor.ended(60.0) == []
    signal.signal(signal.SIGALRM, before)
    assert submitted.exit_code() is None


@pytest.mark.slow
@pytest.mark.parametrize("choice", ["auto", "warm"])
def test_a_server_that_computed_is_found_out_by_the_first_hello(
    jobs: Any, choice: str, stub_faults: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A child of a server that has computed on two threads hangs for ever when it does so itself."""
    stub_faults(server_matmul=True)
    executor = jobs.executor(choice, preload=Preload(stages=("infer",)), limits=StartLimits(fork=3.0))
    lease = Lease(threads=2)
    first, second = (jobs.run(executor, jobs.job("succeed", key=key, lease=lease)) for key in "ab")
    reason = "worker did not start within 3 s of its fork (run-experiments --fork-timeout)"
    if choice == "warm":
        assert (first.error.kind, first.error.message) == ("crash", f"warm start failed: {reason}")
        return
    assert [(item.exit_code(), item.error, item.start) for item in (first, second)] == [(0, None, "fresh")] * 2
    assert jobs.said == [f"jobs start fresh from here on: {reason}"]


def test_a_fork_is_refused_when_the_server_is_not_as_it_was() -> None:
    from sft.worker.server import reason_against

    quiet = SimpleNamespace(cuda=SimpleNamespace(is_initialized=lambda: False))
    started = SimpleNamespace(cuda=SimpleNamespace(is_initialized=lambda: True))
    assert reason_against({}, {}, quiet, new_threads=0) is None
    assert reason_against({}, {}, started, new_threads=0) == "the server has started CUDA"
    assert "threads" in str(reason_against({}, {}, None, new_threads=1))
    assert reason_against({"OMP_NUM_THREADS": "2"}, {"OMP_NUM_THREADS": "1"}, None, 0) is None
    assert "HF_HOME" in str(reason_against({"HF_HOME": "/a"}, {}, None, 0))
    assert "CUDA_VISIBLE_DEVICES" in str(
        reason_against({"CUDA_VISIBLE_DEVICES": "0"}, {"CUDA_VISIBLE_DEVICES": ""}, None, 0)
    )
    for job in ("", "GPU-a", "MIG-x"):
        assert reason_against({"CUDA_VISIBLE_DEVICES": job}, {}, None, 0) is None
        assert reason_against({"CUDA_VISIBLE_DEVICES": job}, {"CUDA_VISIBLE_DEVICES": "0"}, None, 0) is None
