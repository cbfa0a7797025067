"""What is read of the system's own files about memory; they are made here."""

import os
from pathlib import Path

import pytest

from sft.processes.memory import memory_limit, oom_counter, oom_kills, peak_memory


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    (tmp_path / "proc" / "self").mkdir(parents=True)
    (tmp_path / "proc" / "meminfo").write_text("MemTotal:       16000 kB\nMemFree: 1 kB\n")
    return tmp_path / "proc"


def group(tmp_path: Path, proc: Path, line: str, folder: str, **files: str) -> Path:
    (proc / "self" / "cgroup").write_text(line)
    path = tmp_path / "cgroup" / folder
    path.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (path / name.replace("_", ".", 1)).write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("low 0\noom 4\noom_kill 3\noom_group_kill 0\n", 3),
        ("oom_kill_disable 0\nunder_oom 0\noom_kill 7\n", 7),
        ("oom_kill\n", None),
        ("oom_kill x\n", None),
        ("", None),
    ],
)
def test_kills_are_counted_by_the_system(tmp_path: Path, text: str, count: int | None) -> None:
    (tmp_path / "memory.events").write_text(text)
    assert oom_kills(tmp_path / "memory.events") == count


def test_without_a_counter_nothing_is_known(tmp_path: Path) -> None:
    assert oom_kills(None) is None
    assert oom_kills(tmp_path / "nowhere") is None


def test_the_counter_is_that_of_the_own_group(tmp_path: Path, proc: Path) -> None:
    path = group(tmp_path, proc, "0::/user/me\n", "user/me", memory_events="oom_kill 1\n")
    assert oom_counter(proc, tmp_path / "cgroup") == path / "memory.events"


def test_in_a_container_it_stands_at_the_top(tmp_path: Path, proc: Path) -> None:
    path = group(tmp_path, proc, "4:memory:/outside/name\n0::/\n", "memory")
    (path / "memory.oom_control").write_text("oom_kill 0\n")
    assert oom_counter(proc, tmp_path / "cgroup") == path / "memory.oom_control"


def test_no_group_has_no_counter(tmp_path: Path, proc: Path) -> None:
    assert oom_counter(proc, tmp_path / "cgroup") is None


@pytest.mark.parametrize(("limit", "expected"), [("max", 16000 * 1024), ("4096", 4096), ("99999999999", 16000 * 1024)])
def test_the_limit_is_the_machine_s_or_the_group_s(tmp_path: Path, proc: Path, limit: str, expected: int) -> None:
    group(tmp_path, proc, "0::/me\n", "me", memory_max=f"{limit}\n")
    assert memory_limit(proc, tmp_path / "cgroup") == expected


def test_a_limit_further_up_counts(tmp_path: Path, proc: Path) -> None:
    group(tmp_path, proc, "0::/pod/me/step\n", "pod", memory_max="4096\n")
    group(tmp_path, proc, "0::/pod/me/step\n", "pod/me/step", memory_max="max\n")
    assert memory_limit(proc, tmp_path / "cgroup") == 4096


def test_nothing_is_known_without_the_files(tmp_path: Path) -> None:
    assert memory_limit(tmp_path, tmp_path) is None
    assert peak_memory(1, tmp_path) is None


def test_the_peak_of_a_process(proc: Path) -> None:
    (proc / "7").mkdir()
    (proc / "7" / "status").write_text("Name:\tpython\nVmPeak:\t 9 kB\nVmHWM:\t     812 kB\n")
    assert peak_memory(7, proc) == 812 * 1024
    own = peak_memory(os.getpid())
    assert own is None or own > 1_000_000
