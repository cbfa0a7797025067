"""Disks that are full, results folders that cannot be used, logs that flood: nothing that is finished is lost."""

import contextlib
import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sft.experiments.executors.local import processes
from sft.experiments.running.log_files import LogSize
from sft.runs.files import ResultsFolder
from sft.runs.manifest import is_done

BOTH_STARTS = pytest.mark.parametrize("start", ["warm", pytest.param("fresh", marks=pytest.mark.slow)])
STAGES = ("train", "infer", "evaluate")


def unchanged(folder: Any) -> dict[str, int]:
    """The files of a folder and when they were written."""
    return {path.name: path.stat().st_mtime_ns for path in folder.path.iterdir() if path.is_file()}


@BOTH_STARTS
def test_a_full_disk_in_a_worker_stops_the_grid_and_loses_nothing__row_21(grid: Any, start: str) -> None:
    finished = grid.add("finished")
    full = grid.add("full", "disk_full")
    grid.add("later")
    full.path.mkdir(parents=True)
    (full.path / "result.json").write_text("old")
    assert grid.run(start=start) == 5
    assert grid.states() == {"finished": "done", "full": "failed", "later": None}
    assert (grid.status("full").error.kind, is_done(full)) == ("disk_full", False)
    assert (full.path / "result.json").read_text() == "old"
    assert "no space left while writing" in grid.output()
    assert "Finished experiments are safe; free space and run the same command." in grid.output()
    before = unchanged(finished)
    grid.add("full")
    assert grid.run(start=start) == 0
    assert set(grid.states().values()) == {"done"}
    assert unchanged(finished) == before


@pytest.mark.slow
@pytest.mark.parametrize("k", range(1, 6))
@BOTH_STARTS
def test_a_disk_that_is_full_at_any_write_of_a_worker__row_21(grid: Any, start: str, k: int, stub_faults: Any) -> None:
    grid.add("a", stages=STAGES)
    stub_faults(enospc_at=k, **{"in": "worker"})
    code = grid.run(start=start)
    assert code in (0, 5)
    assert (code == 0) == is_done(grid.folder("a"))
    stub_faults()
    assert grid.run(start=start) == 0


def test_a_disk_that_is_full_at_a_write_of_the_runner__row_22(grid: Any, stub_faults: Any) -> None:
    assert _survives(grid, stub_faults, 2)


@pytest.mark.slow
def test_a_disk_that_is_full_at_any_write_of_the_runner__row_22(grid: Any, stub_faults: Any) -> None:
    k = 1
    while _survives(grid, stub_faults, k):
        k += 1
    assert k > 9, "each of three jobs is written at least three times"


def _survives(grid: Any, stub_faults: Any, k: int) -> bool:
    """Run a grid whose runner finds no space at its k-th write, then once more; whether there was a k-th write."""
    folder = grid.results.path.parent / f"results-{k}"
    grid.results = ResultsFolder(folder)
    grid.add("a", stages=STAGES)
    stub_faults(enospc_at=k, **{"in": "runner"})
    code = grid.run()
    told = grid.output().count("no space left while writing")
    assert code in (0, 5), grid.output()
    assert "Traceback" not in grid.output()
    for number in range(3):
        job = grid.folder("a", number)
        done = job.status.exists() and json.loads(job.status.read_text())["state"] == "done"
        assert not done or is_done(job), f"k={k}: {job.path} was made done"
    stub_faults()
    assert grid.run() == 0
    assert set(grid.states().values()) == {"done"}
    seqs = [json.loads(line)["seq"] for line in grid.results.events.read_text().splitlines()]
    assert seqs == list(range(1, len(seqs) + 1))
    if told and code == 0:
        assert told == 1, "it is told once"
    return told > 0


def test_a_results_path_that_is_a_file_ends_with_5_before_anything__row_70(grid: Any) -> None:
    grid.add("a")
    grid.results.path.write_text("in the way")
    assert grid.run() == 5
    assert f"{grid.results.path}: cannot be used as results folder" in grid.output()
    assert grid.results.path.read_text() == "in the way"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_results_folder_ends_with_5_before_anything__row_70(grid: Any) -> None:
    grid.add("a")
    grid.results.path.mkdir(mode=0o555)
    assert grid.run() == 5
    assert "cannot be used as results folder" in grid.output()


def test_a_missing_results_folder_is_made__row_70(grid: Any) -> None:
    grid.results = ResultsFolder(grid.results.path / "a" / "b")
    grid.add("a")
    assert grid.run() == 0


@BOTH_STARTS
def test_a_flood_of_output_is_cut_to_head_and_tail__row_72(grid: Any, start: str) -> None:
    flood = grid.add("flood", "print_megabytes", megabytes=50)
    grid.spec = {"around": {"tick_seconds": 60.0}}
    assert grid.run(start=start) == 0
    attempt = flood.attempts()[0]
    size = LogSize()
    kept = attempt.stdout.read_bytes()
    assert len(kept) <= size.most
    head, marker, tail = kept.partition(b" bytes left out ...]\n")
    assert marker
    assert head.startswith(b"x" * 999 + b"\n")
    assert tail.endswith(b"x" * 999 + b"\n")
    assert b"\xff\xfe\n" in attempt.stderr.read_bytes()


@pytest.mark.slow
def test_the_log_of_a_running_job_is_cut_while_it_runs__row_72(grid: Any, wait: Callable[..., Any]) -> None:
    flood = grid.add("flood", "print_megabytes", megabytes=30, then="sleep")
    process = grid.start()
    wait((flood.path / "marker-printed").exists)
    log = flood.attempts()[0].stdout
    wait(lambda: b"bytes left out" in log.read_bytes()[:3_000_000])
    assert process.poll() is None
    (flood.path / "marker-go").touch()
    assert process.wait(30) == 0


@pytest.mark.slow
def test_a_results_folder_on_a_small_file_system__row_21(grid: Any, tmp_path: Path) -> None:
    """As root where a tmpfs can be mounted; what is finished survives."""
    place = tmp_path / "small"
    place.mkdir()
    if os.system(f"mount -t tmpfs -o size=400k tmpfs {place} 2>/dev/null") != 0:
        pytest.skip("a small file system cannot be mounted here")
    try:
        grid.results = ResultsFolder(place / "results")
        for number in range(3):
            grid.add(f"small-{number}")
        assert grid.run() == 0
        _fill(place / "ballast")
        grid.add("more", stages=STAGES)
        assert grid.run() == 5
        assert "no space left" in grid.output()
        assert all(is_done(grid.folder(f"small-{number}")) for number in range(3))
        (place / "ballast").unlink()
        assert grid.run() == 0
    finally:
        os.system(f"umount {place}")


def _fill(path: Path) -> None:
    with path.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)


def test_no_inode_left_for_the_files_of_a_worker_is_a_full_disk(jobs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(processes, "start_fresh", refuse)
    handle = jobs.run(jobs.executor("fresh"), jobs.job("succeed"))
    assert handle.error.kind == "disk_full"
