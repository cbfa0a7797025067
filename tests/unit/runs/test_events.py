"""The event log: numbered lines, whole or passed over."""

import json
import os
from pathlib import Path

import pytest

from sft.runs import events
from sft.runs.events import Event, EventLog, event_of, utc_now


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


def test_lines_are_numbered_over_the_life_of_the_file(path: Path) -> None:
    first = EventLog(path)
    first.append("stages/train/a", "train", "running", 1, None)
    first.append("stages/train/a", "train", "failed", 1, "oom_gpu")
    EventLog(path).append("stages/train/a", "train", "running", 2, None)
    read = EventLog(path).read()
    assert [(event.seq, event.state, event.attempt, event.error) for event in read.events] == [
        (1, "running", 1, None), (2, "failed", 1, "oom_gpu"), (3, "running", 2, None),
    ]  # fmt: skip
    assert read.ignored == 0
    assert json.loads(path.read_text().splitlines()[0])["schema"] == 1


def test_no_log_has_no_events(path: Path) -> None:
    assert EventLog(path).read() == events.Events((), 0)


def test_lines_of_the_version_before_count_without_a_number(path: Path) -> None:
    path.write_text('{"time": "t", "job": "j", "stage": "train", "state": "done", "error": null}\n')
    EventLog(path).append("j", "infer", "running", 1, None)
    assert [event.seq for event in EventLog(path).read().events] == [0, 1]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"[]",
        b"3",
        b"\xff\xfe",
        b"[" * 100_000,
        b"{}",
        b'{"time": 1, "job": "j", "stage": "s", "state": "t"}',
    ],
)
def test_what_is_no_event_is_none(line: bytes) -> None:
    assert event_of(line) is None


def test_a_long_torn_line_does_not_hide_the_last_number(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_TAIL_BYTES", 16)
    EventLog(path).append("j", "train", "running", 1, None)
    with path.open("ab") as file:
        file.write(b'{"seq": 2, "job": "' + b"x" * 5000)
    EventLog(path).append("j", "train", "done", 1, None)
    read = EventLog(path).read()
    assert ([event.seq for event in read.events], read.ignored) == ([1, 2], 1)


def test_after_a_write_that_failed_halfway_the_next_one_is_whole(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = EventLog(path)
    log.append("j", "train", "running", 1, None)
    written = os.write
    calls = []

    def half(descriptor: int, data: bytes) -> int:
        calls.append(data)
        if len(calls) > 1:
            raise OSError(28, "No space left on device")
        return written(descriptor, data[:10])

    monkeypatch.setattr(events.os, "write", half)
    with pytest.raises(OSError, match="No space"):
        log.append("j", "train", "done", 1, None)
    monkeypatch.setattr(events.os, "write", written)
    log.append("j", "train", "done", 1, None)
    read = EventLog(path).read()
    assert ([event.seq for event in read.events], read.ignored) == ([1, 2], 1)


def test_it_is_never_written_through_a_link(path: Path, tmp_path: Path) -> None:
    (tmp_path / "canary").write_text("mine")
    path.symlink_to(tmp_path / "canary")
    with pytest.raises(OSError, match="symbolic links"):
        EventLog(path).append("j", "train", "done", 1, None)
    assert (tmp_path / "canary").read_text() == "mine"


def test_moments_are_utc_with_milliseconds() -> None:
    assert len(utc_now()) == len("2026-01-02T03:04:05.678Z")
    assert utc_now().endswith("Z")


def test_an_event_is_read_as_it_was_written() -> None:
    line = b'{"seq": 7, "time": "t", "job": "j", "stage": "infer", "state": "done", "attempt": 2, "error": "x"}'
    assert event_of(line) == Event(7, "t", "j", "infer", "done", 2, "x")
