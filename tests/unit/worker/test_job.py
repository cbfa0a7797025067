"""What a worker does around its stage, in this process; signals of the process are put back."""

import fcntl
import io
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from sft.processes import signals
from sft.processes.fault_injection import VARIABLE
from sft.runs.attempts import begin_attempt
from sft.runs.chains import Submission, SubmittedTry
from sft.runs.files import JobFolder
from sft.runs.manifest import finished_files, is_done
from sft.runs.progress import read_progress
from sft.runs.records import JobRecord, read_error, write_record
from sft.worker import job as job_module
from sft.worker.job import run_job, settle_threads

STAGE = """
import os, signal
from sft.exceptions import DataError

def succeed(job, record, progress, started):
    (job.path / "ran").write_text(record.name)

def refuse(job, record, progress, started):
    raise DataError("no rows for " + os.environ["HF_TOKEN"])

def stopped(job, record, progress, started):
    os.kill(os.getpid(), signal.SIGTERM)

def speak(job, record, progress, started):
    print("caf\\u00e9")

def stopped_twice(job, record, progress, started):
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    finally:
        os.kill(os.getpid(), signal.SIGTERM)
        (job.path / "kept").touch()

def end(job, record, progress, started):
    from sft.experiments.executors.guard import STACKS
    os.kill(os.getpid(), STACKS)

def outlive(job, record, progress, started):
    job.path.rename(job.path.with_name("moved"))
    job.attempt(1).path.mkdir(parents=True)
    progress(1, 1)

def publish(job, record, progress, started):
    from sft.runs.atomic import write_json
    from sft.runs.manifest import write_manifest
    (job.adapter / "deep").mkdir(parents=True)
    (job.adapter / "deep" / "weights").write_text(record.name)
    write_json(job.training, record.name)
    write_manifest(job, [job.adapter, job.training])

def late(job, record, progress, started):
    from sft.runs.attempts import begin_attempt
    begin_attempt(job)
    publish(job, record, progress, started)
"""


@pytest.fixture
def signals_kept() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)
    job_module.faulthandler.unregister(job_module.STACKS)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signals_kept: None) -> Callable[..., int]:
    """Runs one of the functions above as the stage of a job in the folder `job`."""
    (tmp_path / "stage.py").write_text(STAGE)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    folder = JobFolder(tmp_path / "job")
    begin_attempt(folder)
    write_record(folder.job, JobRecord("infer", "k", "a", {}, str(tmp_path), {}))

    def run_function(name: str, attempt: str = "01") -> int:
        monkeypatch.setenv(VARIABLE, json.dumps({"stage": f"{tmp_path / 'stage.py'}:{name}"}))
        return run_job(folder.path, 0.0, attempt)

    return run_function


def test_a_stage_that_returns_is_code_0_after_the_first_line(run: Callable[[str], int], tmp_path: Path) -> None:
    assert run("succeed") == 0
    progress = read_progress(JobFolder(tmp_path / "job").progress)
    assert progress is not None
    assert (progress.stage, progress.step, progress.total) == ("infer", 0, 0)


def test_a_failure_is_written_without_secrets(
    run: Callable[[str], int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_TOKEN", "canary-4711-token")
    assert run("refuse") == 11
    error = read_error(JobFolder(tmp_path / "job").attempt(1).error)
    assert error is not None
    assert (error.kind, error.message) == ("data", "no rows for ***")
    said = capfd.readouterr().err
    assert "canary" not in said
    assert "Traceback" in said
    assert said.endswith("no rows for ***\n")


def test_a_stage_may_print_any_text_in_any_locale(run: Callable[[str], int], monkeypatch: pytest.MonkeyPatch) -> None:
    log = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(log, "ascii"))
    assert run("speak") == 0
    sys.stdout.flush()
    assert log.getvalue().decode("utf-8") == "café\n"


def test_a_request_to_stop_is_code_75_and_no_error(run: Callable[[str], int], tmp_path: Path) -> None:
    assert run("stopped") == signals.STOPPED_EXIT_CODE
    assert not JobFolder(tmp_path / "job").attempt(1).error.exists()


def test_a_second_request_does_not_disturb_what_the_first_ends(run: Callable[[str], int], tmp_path: Path) -> None:
    assert run("stopped_twice") == signals.STOPPED_EXIT_CODE
    assert (tmp_path / "job" / "kept").exists()
    os.kill(os.getpid(), signal.SIGTERM)  # a worker that has ended its stage must not die of it either


def test_a_signal_for_stacks_does_not_end_the_stage(run: Callable[[str], int]) -> None:
    assert run("end") == 0


def test_a_second_process_in_a_job_folder_is_refused(
    run: Callable[[str], int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_module, "LOCK_SECONDS", 0.05)
    folder = JobFolder(tmp_path / "job")
    holder = os.open(folder.lock, os.O_RDWR | os.O_CREAT)
    fcntl.flock(holder, fcntl.LOCK_EX)
    assert run("succeed") == 18
    error = read_error(folder.attempt(1).error)
    assert error is not None
    assert (error.kind, "another process works in" in error.message) == ("refused", True)
    assert not (folder.path / "ran").exists()
    os.close(holder)
    assert run("succeed") == 0


@pytest.mark.parametrize("attempt", ["01", "02"])
def test_the_lock_that_a_file_server_keeps_for_a_lost_machine_is_waited_for(
    run: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attempt: str
) -> None:
    """Also by a try on this machine, after one on a cluster."""
    monkeypatch.setattr(job_module, "LOCK_SECONDS", 0.0)
    folder = JobFolder(tmp_path / "job")
    write_record(SubmittedTry(folder.attempt(1).path).submission, Submission("slurm", "sft-k-01-1", "chain.json"))
    holder = os.open(folder.lock, os.O_RDWR | os.O_CREAT)
    fcntl.flock(holder, fcntl.LOCK_EX)
    monkeypatch.setattr(job_module.time, "sleep", lambda _: fcntl.flock(holder, fcntl.LOCK_UN))
    begin_attempt(folder)
    folder.in_force.write_text(f"{attempt}\n")
    assert run("succeed", attempt) == 0
    os.close(holder)


def test_a_job_whose_folder_was_replaced_writes_nothing_there(run: Callable[[str], int], tmp_path: Path) -> None:
    assert run("outlive") == 18
    assert [path for path in (tmp_path / "job").rglob("*") if path.is_file()] == []


def test_results_grow_in_the_attempt_and_are_published(run: Callable[..., int], tmp_path: Path) -> None:
    folder = JobFolder(tmp_path / "job")
    (folder.adapter / "old").mkdir(parents=True)
    assert run("publish") == 0
    assert set(finished_files(folder)) == {"adapter/deep/weights", "training.json"}
    assert not (folder.adapter / "old").exists()
    assert not folder.attempt(1).out.exists()


def test_an_attempt_that_is_not_in_force_any_more_publishes_nothing(run: Callable[..., int], tmp_path: Path) -> None:
    folder = JobFolder(tmp_path / "job")
    before = {path.name for path in folder.path.iterdir()}
    assert run("late") == 18
    assert {path.name for path in folder.path.iterdir()} - before == {"lock", "progress.json"}
    error = read_error(folder.attempt(1).error)
    assert error is not None
    assert (error.kind, "try 02 is in force there, and this is try 01" in error.message) == ("refused", True)
    assert run("succeed", "01") == 18
    assert run("publish", "02") == 0
    assert is_done(folder)
    assert not folder.attempt(1).out.exists()


def test_started_by_hand_it_is_the_next_attempt(run: Callable[..., int], tmp_path: Path) -> None:
    folder = JobFolder(tmp_path / "job")
    assert run("refuse", "") == 20
    assert read_error(folder.attempt(1).error) is None
    assert read_error(folder.attempt(2).error) is not None
    assert run("publish", "") == 0
    assert (folder.in_force.read_text(), is_done(folder)) == ("03\n", True)


def test_a_folder_without_a_job_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_job(tmp_path, 0.0) == 2
    assert "no job.json" in capsys.readouterr().err


@pytest.mark.parametrize(("written", "set_to"), [("3", [3]), ("", []), ("4,2", []), ("0", [])])
def test_loaded_libraries_get_the_threads_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, written: str, set_to: list[int]
) -> None:
    asked: list[int] = []
    monkeypatch.setenv("OMP_NUM_THREADS", written)
    monkeypatch.setitem(job_module.sys.modules, "torch", SimpleNamespace(set_num_threads=asked.append))
    monkeypatch.setitem(job_module.sys.modules, "pyarrow", SimpleNamespace(set_cpu_count=lambda _: None))
    settle_threads()
    assert asked == set_to
