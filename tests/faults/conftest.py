"""Jobs that run the stub, and a look at every process that was started meanwhile."""

import os
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sft.experiments.executors.handle import Submission
from sft.experiments.executors.local.processes import JobProcesses
from sft.experiments.executors.protocol import Lease
from sft.processes.fault_injection import VARIABLE
from sft.runs.attempts import begin_attempt
from sft.runs.files import JobFolder, ResultsFolder
from sft.runs.records import JobRecord, write_record
from tests.faults import grid_process, stub
from tests.support.late_disk import is_missing, made_library
from tests.support.ray_cluster import Nodes, two_nodes
from tests.support.ray_cluster import is_missing as ray_is_missing
from tests.support.slurm import missing_programs, slurm
from tests.support.waiting import PATIENCE, wait_until

MARK = "SFT_TEST_MARK"
PORT = 21_000
"""Of the first Slurm of this machine that a test starts."""


def is_alive(pid: int) -> bool:
    """Whether there is a process of this id that is no zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] != "Z"


def marked(mark: str) -> dict[int, str]:
    """The living processes with this mark in their environment, and their command lines."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if f"{MARK}={mark}".encode() in (entry / "environ").read_bytes() and is_alive(int(entry.name)):
                found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
    return found


@pytest.fixture(autouse=True)
def no_process_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], dict[int, str]]]:
    """Marks all that a test starts, and asserts at its end that nothing of it lives; gives what lives now."""
    mark = uuid.uuid4().hex
    monkeypatch.setenv(MARK, mark)
    yield lambda: marked(mark)
    wait_until(lambda: not marked(mark), 20.0)


class Jobs:
    """Makes and runs stub jobs in a results folder."""

    def __init__(self, results: ResultsFolder) -> None:
        self.results = results
        self.said: list[str] = []
        self._executors: list[JobProcesses] = []

    def executor(self, start: Any, **settings: Any) -> JobProcesses:
        """An executor that is closed at the end of the test; what it says is in `said`."""
        made = JobProcesses(start, say=self.said.append, **settings)
        self._executors.append(made)
        return made

    def job(self, do: str, key: str = "", lease: Lease | None = None, **options: Any) -> Submission:
        """A job that is ready to be submitted, as its next attempt."""
        folder = self.results.stage("infer", key or do)
        attempt = begin_attempt(folder)
        record = JobRecord("infer", key or do, do, stub.config(do, **options), str(self.results.path), {})
        write_record(folder.job, record)
        return Submission(folder, attempt, lease or Lease())

    def run(self, executor: JobProcesses, job: Submission, seconds: float = PATIENCE) -> Any:
        """Submit a job and wait for its end."""
        return self.end(executor, executor.submit(job), seconds)

    def end(self, executor: JobProcesses, handle: Any, seconds: float = PATIENCE) -> Any:
        """Wait for the end of a job."""
        deadline = time.monotonic() + seconds
        while handle.exit_code() is None:
            assert time.monotonic() < deadline, f"the job did not end within {seconds} s"
            executor.ended(0.5)
        return handle

    def close(self) -> None:
        """Close every executor."""
        for executor in self._executors:
            executor.close()


def marker(folder: JobFolder, name: str) -> Path:
    """A marker of the stub."""
    return folder.path / f"marker-{name}"


def read_marker(folder: JobFolder, name: str) -> str:
    """A marker's text, as soon as it is there."""
    path = marker(folder, name)
    wait_until(path.exists)
    return path.read_text()


@pytest.fixture
def stub_faults(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Has every stage run the stub, and further faults happen."""

    def set_faults(**more: Any) -> None:
        monkeypatch.setenv(VARIABLE, stub.faults(**more))

    set_faults()
    return set_faults


@pytest.fixture
def jobs(
    tmp_path: Path, stub_faults: Callable[..., None], no_process_left: Callable[[], dict[int, str]]
) -> Iterator[Jobs]:
    made = Jobs(ResultsFolder(tmp_path / "results"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def slurm_environment() -> Iterator[dict[str, str]]:
    missing = missing_programs()
    if missing:
        pytest.skip(f"NOT TESTED: no Slurm here ({', '.join(missing)} missing)")
    # munge wants a folder that everybody may enter, with all its parents.
    with tempfile.TemporaryDirectory() as folder, slurm(Path(folder), PORT + 2 * (os.getpid() % 5_000)) as environment:
        yield environment


@pytest.fixture
def grid(
    tmp_path: Path, stub_faults: Callable[..., None], no_process_left: Callable[[], dict[int, str]]
) -> Iterator[Any]:
    """A grid of stub jobs that is run by a real runner in a process of its own."""
    made = grid_process.Grid(tmp_path, stub.config)
    yield made
    made.close()


@pytest.fixture
def wait() -> Callable[..., Any]:
    """Waits until a condition is true, and gives what it gave."""
    return wait_until


@pytest.fixture(params=["fresh", "warm"])
def start(request: pytest.FixtureRequest) -> str:
    """Both ways to start a worker."""
    return str(request.param)


@pytest.fixture(scope="session")
def late_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What makes a disk a late one."""
    if is_missing():
        pytest.skip("NOT TESTED: no compiler here (cc missing)")
    return made_library(tmp_path_factory.mktemp("late-disk"))


@pytest.fixture(scope="session")
def ray_nodes() -> Iterator[Nodes]:
    """A Ray with two nodes."""
    if ray_is_missing():
        pytest.skip("NOT TESTED: no Ray here (pip install 'sft-grid[ray]')")
    with two_nodes() as nodes:
        yield nodes
