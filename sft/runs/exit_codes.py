"""The exit codes of a worker whose stage failed, one for each kind of error that others must tell apart.

They repeat the kind that `error.json` holds, for the case that the file could not be written.
"""

from sft.exceptions import ErrorKind

EXIT_CODES: dict[ErrorKind, int] = {
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
UNSEEN = 19
"""Of a chain in a place that does not see its file, or not all of it."""
INCOMPLETE = 21
"""Of a chain in which a job has no result, so that nothing starts in a queue that waits for all of it."""

_KINDS = {code: kind for kind, code in EXIT_CODES.items()}  # of several kinds with one code the last


def exit_code_of(kind: ErrorKind) -> int:
    """The exit code of a worker whose stage failed."""
    return EXIT_CODES.get(kind, EXIT_CODES["exception"])


def kind_of(exit_code: int) -> ErrorKind:
    """What the exit code of a worker says; `crash` where it is none that a worker chooses."""
    return _KINDS.get(exit_code, "crash")
