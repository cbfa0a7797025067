"""How the executor of this machine shares it out and what it says of a job, with processes that are played."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from sft.exceptions import MachineError
from sft.experiments.executors.handle import Submission
from sft.experiments.executors.local import executor as module
from sft.experiments.executors.local.executor import LocalExecutor
from sft.experiments.executors.local.gpu_question import Gpu
from sft.experiments.executors.local.leases import Machine
from sft.experiments.executors.options import ExecutorOptions
from sft.experiments.executors.protocol import JobAttempt, Outcome, Request
from sft.pipeline.jobs import PlannedJob
from sft.runs.files import JobFolder
from sft.runs.records import ErrorRecord, JobRecord, StartMode

GPUS = ("GPU-a", "GPU-b")


class Process:
    """Of this process, until it is told to have ended."""

    start: StartMode = "warm"

    def __init__(self, submission: Submission) -> None:
        self.submission = submission
        self.pid = os.getpid()
        self.error: ErrorRecord | None = None
        self.code: int | None = None

    def exit_code(self) -> int | None:
        return self.code

    def stop(self, grace: float) -> None:
        self.code = -15

    def dump_stacks(self) -> None:
        pass


class Processes:
    def __init__(self) -> None:
        self.running: list[Process] = []
        self.refuses = False

    def submit(self, job: Submission) -> Process:
        if self.refuses:
            raise OSError("no")
        self.running.append(Process(job))
        return self.running[-1]

    def ended(self, timeout: float) -> Sequence[Process]:
        over = [process for process in self.running if process.code is not None]
        self.running = [process for process in self.running if process.code is None]
        return over

    def close(self) -> None:
        self.running = []


def attempt(folder: Path, name: str) -> JobAttempt:
    job = JobFolder(folder / name)
    return JobAttempt(job, job.attempt(1))


def start_all(made: LocalExecutor, folder: Path, names: Sequence[str], request: Request) -> list[Any]:
    """Submit what can start of these."""
    return [made.submit([attempt(folder, name)], request)[0] for name in made.startable(names, lambda _: request)]


def test_a_job_is_told_its_place_and_its_end_what_was_seen(tmp_path: Path) -> None:
    counter = tmp_path / "memory.events"
    counter.write_text("oom_kill 3\n")
    machine = Machine(jobs=2, cores=(0, 1), n_cores=2, oom_counter=counter, memory_limit=1000)
    processes = Processes()
    made = LocalExecutor(machine=machine, processes=processes)
    first, second = start_all(made, tmp_path, ["a", "b", "c"], Request())
    assert [(job.placement.lease.cores, job.placement.lease.threads) for job in (first, second)] == [
        ((0,), 1),
        ((1,), 1),
    ]
    assert (first.placement.pid, first.placement.start, first.outcome()) == (os.getpid(), "warm", None)
    assert made.capacity().is_full
    made.ended(0.0)
    counter.write_text("oom_kill 4\n")
    first.stop(0.0)
    assert made.ended(0.0) == [first]
    outcome = first.outcome()
    assert isinstance(outcome, Outcome)
    assert (outcome.code, outcome.error, outcome.had_company, outcome.shared_gpu) == (-15, None, True, False)
    assert (outcome.memory.limit_bytes, outcome.memory.oom_kills) == (1000, 1)
    assert (outcome.memory.peak_bytes or 0) > 0
    assert not made.capacity().is_full
    assert second.outcome() is None


def test_what_could_not_be_started_keeps_no_lease_and_a_chain_is_refused(tmp_path: Path) -> None:
    processes = Processes()
    made = LocalExecutor(machine=Machine(gpus=GPUS[:1], gpu_rest_seconds=0.0), processes=processes)
    made.ended(0.0)
    processes.refuses = True
    with pytest.raises(OSError, match="no"):
        start_all(made, tmp_path, ["a"], Request(1))
    processes.refuses = False
    (job,) = start_all(made, tmp_path, ["b"], Request(1))
    assert job.placement.lease.gpus == GPUS[:1]
    with pytest.raises(ValueError, match="no room"):
        made.submit([attempt(tmp_path, "c")], Request(1))
    with pytest.raises(ValueError, match="single jobs, not a chain of 2"):
        made.submit([attempt(tmp_path, "c"), attempt(tmp_path, "d")], Request())


def test_gpus_are_settling_until_their_memory_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    made = LocalExecutor(machine=Machine(gpus=GPUS), processes=Processes())
    assert (made.capacity().gpus, made.capacity().is_settling) == (2, True)
    assert start_all(made, tmp_path, ["a"], Request(1)) == []
    made.close()
    assert not LocalExecutor(machine=Machine(), processes=Processes()).capacity().is_settling


def planned(folder: Path, config: dict[str, Any]) -> PlannedJob:
    return PlannedJob(JobFolder(folder), JobRecord("infer", "k", "a", config, str(folder), {}), ())


def test_what_asks_for_more_than_there_is_is_refused_and_what_others_take_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = Gpu("0", "GPU-a", free=10_000.0, total=80_000.0)
    monkeypatch.setattr(module, "usable_gpus", lambda choice, _: (taken,) if choice == "0" else ())
    made = LocalExecutor(ExecutorOptions(gpus="0"))
    assert made.warnings({}, ()) == []
    made.expect([planned(tmp_path, {})])
    assert made.capacity().gpus == 1
    assert [line.partition(":")[0] for line in made.warnings({}, ())] == [
        "memory is taken by processes that are not of this run"
    ]
    with pytest.raises(MachineError, match="asked 2 GPUs, found 1"):
        made.expect([planned(tmp_path, {"resources": {"gpus": 2}})])


def test_a_driver_that_does_not_work_is_a_warning_where_nothing_is_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise MachineError("the driver hangs")

    monkeypatch.setattr(module, "usable_gpus", broken)
    said: list[str] = []
    LocalExecutor(say=said.append).expect([])
    assert said == ["warning: the driver hangs"]
    with pytest.raises(MachineError, match="the driver hangs"):
        LocalExecutor(say=said.append).expect([planned(tmp_path, {})])
