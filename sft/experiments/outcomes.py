"""Why a job failed, from what its process left; one place, so that every view says the same line."""

import signal
from pathlib import Path

from sft.errors import ErrorKind
from sft.runs.files import AttemptFolder
from sft.runs.records import ErrorRecord, StatusRecord, read_error

_TAIL_BYTES = 8192
_CRASHES = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL)


def error_of(attempt: AttemptFolder, exit_code: int) -> ErrorRecord:
    """The error of a try that ended without a valid manifest.

    Args:
        attempt: its folder.
        exit_code: as `Popen.returncode`: negative for a signal.
    """
    written = read_error(attempt.error)
    if written is not None:
        return written
    if exit_code < 0:
        return _signalled(-exit_code)
    if exit_code == 0:
        return ErrorRecord("no_result", "worker ended with code 0 but wrote no manifest; treated as failed.")
    last = last_line(attempt.stderr)
    return ErrorRecord("crash", f"worker ended with code {exit_code}" + (f": {last}" if last else ""))


def _signalled(number: int) -> ErrorRecord:
    named = number in set(signal.Signals)
    name = signal.Signals(number).name if named else f"signal {number}"
    if number == signal.SIGKILL:
        message = (
            f"worker was ended by {name}, which this program did not send. Often the system ran out of memory. "
            "Try a smaller batch or model."
        )
        return ErrorRecord("killed", message)
    kind: ErrorKind = "crash" if number in _CRASHES else "killed"
    return ErrorRecord(kind, f"worker was ended by {name}")


def last_line(log: Path) -> str:
    """The last line of a log that is not blank."""
    try:
        with log.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - _TAIL_BYTES))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def reason(status: StatusRecord) -> str:
    """One line on why a job stands where it stands."""
    if status.error is None:
        return status.state
    return f"at {status.stage}: {status.error.message}"
