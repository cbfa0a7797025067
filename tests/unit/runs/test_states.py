"""The state of a job, from every combination of what its folder can hold."""

from pathlib import Path
from typing import Any

import pytest

from sft.runs.files import JobFolder
from sft.runs.records import ErrorRecord, StageName, StatusRecord, write_record
from sft.runs.states import (
    METRICS_FILE,
    JobState,
    Standing,
    derive_state,
    error_in,
    experiment_standing,
    standing_of,
)

STATES: tuple[Any, ...] = ("pending", "failed", "timeout", "interrupted", "preempted", "pruned")
ERROR = ErrorRecord("data", "no rows")


def status(state: Any, stage: StageName = "train", error: ErrorRecord | None = None) -> StatusRecord:
    return StatusRecord(state, stage, attempt=1, error=error)


@pytest.mark.parametrize("written", [None, "running", "done", *STATES])
@pytest.mark.parametrize("is_locked", [True, False])
@pytest.mark.parametrize(
    ("files", "state"),
    [
        (["training.json", "adapter/x"], "done"),
        (["result/predictions.jsonl"], "predicted"),
        (["result/predictions.jsonl", METRICS_FILE], "done"),
    ],
)
def test_a_valid_manifest_counts_before_everything_else(
    files: list[str], state: str, is_locked: bool, written: Any
) -> None:
    known = None if written is None else status(written)
    assert derive_state(files, known, tried=True, is_locked=is_locked) == state


@pytest.mark.parametrize(
    ("written", "tried", "is_locked", "state"),
    [
        (None, False, False, "pending"),
        (None, False, True, "pending"),
        (None, True, True, "pending"),
        (None, True, False, "lost"),
        ("running", True, True, "running"),
        ("running", True, False, "lost"),
        ("done", True, True, "damaged"),
        ("done", True, False, "damaged"),
        ("predicted", True, False, "damaged"),
        *((state, True, locked, state) for state in STATES for locked in (True, False)),
    ],
)
def test_without_a_manifest_status_and_lock_decide(written: Any, tried: bool, is_locked: bool, state: str) -> None:
    known = None if written is None else status(written)
    assert derive_state([], known, tried=tried, is_locked=is_locked) == state


def test_the_file_that_makes_an_experiment_done_is_its_metrics() -> None:
    folder = JobFolder(Path("x"))
    assert folder.metrics.relative_to(folder.path).as_posix() == METRICS_FILE


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ("lost", "its runner ended without recording how"),
        ("damaged", "its result files are not those of its manifest"),
        ("failed", "no rows"),
        ("done", None),
        ("predicted", None),
    ],
)
def test_why_there_is_no_result(state: Any, message: str | None) -> None:
    error = error_in(state, status("failed", error=ERROR))
    assert (error.message if error else None) == message


def test_a_folder_that_is_not_there_waits(tmp_path: Path) -> None:
    assert standing_of(JobFolder(tmp_path / "nowhere"), is_locked=False) == Standing("pending")


@pytest.mark.parametrize("is_locked", [True, False])
def test_a_status_that_cannot_be_read_is_said(tmp_path: Path, is_locked: bool) -> None:
    folder = JobFolder(tmp_path)
    folder.status.write_text("{")
    folder.attempt(1).path.mkdir(parents=True)
    standing = standing_of(folder, is_locked=is_locked)
    assert (standing.state, standing.is_unreadable) == ("pending" if is_locked else "lost", True)
    write_record(folder.status, status("failed", error=ERROR))
    standing = standing_of(folder, is_locked=is_locked)
    assert (standing.state, standing.is_unreadable, standing.error) == ("failed", False, ERROR)


def standing(state: JobState, stage: StageName, error: ErrorRecord | None = None) -> Standing:
    return Standing(state, status("running" if state == "lost" else state, stage, error))


PENDING = Standing("pending")
DONE = Standing("done", files=frozenset({"x"}))


@pytest.mark.parametrize(
    ("own", "train", "infer", "state"),
    [
        (PENDING, PENDING, PENDING, "pending"),
        (PENDING, standing("running", "train"), PENDING, "running"),
        (PENDING, DONE, standing("running", "infer"), "running"),
        (standing("running", "evaluate"), DONE, DONE, "running"),
        (PENDING, standing("failed", "train", ERROR), PENDING, "failed"),
        (PENDING, standing("pruned", "train"), standing("timeout", "infer", ERROR), "timeout"),
        (PENDING, standing("lost", "train"), PENDING, "lost"),
        (standing("failed", "train", ERROR), standing("failed", "train", ERROR), PENDING, "failed"),
        (standing("failed", "train", ERROR), standing("running", "train"), PENDING, "running"),
        (standing("failed", "train", ERROR), DONE, PENDING, "pending"),
        (standing("failed", "evaluate", ERROR), DONE, DONE, "failed"),
        (DONE, standing("damaged", "train"), PENDING, "done"),
        (Standing("damaged"), DONE, DONE, "damaged"),
    ],
)
def test_an_experiment_stands_as_its_result_or_the_stage_it_is_at(
    own: Standing, train: Standing, infer: Standing, state: str
) -> None:
    assert experiment_standing(own, {"train": train, "infer": infer}).state == state


def test_the_failure_of_a_stage_in_another_folder_is_kept() -> None:
    own = standing("failed", "train", ERROR)
    assert experiment_standing(own, {"infer": PENDING}) == own
