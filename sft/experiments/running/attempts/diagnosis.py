"""Why a job stands where it stands, in one line; one place, so that every view says the same."""

import signal

from sft.exceptions import ErrorKind
from sft.experiments.executors.protocol import MemorySeen
from sft.runs.attempts import last_line
from sft.runs.exit_codes import kind_of
from sft.runs.files import AttemptFolder
from sft.runs.records import ErrorRecord, read_error

_GIGABYTE = 1e9

_CRASHES = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGSYS, signal.SIGTRAP)

_SHELL_OFFSET = 128


def error_of(attempt: AttemptFolder, exit_code: int, memory: MemorySeen | None = None) -> ErrorRecord:
    """The error of a try that ended without a valid manifest, and that nobody asked to end.

    Args:
        attempt: its folder.
        exit_code: negative for a signal, as `Popen.returncode`, or 128 above it, as a guard passes it on.
        memory: what was seen of memory meanwhile.
    """
    written = read_error(attempt.error)
    if written is not None:
        return written
    if exit_code == 0:
        return ErrorRecord("no_result", "worker ended with code 0 but wrote no manifest; treated as failed.")
    number = -exit_code if exit_code < 0 else exit_code - _SHELL_OFFSET
    if 0 < number < signal.NSIG:
        return _signalled(number, memory or MemorySeen())
    last = last_line(attempt.stderr)
    kind = kind_of(exit_code)
    return ErrorRecord(kind, f"worker ended with code {exit_code}" + (f": {last}" if last else ""))


def _signalled(number: int, memory: MemorySeen) -> ErrorRecord:
    name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
    if number == signal.SIGKILL:
        return _killed(name, memory)
    kind: ErrorKind = "crash" if number in _CRASHES else "killed"
    return ErrorRecord(kind, f"worker was ended by {name}, which this program did not send")


def _killed(name: str, memory: MemorySeen) -> ErrorRecord:
    """SIGKILL leaves no word of the process: what is said of its cause is a suspicion."""
    if memory.oom_kills > 0:
        suspicion = f"Meanwhile the system killed {memory.oom_kills} of its processes for want of memory"
    else:
        suspicion = "Often the system ran out of memory"
    message = (
        f"worker was ended by {name}, which this program did not send. {suspicion}{_peak(memory)}. "
        "Try fewer parallel experiments."
    )
    return ErrorRecord("oom_host" if memory.oom_kills > 0 else "killed", message)


def _peak(memory: MemorySeen) -> str:
    if memory.peak_bytes is None:
        return ""
    of = "" if memory.limit_bytes is None else f" of {memory.limit_bytes / _GIGABYTE:.1f} GB"
    return f" (peak seen: {memory.peak_bytes / _GIGABYTE:.1f} GB{of})"
