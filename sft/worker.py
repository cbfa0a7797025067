"""`python -m sft.worker JOB_FOLDER`: run one stage, report by files and exit code only.

The exit code repeats the kind of the error that `error.json` holds, for the case that the file could not be written.
"""

import ctypes
import os
import signal
import sys
import time
import traceback
from pathlib import Path

from sft.errors import SftError
from sft.runs.files import AttemptFolder, JobFolder
from sft.runs.progress import Progress
from sft.runs.records import ErrorRecord, JobRecord, read_job, write_record

EXIT_CODES = {
    "config": 10,
    "data": 11,
    "oom_gpu": 12,
    "oom_host": 13,
    "diverged": 14,
    "network": 15,
    "checkpoint": 16,
    "disk_full": 17,
    "refused": 18,
    "model": 20,
    "tokenizer": 20,
    "exception": 20,
}
_PR_SET_PDEATHSIG = 1


def main(arguments: list[str] | None = None) -> int:
    """Run the job of the folder given as the only argument; the exit code says how it went."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m sft.worker JOB_FOLDER\n")
        return 2
    started = time.perf_counter()
    job = JobFolder(Path(arguments[0]).resolve())
    attempts = job.attempts()
    attempt = attempts[-1] if attempts else job.attempt(1)
    if not job.job.is_file():
        sys.stderr.write(f"{job.path}: not a job folder (no {job.job.name})\n")
        return 2
    record = read_job(job.job)
    end_with_parent()
    return run_job(job, record, attempt, started)


def run_job(job: JobFolder, record: JobRecord, attempt: AttemptFolder, started: float) -> int:
    """Run the stage; write `error.json` and the traceback when it fails.

    Args:
        job: the job's folder.
        record: what to run.
        attempt: the folder of this try.
        started: `time.perf_counter()` at the start of the process.
    """
    from sft.pipeline import stage_registry
    from sft.registry import import_object

    try:
        run = import_object(stage_registry[record.stage])
        run(job, record, Progress(job.progress, record.stage), started)
    except SftError as error:
        return _failed(attempt, ErrorRecord(kind=error.kind, message=str(error)))
    except (MemoryError, OSError, RuntimeError) as error:
        return _failed(attempt, _machine_error(error))
    except Exception as error:  # noqa: BLE001  any bug of a stage is that stage's result
        return _failed(attempt, ErrorRecord(kind="exception", message=_one_line(error)))
    return 0


def end_with_parent() -> None:
    """Ask the system to kill this process when the runner dies; Linux only, elsewhere nothing happens."""
    if sys.platform != "linux" or "SFT_RUNNER_PID" not in os.environ:
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(os.environ["SFT_RUNNER_PID"]):
        os._exit(128 + signal.SIGKILL)


def _machine_error(error: Exception) -> ErrorRecord:
    import errno

    if isinstance(error, MemoryError):
        return ErrorRecord(kind="oom_host", message=_one_line(error))
    if type(error).__name__ == "OutOfMemoryError":
        return ErrorRecord(kind="oom_gpu", message=_one_line(error))
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return ErrorRecord(kind="disk_full", message=f"no space left while writing {error.filename or 'results'}")
    return ErrorRecord(kind="exception", message=_one_line(error))


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _failed(attempt: AttemptFolder, error: ErrorRecord) -> int:
    traceback.print_exc()
    sys.stderr.write(f"{error.message}\n")
    try:
        write_record(attempt.error, error)
    except OSError as failure:
        sys.stderr.write(f"{attempt.error} could not be written: {failure}\n")
    return EXIT_CODES.get(error.kind, EXIT_CODES["exception"])


if __name__ == "__main__":
    sys.exit(main())
