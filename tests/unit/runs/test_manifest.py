import hashlib
import json
from pathlib import Path

import pytest

from sft.exceptions import MachineError
from sft.runs.files import JobFolder
from sft.runs.manifest import ListedFile, difference, finished_files, is_done, listed_files, write_manifest


@pytest.fixture
def job(tmp_path: Path) -> JobFolder:
    (tmp_path / "adapter" / "deep").mkdir(parents=True)
    (tmp_path / "adapter" / "deep" / "weights.bin").write_bytes(b"0123456789")
    (tmp_path / "training.json").write_text("{}")
    (tmp_path / "unlisted.txt").write_text("not a result")
    made = JobFolder(tmp_path)
    write_manifest(made, [made.adapter, made.training])
    return made


def test_it_lists_every_result_with_size_and_sha256(job: JobFolder) -> None:
    files = json.loads(job.manifest.read_text())["files"]
    assert set(files) == {"adapter/deep/weights.bin", "training.json"}
    expected = {"size": 10, "sha256": hashlib.sha256(b"0123456789").hexdigest()}
    assert files["adapter/deep/weights.bin"] == expected
    assert set(finished_files(job)) == set(files)
    assert is_done(job)


def test_a_missing_file_makes_the_job_not_done(job: JobFolder) -> None:
    (job.adapter / "deep" / "weights.bin").unlink()
    assert not is_done(job)


@pytest.mark.parametrize("content", [b"012345678", b"01234567890", b""])
def test_a_file_of_another_size_makes_the_job_not_done(job: JobFolder, content: bytes) -> None:
    (job.adapter / "deep" / "weights.bin").write_bytes(content)
    assert not is_done(job)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"files": 3}', '{"files": {"a": {}}}', '{"files": {}}', "\0"]
)
def test_a_manifest_that_cannot_be_read_is_none(job: JobFolder, text: str) -> None:
    job.manifest.write_text(text)
    assert not is_done(job)


def test_no_manifest_is_not_done(tmp_path: Path) -> None:
    assert not is_done(JobFolder(tmp_path / "nowhere"))


def test_what_is_listed_is_told_also_where_it_is_gone(job: JobFolder) -> None:
    job.training.unlink()
    listed = listed_files(job)
    assert listed is not None
    assert set(listed) == {"adapter/deep/weights.bin", "training.json"}
    assert not finished_files(job)


@pytest.mark.parametrize("name", ["../other/file", "/etc/passwd", "a/../../b", "a\0b"])
def test_a_manifest_that_points_elsewhere_is_none(job: JobFolder, name: str) -> None:
    job.manifest.write_text(json.dumps({"schema": 1, "files": {name: {"size": 1, "sha256": "x"}}}))
    assert listed_files(job) is None
    assert not is_done(job)


def test_a_manifest_of_a_newer_version_is_refused(job: JobFolder) -> None:
    record = json.loads(job.manifest.read_text())
    job.manifest.write_text(json.dumps(record | {"schema": 2}))
    with pytest.raises(MachineError, match=r"manifest.json: was written by a newer version of sft \(schema 2"):
        is_done(job)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"0123456789", None),
        (b"0123456780", "another content"),
        (b"012345678", "has 9 bytes, 10 are listed"),
        (None, "is missing"),
    ],
)
def test_how_a_file_differs(job: JobFolder, content: bytes | None, what: str | None) -> None:
    path = job.adapter / "deep" / "weights.bin"
    path.unlink() if content is None else path.write_bytes(content)
    found = difference(path, ListedFile(10, hashlib.sha256(b"0123456789").hexdigest()))
    assert (found is None) if what is None else (what in (found or ""))
