import signal
from pathlib import Path
from typing import Any

import pytest

from sft.experiments.running.attempts.diagnosis import MemorySeen, error_of
from sft.runs.attempts import last_line
from sft.runs.files import AttemptFolder, ResultsFolder
from sft.runs.records import ErrorRecord, StatusRecord, write_record
from sft.runs.states import reason
from sft.terminal.job_story import story


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


@pytest.mark.parametrize(
    ("memory", "kind", "said"),
    [
        (MemorySeen(), "killed", "Often the system ran out of memory. Try"),
        (
            MemorySeen(peak_bytes=21_400_000_000, limit_bytes=24_000_000_000),
            "killed",
            "Often the system ran out of memory (peak seen: 21.4 GB of 24.0 GB). Try fewer parallel experiments.",
        ),
        (MemorySeen(peak_bytes=1_000_000_000), "killed", "(peak seen: 1.0 GB). Try"),
        (
            MemorySeen(oom_kills=1),
            "oom_host",
            "Meanwhile the system killed 1 of its processes for want of memory. Try",
        ),
    ],
)
def test_what_was_seen_of_memory_is_the_suspicion(
    attempt: AttemptFolder, memory: MemorySeen, kind: str, said: str
) -> None:
    error = error_of(attempt, -signal.SIGKILL, memory)
    assert error.kind == kind
    assert error.message.startswith("worker was ended by SIGKILL, which this program did not send. ")
    assert said in error.message


OOM = ErrorRecord("oom_gpu", "GPU out of\n memory (batch 16)")


@pytest.mark.parametrize(
    ("status", "state", "said"),
    [
        (StatusRecord("failed", "train", error=OOM), None, "at train: GPU out of  memory (batch 16)"),
        (StatusRecord("interrupted", "train"), None, "interrupted"),
        (StatusRecord("running", "infer"), "lost", "at infer: its runner ended without recording how"),
        (StatusRecord("done", "infer"), "damaged", "at infer: its result files are not those of its manifest"),
        (None, "lost", "its runner ended without recording how"),
        (None, None, "pending"),
        (StatusRecord("failed", "train", error=OOM), "done", "done"),
    ],
)
def test_reasons(status: StatusRecord | None, state: Any, said: str) -> None:
    assert reason(status, state) == said


@pytest.mark.parametrize(
    ("state", "error", "log", "said"),
    [
        (
            "failed", OOM, "stages/train/k/attempts/01/stderr.log",
            "FAILED lora [3f9a1c2e] at train: GPU out of  memory (batch 16). Log: results/stages/train/k/attempts/01/"
            "stderr.log. Again: python -m sft.worker results/stages/train/k",
        ),
        (
            "timeout", ErrorRecord("timeout", "train ran longer than 1 s (timeout)."), "stages/train/k/attempts/01/x",
            "FAILED lora [3f9a1c2e] at train: train ran longer than 1 s (timeout). Log: results/stages/train/k/"
            "attempts/01/x. Again: python -m sft.worker results/stages/train/k",
        ),
        ("failed", OOM, None, "FAILED lora [3f9a1c2e] at train: GPU out of  memory (batch 16)"),
        (
            "interrupted", ErrorRecord("killed", "stopped by SIGINT"), "a/b/c/d",
            "INTERRUPTED lora [3f9a1c2e] at train: stopped by SIGINT",
        ),
        ("lost", None, None, "LOST lora [3f9a1c2e] at train: its runner ended without recording how"),
    ],
)  # fmt: skip
def test_the_line_about_a_job_that_is_not_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: Any, error: ErrorRecord | None, log: str | None, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    status = StatusRecord("running" if state == "lost" else state, "train", attempt=1, error=error, log=log)
    assert story("lora", "3f9a1c2e77c0ffee", status, state, ResultsFolder(tmp_path / "results")) == said
