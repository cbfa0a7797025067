"""The time limits of a stage."""

import os
from pathlib import Path

import pytest

from sft.experiments.running.attempts.attempt import Limits, Watch, _sign
from sft.runs.progress import Progress

NEVER = float("inf")


def test_without_limits_nothing_is_over() -> None:
    watch = Watch(Limits(), "train", now=0.0)
    assert (watch.overrun(1e9), watch.deadline()) == (None, NEVER)


def test_the_time_of_a_stage_counts_from_its_start() -> None:
    watch = Watch(Limits(timeout=3600.0), "train", now=100.0)
    assert watch.deadline() == 3700.0
    assert watch.overrun(3699.9) is None
    error = watch.overrun(3700.0)
    assert error is not None
    assert (error.kind, error.message) == ("timeout", "train ran longer than 3600 s (timeout)")


def test_a_stall_counts_from_the_first_line_and_from_every_change() -> None:
    watch = Watch(Limits(stall_timeout=900.0), "infer", now=0.0)
    watch.hear(None, 1.0)
    assert (watch.overrun(5000.0), watch.deadline()) == (None, NEVER)
    watch.hear(b"1", 5000.0)
    watch.hear(b"1", 5800.0)
    assert (watch.overrun(5899.0), watch.deadline()) == (None, 5900.0)
    watch.hear(b"2", 5899.0)
    assert watch.overrun(6798.0) is None
    error = watch.overrun(6799.0)
    assert error is not None
    assert (error.kind, error.message) == (
        "stall",
        "no progress for 900 s (stall_timeout); stacks of all threads are at the end of stderr.log",
    )


def test_the_wait_for_a_process_does_not_count() -> None:
    watch = Watch(Limits(timeout=10.0), "train", now=0.0)
    watch.wait(7.0)
    assert (watch.seconds(9.0), watch.deadline(), watch.overrun(16.9)) == (2.0, 17.0, None)


@pytest.mark.parametrize(("limits", "deadline"), [(Limits(5.0, 9.0), 5.0), (Limits(9.0, 5.0), 6.0)])
def test_the_nearer_limit_counts(limits: Limits, deadline: float) -> None:
    watch = Watch(limits, "train", now=0.0)
    watch.hear(b"1", 1.0)
    assert watch.deadline() == deadline


def test_a_sign_is_what_is_written_and_no_time_of_a_file(tmp_path: Path) -> None:
    """A network disk may show an old time for a minute, and the same inode."""
    path = tmp_path / "progress.json"
    assert _sign(path) is None
    progress = Progress(path, "train")
    progress.hello()
    first = _sign(path)
    os.utime(path, (0, 0))
    assert _sign(path) == first
    found = path.stat()
    text = path.read_text().replace('"step": 0', '"step": 1')
    path.write_text(text)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert _sign(path) != first


def test_progress_is_read_only_where_a_stall_would_end_the_stage() -> None:
    assert not Watch(Limits(timeout=1.0), "train", now=0.0).listens
    assert Watch(Limits(stall_timeout=1.0), "train", now=0.0).listens
