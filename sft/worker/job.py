"""One job in this process, from its folder to an exit code."""

import contextlib
import dataclasses
import faulthandler
import fcntl
import gc
import io
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from sft.exceptions import MachineError, StageFailure
from sft.experiments.executors.guard import STACKS
from sft.models.model_args import spreads_over_gpus
from sft.pipeline import stage_registry
from sft.processes import fault_injection, signals
from sft.processes.garbage import without_search_for_cycles
from sft.processes.visible_gpus import VISIBLE_GPUS, first_only
from sft.registry import load
from sft.runs.attempts import begin_attempt, discard_growing, take_over
from sft.runs.chains import SubmittedTry
from sft.runs.exit_codes import exit_code_of
from sft.runs.fence import holding, require_in_place, working_for
from sft.runs.file_systems import flock
from sft.runs.files import AttemptFolder, JobFolder
from sft.runs.progress import Progress
from sft.runs.records import JobRecord, StageName, read_job, write_record
from sft.runs.secrets_masking import mask, secret_values
from sft.worker.failures import error_record

LOCK_SECONDS = 10.0
"""How long the process of an earlier try may take to die."""
LOST_SECONDS = 120.0
"""The same of one on another machine, which may be lost: its file server keeps its locks for a while (NFS: 90 s)."""
UNLOCKED = "locks no files: no process of an earlier try is waited for, and it publishes nothing"
USAGE = 2


def run_job(
    folder: Path, started: float, attempt_name: str = "", before_hello: Callable[[], None] = lambda: None
) -> int:
    """Run the job of a folder; a failure is left as `error.json` and as a traceback.

    Args:
        folder: a job folder.
        started: `time.perf_counter()` at the start of the process.
        attempt_name: of the folder of the try that this is; without one it is the next.
        before_hello: called when the stage is imported, before the first line of progress.
    """
    job = JobFolder(folder)
    if not job.job.is_file():
        sys.stderr.write(f"{job.path}: not a job folder (no {job.job.name})\n")
        return USAGE
    attempt = AttemptFolder(job.attempts_path / attempt_name) if attempt_name else None
    _write_utf8()
    signals.listen()
    faulthandler.enable()
    faulthandler.register(STACKS)
    fault_injection.begin_worker()
    try:
        with _locked(job):
            attempt = attempt or begin_attempt(job)
            try:
                with working_for(attempt.path, job.in_force):
                    _run_stage(job, attempt, started, before_hello)
            except Exception as error:  # noqa: BLE001  any bug of a stage is that stage's result
                return _failed(attempt, error)
    except signals.StopRequested:
        return signals.STOPPED_EXIT_CODE
    except Exception as error:  # noqa: BLE001  what keeps the lock away is too
        return _failed(attempt, error)
    return 0


def _write_utf8() -> None:
    """Let any text into the logs, which are read as UTF-8, whatever the locale of this machine is."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def stage_function(stage: StageName) -> Callable[[JobFolder, JobRecord, Progress, float], None]:
    """The function of a stage; its module is imported."""
    found: Callable[[JobFolder, JobRecord, Progress, float], None]
    with without_search_for_cycles():
        found = load(stage_registry, fault_injection.replaced_stage() or stage, "stage")
    return found


def settle_threads() -> None:
    """Give the libraries that are loaded as many threads as the environment says, however they were loaded."""
    written = os.environ.get("OMP_NUM_THREADS", "")
    if not written.isdigit() or int(written) < 1:
        return
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(int(written))
    if (pyarrow := sys.modules.get("pyarrow")) is not None:
        pyarrow.set_cpu_count(int(written))


def _see_one_gpu(record: JobRecord) -> None:
    """Hide all GPUs but the first: libraries use what they see, and on several a batch would be another one."""
    if not spreads_over_gpus(record.config.get("model", {}).get("model_args", {})):
        os.environ[VISIBLE_GPUS] = first_only(os.environ.get(VISIBLE_GPUS))


def _run_stage(job: JobFolder, attempt: AttemptFolder, started: float, before_hello: Callable[[], None]) -> None:
    require_in_place(job.path)
    record = read_job(job.job)
    _see_one_gpu(record)
    run = stage_function(record.stage)
    gc.freeze()  # modules stay: what a training collects is looked for among what it made
    settle_threads()
    before_hello()
    progress = Progress(job.progress, record.stage)
    progress.hello()
    take_over(job, attempt)
    run(job.growing_in(attempt), record, progress, started)
    discard_growing(attempt)


@contextlib.contextmanager
def _locked(job: JobFolder) -> Iterator[None]:
    """Hold the job's lock; it is the process that holds it, so it is free as soon as that is dead."""
    may_be_elsewhere = any(SubmittedTry(attempt.path).submission.exists() for attempt in job.attempts())
    descriptor = os.open(job.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        deadline = time.monotonic() + (LOST_SECONDS if may_be_elsewhere else LOCK_SECONDS)
        while not _taken(descriptor, job):
            if time.monotonic() > deadline:
                raise StageFailure(f"another process works in {job.path}; stop it first", kind="refused")
            time.sleep(0.02)
        with holding(job.lock, descriptor):
            yield
    finally:
        os.close(descriptor)


def _taken(descriptor: int, job: JobFolder) -> bool:
    try:
        flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, job.path, UNLOCKED)
    except BlockingIOError:
        return False
    return True


def _failed(attempt: AttemptFolder | None, error: Exception) -> int:
    secrets = secret_values(os.environ)
    told = error_record(error)
    record = dataclasses.replace(told, message=mask(told.message, secrets))
    trace = "".join(traceback.format_exception(error))
    sys.stderr.write(mask(trace, secrets) + f"{record.message}\n")
    if attempt is None:
        return exit_code_of(record.kind)
    try:
        write_record(attempt.error, record)
    except (OSError, MachineError) as failure:
        sys.stderr.write(f"{attempt.error} could not be written: {failure}\n")
    return exit_code_of(record.kind)
