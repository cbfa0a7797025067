"""Why a job stands where it stands, in one line or a few; one place, so that every view says the same."""

from pathlib import Path

from sft.runs.files import ID_DIGITS, ResultsFolder
from sft.runs.records import StatusRecord
from sft.runs.states import STOPPED, JobState, reason
from sft.wording import one_line, shown_path


def story(name: str, key: str, status: StatusRecord | None, state: JobState, results: ResultsFolder) -> str:
    """The whole line about a job that is not done: who, where, why, its log, and how to run it again.

    Args:
        name: of the experiment.
        key: its id.
        status: as its runner wrote it.
        state: as its files tell it.
        results: the results folder.
    """
    word = (state if state in (*STOPPED, "lost", "damaged") else "failed").upper()
    text = f"{word} {one_line(name)} [{key[:ID_DIGITS]}] {reason(status, state)}"
    if status is None or status.log is None or state in (*STOPPED, "lost"):
        return text
    log = results.path / status.log
    ending = "" if text.endswith((".", "!", "?")) else "."
    return f"{text}{ending} Log: {shown_path(log)}. Again: {again(log.parents[2])}"


def again(job_folder: Path) -> str:
    """The command that runs one stage by hand."""
    return f"python -m sft.worker {shown_path(job_folder)}"
