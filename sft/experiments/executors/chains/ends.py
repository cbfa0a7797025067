"""How a job of a chain ended, by its own word and that of the cluster."""

import dataclasses
import signal

from sft.experiments.executors.chains.cluster import Seen
from sft.experiments.executors.protocol import MemorySeen, Outcome
from sft.processes.signals import STOPPED_EXIT_CODE
from sft.runs.chains import Ended
from sft.runs.file_systems import look_anew
from sft.runs.files import JobFolder
from sft.runs.records import ErrorRecord

STOPPED = (STOPPED_EXIT_CODE, -signal.SIGKILL, -signal.SIGTERM)
"""Codes of a job that ended because its chain was asked to."""


def seen_from(folder: JobFolder, seen: Seen) -> Seen:
    """The end of a chain as it concerns a job of it: one whose stage had not begun has lost nothing by it.

    Args:
        folder: of the job.
        seen: what the cluster says.
    """
    if seen.unbegun is None:
        return seen
    look_anew(folder.path)
    has_begun = folder.progress.exists()
    return seen if has_begun else dataclasses.replace(seen, error=seen.unbegun, ended_as="preempted")


def outcome_of(ended: Ended, seen: Seen | None, folder: JobFolder) -> Outcome:
    """What a job said at its end, and where the cluster had it ended, what the cluster says of that.

    Args:
        ended: its own word.
        seen: the word of the cluster; None where there is none.
        folder: of the job.
    """
    memory = MemorySeen(ended.peak_bytes, ended.limit_bytes, ended.oom_kills)
    told = Outcome(ended.code, ended.reason, memory, ended.seconds, was_begun=ended.was_begun)
    if ended.stopped_by is None:
        return told
    if seen is not None and ended.code in STOPPED:
        seen = seen_from(folder, seen)
    if seen is not None and seen.error is not None:
        return dataclasses.replace(told, error=seen.error, ended_as=seen.ended_as)
    if told.error is not None or ended.code not in STOPPED:
        return told
    what = f"the cluster asked it to end ({ended.stopped_by}), as before its time is over"
    what += "" if ended.code == STOPPED_EXIT_CODE else ", and it could not save in time (--grace)"
    return dataclasses.replace(told, error=ErrorRecord("killed", what), ended_as="preempted")
