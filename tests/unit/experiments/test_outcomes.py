import signal
from pathlib import Path

import pytest

from sft.experiments.outcomes import error_of, last_line, reason
from sft.runs.files import AttemptFolder
from sft.runs.records import ErrorRecord, StatusRecord, write_record


@pytest.fixture
def attempt(tmp_path: Path) -> AttemptFolder:
    made = AttemptFolder(tmp_path)
    made.stderr.write_text("Traceback\n  deep\nValueError: why\n\n   \n")
    return made


@pytest.mark.parametrize("code", [0, 1, 11, -9, -11])
def test_what_the_worker_wrote_counts_before_its_exit_code(attempt: AttemptFolder, code: int) -> None:
    write_record(attempt.error, ErrorRecord("oom_gpu", "12 GB asked"))
    assert error_of(attempt, code) == ErrorRecord("oom_gpu", "12 GB asked")


@pytest.mark.parametrize(
    ("code", "kind", "part"),
    [
        (0, "no_result", "code 0 but wrote no manifest"),
        (1, "crash", "ended with code 1: ValueError: why"),
        (200, "crash", "ended with code 200"),
        (12, "oom_gpu", "ended with code 12"),
        (17, "disk_full", "ended with code 17"),
        (137, "killed", "ended by SIGKILL"),
        (139, "crash", "ended by SIGSEGV"),
        (-signal.SIGKILL, "killed", "ran out of memory"),
        (-signal.SIGTERM, "killed", "ended by SIGTERM"),
        (-signal.SIGSEGV, "crash", "ended by SIGSEGV"),
        (-signal.SIGABRT, "crash", "ended by SIGABRT"),
        (-signal.SIGBUS, "crash", "ended by SIGBUS"),
    ],
)
def test_every_kind_of_end(attempt: AttemptFolder, code: int, kind: str, part: str) -> None:
    error = error_of(attempt, code)
    assert error.kind == kind
    assert part in error.message
    assert "\n" not in error.message


def test_a_signal_without_a_name_does_not_stop_the_runner(attempt: AttemptFolder) -> None:
    assert error_of(attempt, -40).kind == "killed"


@pytest.mark.parametrize("text", ["{", "[]", '{"kind": "data"}'])
def test_a_broken_error_file_falls_back_to_the_exit_code(attempt: AttemptFolder, text: str) -> None:
    attempt.error.write_text(text)
    assert error_of(attempt, 0).kind == "no_result"


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", ""),
        (b"\n \n", ""),
        (b"one\ntwo\n", "two"),
        (b"one\n  two  ", "two"),
        (b"x\n" * 10_000 + b"end\n", "end"),
        (b"\xff\xfe bad\n", "\ufffd\ufffd bad"),
    ],
)
def test_the_last_line_that_says_something(tmp_path: Path, content: bytes, line: str) -> None:
    (tmp_path / "log").write_bytes(content)
    assert last_line(tmp_path / "log") == line


def test_no_log_has_no_last_line(tmp_path: Path) -> None:
    assert last_line(tmp_path / "log") == ""


def test_reasons() -> None:
    assert reason(StatusRecord("failed", "train", error=ErrorRecord("data", "no rows"))) == "at train: no rows"
    assert reason(StatusRecord("interrupted", "train")) == "interrupted"
