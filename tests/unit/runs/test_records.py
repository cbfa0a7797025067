import json
from pathlib import Path

import pytest

from sft.runs.records import (
    ErrorRecord,
    JobRecord,
    StatusRecord,
    read_error,
    read_job,
    read_status,
    write_record,
)

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


@pytest.mark.parametrize("status", [STATUS, StatusRecord("pending", "infer")])
def test_a_status_comes_back_as_it_was_written(tmp_path: Path, status: StatusRecord) -> None:
    write_record(tmp_path / "status.json", status)
    assert read_status(tmp_path / "status.json") == status


def test_keys_that_a_later_version_added_are_passed_over(tmp_path: Path) -> None:
    write_record(tmp_path / "status.json", STATUS)
    record = json.loads((tmp_path / "status.json").read_text()) | {"later": 1}
    (tmp_path / "status.json").write_text(json.dumps(record))
    assert read_status(tmp_path / "status.json") == STATUS


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
