import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sft.exceptions import MachineError
from sft.runs.progress import ProgressRecord, read_progress
from sft.runs.records import ErrorRecord, JobRecord, StatusRecord, read_error, read_job, read_status, write_record

JOB = JobRecord(
    stage="infer",
    key="0123456789abcdef",
    name="a/b é",
    config={"seed": 13},
    config_folder="/somewhere",
    fingerprints={"data": {"test": "sha"}},
    inputs={"train": "../../train/k"},
    with_metrics=False,
)
STATUS = StatusRecord(
    "failed", "train", attempt=2, error=ErrorRecord("data", "no rows"), log="a/b", seconds=1.5, pid=7
)


def test_a_job_comes_back_as_it_was_written(tmp_path: Path) -> None:
    write_record(tmp_path / "job.json", JOB)
    assert read_job(tmp_path / "job.json") == JOB
    assert JOB.input_folder("train", Path("/r/stages/infer/k")) == Path("/r/stages/train/k")
    assert JOB.input_folder("infer", Path("/r/stages/infer/k")) is None


def test_the_config_of_a_job_is_read_once_and_is_no_part_of_its_file(
    tmp_path: Path, raw: Callable[..., dict[str, Any]]
) -> None:
    job = dataclasses.replace(JOB, config=raw({"seed": 7}))
    assert job.experiment.seed == 7
    assert job.experiment is job.experiment
    write_record(tmp_path / "job.json", job)
    assert "experiment" not in json.loads((tmp_path / "job.json").read_text())
    assert dataclasses.replace(job, config=raw()).experiment.seed == 13


@pytest.mark.parametrize("status", [STATUS, StatusRecord("pending", "infer")])
def test_a_status_comes_back_as_it_was_written(tmp_path: Path, status: StatusRecord) -> None:
    write_record(tmp_path / "status.json", status)
    assert read_status(tmp_path / "status.json") == status


def test_keys_that_a_later_version_added_are_passed_over(tmp_path: Path) -> None:
    write_record(tmp_path / "status.json", STATUS)
    record = json.loads((tmp_path / "status.json").read_text()) | {"later": 1}
    (tmp_path / "status.json").write_text(json.dumps(record))
    assert read_status(tmp_path / "status.json") == STATUS


@pytest.mark.parametrize("read", [read_job, read_status])
def test_what_a_newer_version_wrote_is_refused(tmp_path: Path, read: Callable[[Path], Any]) -> None:
    write_record(tmp_path / "record.json", JOB if read is read_job else STATUS)
    record = json.loads((tmp_path / "record.json").read_text())
    for schema, is_read in ((0, True), (1, True), ("x", True), (2, False)):
        (tmp_path / "record.json").write_text(json.dumps(record | {"schema": schema, "later": 1}))
        if is_read:
            assert read(tmp_path / "record.json") is not None
        else:
            with pytest.raises(MachineError, match=r"record.json: was written by a newer version of sft \(schema 2"):
                read(tmp_path / "record.json")


@pytest.mark.parametrize(
    "change",
    [
        {"state": "finished"}, {"state": ["done"]}, {"stage": "test"}, {"attempt": "1"}, {"gpus": "0"},
        {"seconds": "1"}, {"started": 5}, {"log": 3},
    ],
)  # fmt: skip
def test_a_status_with_another_meaning_is_none(tmp_path: Path, change: dict[str, Any]) -> None:
    write_record(tmp_path / "status.json", STATUS)
    record = json.loads((tmp_path / "status.json").read_text()) | change
    (tmp_path / "status.json").write_text(json.dumps(record))
    assert read_status(tmp_path / "status.json") is None


@pytest.mark.parametrize(
    "text", ["[" * 100_000, json.dumps({"state": "done", "stage": "train", "x": "y" * 2_000_000})]
)
def test_records_of_a_size_that_none_has_are_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "record.json").write_text(text)
    assert read_status(tmp_path / "record.json") is None
    assert read_error(tmp_path / "record.json") is None


@pytest.mark.parametrize("text", [None, "", "{", "[]", "{}", "null", "\x00"])
def test_records_that_cannot_be_read_are_none(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "record.json"
    if text is not None:
        path.write_text(text)
    assert read_status(path) is None
    assert read_error(path) is None


@pytest.mark.parametrize("error", [{"kind": "data"}, {"kind": "data", "message": "m", "later": 1}, {}])
def test_an_error_of_another_shape_does_not_stop_the_reader(tmp_path: Path, error: dict[str, object]) -> None:
    path = tmp_path / "status.json"
    path.write_text(json.dumps({"state": "failed", "stage": "train", "error": error}))
    read_status(path)
    path.write_bytes(b"\xff\xfe")
    assert read_status(path) is None


def test_an_error_comes_back(tmp_path: Path) -> None:
    write_record(tmp_path / "error.json", ErrorRecord("oom_gpu", "full"))
    assert read_error(tmp_path / "error.json") == ErrorRecord("oom_gpu", "full")
    write_record(tmp_path / "error.json", ErrorRecord("oom_gpu", "full", at_loading=True))
    assert read_error(tmp_path / "error.json") == ErrorRecord("oom_gpu", "full", at_loading=True)


PROGRESS = {"stage": "train", "step": 3, "total": 9, "loss": 0.5, "time": 1.0}


def test_progress_comes_back_as_it_was_written(tmp_path: Path) -> None:
    (tmp_path / "progress.json").write_text(json.dumps(PROGRESS | {"later": 1}))
    assert read_progress(tmp_path / "progress.json") == ProgressRecord("train", 3, 9, 0.5, 1.0)
    (tmp_path / "progress.json").write_text(json.dumps(PROGRESS | {"ready": 0.5}))
    assert read_progress(tmp_path / "progress.json") == ProgressRecord("train", 3, 9, 0.5, 1.0, ready=0.5)


@pytest.mark.parametrize(
    "wrong", [{"step": "3"}, {"total": None}, {"time": "now"}, {"loss": []}, {"stage": "x"}, {"ready": "now"}]
)
def test_progress_that_cannot_be_read_is_none(tmp_path: Path, wrong: dict[str, Any]) -> None:
    (tmp_path / "progress.json").write_text(json.dumps(PROGRESS | wrong))
    assert read_progress(tmp_path / "progress.json") is None
    assert read_progress(tmp_path / "nowhere") is None
