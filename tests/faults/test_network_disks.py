"""Results folders on network disks: a small grid where files show late and calls are refused, and where each machine
has the folder elsewhere.
"""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from sft.exceptions import FolderInUse
from sft.runs.chains import Begun, Ended, Orders, SubmittedTry, read
from sft.runs.claims import claim
from sft.runs.files import JobFolder, ResultsFolder
from sft.runs.lock import lock_holder, locked
from sft.runs.records import write_record
from tests.support import process_cluster
from tests.support.late_disk import late_disk
from tests.support.process_cluster import HOST, UNSHARE, may_unshare
from tests.support.reproducible import reproducible

ENVIRONMENT = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
ON_PROCESSES = ("--executor", "processes")
LATE_SECONDS = 1.0
needs_namespaces = pytest.mark.skipif(not may_unshare(), reason="NOT TESTED: no namespaces here (unshare refused)")

ROOT = Path(__file__).resolve().parents[2]
WRITE = """
import json, sys
from pathlib import Path
from benchmarks.engine.tiny_project import write_project
from tests.faults.killed_ten_times import small_grid
write_project(Path(sys.argv[1]))
Path(sys.argv[1], "grid.json").write_text(json.dumps(small_grid()), "utf-8")
"""
HOLD = """
import errno, fcntl, os, sys
from pathlib import Path
def refuse(*_): raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))
fcntl.flock = refuse
from sft.runs.claims import claim
from sft.runs.files import ResultsFolder
from sft.runs.lock import locked
claim.BEAT_SECONDS = 0.05
with locked(ResultsFolder(Path(sys.argv[1]))):
    print("held", flush=True)
    sys.stdin.read()
"""
LOOK = """
import sys
from pathlib import Path
from sft.experiments.executors.chains.cluster import Seen
from sft.experiments.executors.chains.handle import ChainHandle, Submitted
from sft.experiments.executors.protocol import JobAttempt, Request
from sft.runs.attempts import begin_attempt
from sft.runs.chains import SubmittedTry
from sft.runs.files import JobFolder
folder = JobFolder(Path(sys.argv[1]))
attempt = begin_attempt(folder)
chain = Submitted("sft-i", SubmittedTry(attempt.path).chain, Request(), "1", Seen("running"))
handle = ChainHandle(JobAttempt(folder, attempt), chain)
for now in (0.0, 1.0, 60.0):
    print(handle.look(now), flush=True)
    sys.stdin.readline()
"""

HEED = """
import sys
from pathlib import Path
from sft.runs.attempts import begin_attempt
from sft.runs.chains import Link
from sft.runs.files import JobFolder
from sft.worker.chain import orders_of
folder = JobFolder(Path(sys.argv[1]))
link = Link(folder.path, begin_attempt(folder).path.name)
for _ in range(2):
    print(orders_of(link).grace, flush=True)
    sys.stdin.readline()
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a grid, its data and its model."""
    folder = tmp_path_factory.mktemp("project")
    subprocess.run([sys.executable, "-c", WRITE, str(folder)], cwd=ROOT, check=True)
    return folder


@pytest.fixture(scope="module")
def undisturbed(project: Path) -> dict[str, bytes]:
    """What the grid gives on this machine."""
    run(project / "here", [])
    return reproducible(project / "here")


def run(results: Path, options: Sequence[str], more: Mapping[str, str] | None = None) -> str:
    """Run the grid beside a results folder; what the command wrote."""
    words = [process_cluster.__file__, f"{results}.submitted", "run-experiments", "grid.json"]
    done = subprocess.run(
        [sys.executable, *words, "--results-path", str(results), *options],
        cwd=results.parent,
        env=os.environ | ENVIRONMENT | (more or {}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


def tries(results: ResultsFolder) -> list[SubmittedTry]:
    jobs = [job for stage in ("train", "infer", "evaluate", "baseline") for job in results.job_folders(stage)]
    return [SubmittedTry(attempt.path) for job in jobs for attempt in job.attempts()]


@pytest.mark.slow
@pytest.mark.parametrize(("seconds", "opened"), [(LATE_SECONDS, False), (1000.0, True)])
def test_a_grid_on_a_late_disk_ends_as_on_a_good_one_and_runs_nothing_twice(
    project: Path, undisturbed: dict[str, bytes], late_library: Path, seconds: float, opened: bool
) -> None:
    results = ResultsFolder(project / f"late-{opened}")
    told = run(results.path, ON_PROCESSES, late_disk(late_library, results.path, seconds, opened=opened))
    assert reproducible(results.path) == undisturbed
    assert {found.path.name for found in tries(results)} == {"01"}
    warnings = [line for line in told.splitlines() if "the file system of" in line]
    assert [line.rpartition("(")[2].partition(":")[0] for line in warnings] == ["flock", "fsync"]
    assert "a run claims a folder" in warnings[0]
    assert lock_holder(results) is None
    assert [path.name for path in results.claims.iterdir()] == ["1"]


def test_the_end_of_a_job_is_seen_before_its_chain_ends_though_it_was_looked_for_before(
    tmp_path: Path, late_library: Path
) -> None:
    ends = SubmittedTry(JobFolder(tmp_path / "job").attempt(1).path).ended
    told = told_while_written(LOOK, late_disk(late_library, tmp_path, 1000.0, opened=True), ends, Ended(1))
    assert told == ["False", "False", "True"], "first as the disk remembers it, then as it is"


def test_an_order_is_seen_though_it_was_looked_for_before(tmp_path: Path, late_library: Path) -> None:
    orders = SubmittedTry(JobFolder(tmp_path / "job").attempt(1).path).orders
    told = told_while_written(HEED, late_disk(late_library, tmp_path, 1000.0, opened=True), orders, Orders(grace=7.0))
    assert told == ["None", "7.0"]


def told_while_written(script: str, disk: Mapping[str, str], path: Path, record: Any) -> list[str]:
    """What a script, which gets the folder of the job, prints before and after another machine writes a record."""
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path.parents[2])],
        env=os.environ | disk,
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as looking:
        assert looking.stdin is not None
        assert looking.stdout is not None
        before = looking.stdout.readline()
        write_record(path, record)
        looking.stdin.write("\n" * 3)
        looking.stdin.flush()
        return [before.strip(), *looking.stdout.read().split()]


@pytest.mark.slow
@needs_namespaces
def test_machines_may_see_the_results_folder_under_different_paths(
    project: Path, tmp_path: Path, undisturbed: dict[str, bytes]
) -> None:
    results, there = ResultsFolder(project / "results"), tmp_path / "there"
    there.mkdir()
    run(results.path, [*ON_PROCESSES, "--executor-option", f"results_path={there}"])
    assert reproducible(results.path) == undisturbed
    begun = [read(found.begun, Begun) for found in tries(results)]
    assert {found.host for found in begun if found is not None} == {HOST}
    assert {found.path.name for found in tries(results)} == {"01"}
    assert list(there.iterdir()) == []
    (probe,) = results.probes.iterdir()
    assert (f'"path": "{there}"' in probe.read_text(), f'"host": "{HOST}"' in probe.read_text()) == (True, True)


@needs_namespaces
def test_a_run_on_another_machine_is_refused_and_found_gone_by_its_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(37, os.strerror(37))

    monkeypatch.setattr("fcntl.flock", refuse)
    monkeypatch.setattr(claim, "SILENT_SECONDS", 5.0)
    monkeypatch.setattr(claim, "PAUSE_SECONDS", 0.01)
    results = ResultsFolder(tmp_path / "results")
    words = [*UNSHARE, "sh", "-c", 'hostname "$1" && shift && exec "$@"', "sh", HOST, sys.executable, "-c", HOLD]
    holder = subprocess.Popen([*words, str(results.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(FolderInUse, match=f"on host {HOST}"):
            locked(results).__enter__()
    finally:
        holder.kill()
        holder.communicate()
    monkeypatch.setattr(claim, "SILENT_SECONDS", 0.5)
    assert HOST in (lock_holder(results) or "")  # nobody has watched it yet
    with locked(results):
        assert HOST not in (lock_holder(results) or "")
    assert lock_holder(results) is None
