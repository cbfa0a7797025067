"""How a task of Ray ended, as what it means here."""

import signal
from collections.abc import Mapping
from typing import Any

from sft.experiments.executors.chains.cluster import Seen
from sft.experiments.executors.protocol import EndedAs
from sft.processes.signals import STOPPED_EXIT_CODE
from sft.runs.exit_codes import INCOMPLETE, UNSEEN
from sft.runs.records import ErrorRecord

ENDS: Mapping[str, tuple[EndedAs, ErrorRecord]] = {
    "TaskCancelledError": ("interrupted", ErrorRecord("killed", "it was cancelled in Ray")),
    "OutOfMemoryError": ("failed", ErrorRecord("oom_host", "Ray ended it because its node ran out of memory")),
    "WorkerCrashedError": ("failed", ErrorRecord("killed", "the process of Ray that ran it was killed")),
    "NodeDiedError": ("failed", ErrorRecord("node_lost", "its node was lost")),
    "LocalRayletDiedError": ("failed", ErrorRecord("node_lost", "Ray on its node was lost")),
    "ObjectLostError": ("failed", ErrorRecord("node_lost", "its node was lost")),
}
"""By the class of the error of Ray, or one above it."""
NEED = "; every node needs this environment and this results folder, at the same paths"


def seen_of(told: Mapping[str, Any] | None) -> Seen:
    """How a task stands by the word of the driver; whether it runs or waits, its own files say.

    Args:
        told: the exit code of the chain, or the error of Ray; None where it has not ended.
    """
    if told is None:
        return Seen("queued")
    if "error" not in told:
        return Seen("ended", _error_of(told["code"]), code=told["code"])
    for name in told["error"]:
        if name in ENDS:
            ended_as, error = ENDS[name]
            return Seen("ended", error, ended_as)
    text = first_line(told["text"]) or told["error"][0]
    need = NEED if "OSError" in told["error"] else ""
    return Seen("ended", ErrorRecord("crash", f"Ray could not run it: {text}{need}"))


def first_line(text: str) -> str:
    """The first line that is not empty; empty where there is none."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def _error_of(code: int) -> ErrorRecord | None:
    """Of a chain that may have left no word of its own."""
    if code in (0, STOPPED_EXIT_CODE, UNSEEN, INCOMPLETE):
        return None
    if code in (-signal.SIGKILL, 128 + signal.SIGKILL):
        return ErrorRecord("killed", "its chain was killed")
    return ErrorRecord("crash", f"its chain ended with exit code {code} before it could say why (chain.log)")
