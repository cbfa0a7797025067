"""Logs that are cut where they lie, and masked."""

from pathlib import Path
from typing import BinaryIO

import pytest

from sft.experiments.running import log_files as logs_module
from sft.experiments.running.log_files import Logs, LogSize, mask_log
from sft.runs.files import AttemptFolder

SIZE = LogSize(most=2000, head=200, tail=800)


@pytest.fixture
def attempt(tmp_path: Path) -> AttemptFolder:
    folder = AttemptFolder(tmp_path / "01")
    folder.path.mkdir()
    return folder


def lines(first: int, last: int) -> bytes:
    return b"".join(b"line %04d\n" % number for number in range(first, last))


def test_a_short_log_stays_as_it_is(attempt: AttemptFolder) -> None:
    attempt.stdout.write_bytes(b"\xff\xfe short\n" * 10)
    Logs(attempt, SIZE).close(str)
    assert attempt.stdout.read_bytes() == b"\xff\xfe short\n" * 10
    assert not attempt.stderr.exists()


def test_the_middle_of_a_long_one_is_left_out_and_its_bytes_are_told(attempt: AttemptFolder) -> None:
    attempt.stderr.write_bytes(lines(0, 1000))
    Logs(attempt, SIZE).cap()
    kept = attempt.stderr.read_bytes()
    head, _, rest = kept.partition(b"\n[... ")
    told, _, tail = rest.partition(b" bytes left out ...]\n")
    assert head == lines(0, 20)
    assert tail == lines(921, 1000)
    assert int(told) == 10_000 - len(head) - len(tail)


def test_a_writer_that_has_it_open_goes_on_behind_the_cut(attempt: AttemptFolder) -> None:
    logs = Logs(attempt, SIZE)
    with attempt.stderr.open("ab", buffering=0) as file:
        for first in range(0, 1000, 100):
            file.write(lines(first, first + 100))
            logs.cap()
    kept = attempt.stderr.read_bytes()
    head, _, rest = kept.partition(b"\n[... ")
    told, _, tail = rest.partition(b" bytes left out ...]\n")
    assert kept.count(b"left out") == 1
    assert kept.endswith(lines(930, 1000))
    assert len(kept) <= SIZE.most
    assert int(told) == 10_000 - len(head) - len(tail)


def test_what_is_written_during_the_cut_is_kept(attempt: AttemptFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    move_back = logs_module._move_back

    def late(file: BinaryIO, end: int) -> None:
        with attempt.stderr.open("ab") as other:
            other.write(b"the last words\n")
        move_back(file, end)

    monkeypatch.setattr(logs_module, "_move_back", late)
    attempt.stderr.write_bytes(lines(0, 1000))
    Logs(attempt, SIZE).cap()
    assert attempt.stderr.read_bytes().endswith(lines(999, 1000) + b"the last words\n")


def test_a_flood_without_line_ends_is_cut_too(attempt: AttemptFolder) -> None:
    attempt.stdout.write_bytes(b"x" * 5000)
    Logs(attempt, SIZE).cap()
    assert attempt.stdout.read_bytes() == b"x" * 200 + b"\n[... 4000 bytes left out ...]\n" + b"x" * 800


def test_masking_keeps_every_other_byte(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"\xff a canary\r\nnothing\rcanary canary\n\xe2\x80\xa8 canary")
    mask_log(log, lambda text: text.replace("canary", "***"))
    assert log.read_bytes() == b"\xff a ***\r\nnothing\r*** ***\n\xe2\x80\xa8 ***"
    mask_log(tmp_path / "none", str)


@pytest.mark.parametrize("put", ["*", "a longer one than it was"])
def test_masking_reads_a_log_part_by_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, put: str) -> None:
    monkeypatch.setattr(logs_module, "_CHUNK", 100)
    log, parts, lines = tmp_path / "log", [], [f"line {number} has a canary" for number in range(200)]
    log.write_text("\n".join(lines))

    def mask(text: str) -> str:
        parts.append(text)
        return text.replace("canary", put)

    mask_log(log, mask)
    assert log.read_text() == "\n".join(lines).replace("canary", put)
    assert max(map(len, parts)) < 150
    assert len(parts) < len(lines)


def test_a_log_without_secrets_is_not_written(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"nothing\n")
    log.chmod(0o444)
    before = log.stat().st_mtime_ns
    mask_log(log, str)
    assert log.stat().st_mtime_ns == before
