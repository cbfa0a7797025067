"""What the runner writes, also where it finds no space."""

import errno
import json
from pathlib import Path
from typing import Any

import pytest

from sft.experiments.running import status_writer as journal_module
from sft.experiments.running.status_writer import Journal
from sft.runs.files import ResultsFolder
from sft.runs.records import StatusRecord, read_status
from tests.support.fake_executor import job

RUNNING = StatusRecord("running", "infer", attempt=1)
DONE = StatusRecord("done", "infer", attempt=1)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def journal(results: ResultsFolder, said: list[str]) -> Journal:
    results.path.mkdir()
    return Journal(results, said.append)


def states(results: ResultsFolder) -> list[tuple[int, str]]:
    lines = results.events.read_text().splitlines() if results.events.exists() else []
    return [(json.loads(line)["seq"], json.loads(line)["state"]) for line in lines]


def full(monkeypatch: pytest.MonkeyPatch, number: int = errno.ENOSPC) -> None:
    def write(path: Path, _record: Any) -> None:
        raise OSError(number, "no", str(path))

    monkeypatch.setattr(journal_module, "write_record", write)


def test_a_state_is_written_and_told(journal: Journal, results: ResultsFolder) -> None:
    planned = job(results, "infer", "i")
    journal.record(planned.folder, RUNNING)
    journal.update(planned.folder, DONE)
    assert read_status(planned.folder.status) == DONE
    assert states(results) == [(1, "running")]


def test_what_finds_no_space_is_kept_told_once_and_written_later(
    journal: Journal, results: ResultsFolder, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = job(results, "infer", "i"), job(results, "infer", "j")
    with monkeypatch.context() as patch:
        full(patch)
        journal.record(first.folder, RUNNING)
        journal.record(second.folder, RUNNING)
        journal.record(first.folder, DONE)
        assert (journal.unwritten, states(results)) == (5, [])
    assert said == [f"no space left while writing {first.folder.status}; it is tried again"]
    journal.flush()
    assert (journal.unwritten, read_status(first.folder.status)) == (0, DONE)
    assert states(results) == [(1, "running"), (2, "running"), (3, "done")]


def test_events_that_find_no_space_keep_their_order(
    journal: Journal, results: ResultsFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = job(results, "infer", "i")
    with monkeypatch.context() as patch:
        patch.setattr("sft.runs.events.os.write", _no_space)
        journal.record(planned.folder, RUNNING)
    journal.record(planned.folder, DONE)
    assert states(results) == [(1, "running"), (2, "done")]


def _no_space(*_: Any) -> int:
    raise OSError(errno.ENOSPC, "no")


def test_other_faults_are_raised(journal: Journal, results: ResultsFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    full(monkeypatch, errno.EACCES)
    with pytest.raises(PermissionError):
        journal.record(job(results, "infer", "i").folder, RUNNING)
