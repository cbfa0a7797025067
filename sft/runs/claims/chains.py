"""Which submission of a chain runs it.

A cluster may take a chain twice, when its answer was late and it was asked again: the second one does nothing then.
"""

import errno
import os
import shutil
import tempfile
from collections.abc import Mapping

from sft.runs.atomic import TEMPORARY_PREFIX
from sft.runs.chains import Submission, SubmittedTry, read
from sft.runs.file_systems import look_anew

IDENTITIES: Mapping[str, str] = {"slurm": "SLURM_JOB_ID"}
"""Executor -> the variable that tells a job what it is called; others take nothing twice."""


def taken_by(first: SubmittedTry) -> str | None:
    """What the cluster calls the submission that runs a chain, or ran it; None where none is known to.

    Args:
        first: the try of its first job.
    """
    look_anew(first.path)
    try:
        return next(iter(os.listdir(first.taken)), None)
    except OSError:
        return None


def take(first: SubmittedTry, environment: Mapping[str, str]) -> str | None:
    """Take a chain for this submission of it; the same one may do so again, as when the cluster starts it anew.

    Args:
        first: the try of its first job.
        environment: the variables of this process.

    Returns:
        What the cluster calls another submission that has it, or is to have it; None where it is this one's.

    Raises:
        OSError: the folder cannot be written to.
    """
    record = read(first.submission, Submission)
    own = None if record is None else environment.get(IDENTITIES.get(record.executor, ""))
    if record is None or own is None or not own.isdecimal():
        return None
    owner = taken_by(first)
    if owner is None and record.id in (None, own):
        owner = own if _took(first, own) else (taken_by(first) or "unknown")
    owner = owner or record.id
    return None if owner == own else owner


def _took(first: SubmittedTry, own: str) -> bool:
    """Put a folder in place that holds the name of this submission; a file system grants that to one process alone."""
    made = tempfile.mkdtemp(prefix=TEMPORARY_PREFIX, dir=first.path)
    os.mkdir(os.path.join(made, own))
    try:
        os.rename(made, first.taken)
    except OSError as error:
        shutil.rmtree(made, ignore_errors=True)
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY):
            return False
        raise
    return True
