"""The body of a task as a process of its own, with shells as the chain; Ray is not needed."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sft.experiments.executors import guard
from sft.experiments.executors.ray import task
from sft.experiments.executors.ray.task import environment_of
from tests.support.waiting import wait_until

BODY = """
import json, runpy, sys
body = runpy.run_path(sys.argv[1])["run_guarded"]
sys.exit(body(*json.loads(sys.argv[2]), sys.argv[3].encode(), False))
"""


Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts the body as Ray would, with nothing of this package but its text; kills what a failed test left."""
    made: list[subprocess.Popen[bytes]] = []
    yield lambda *arguments: made.append(_started(*arguments)) or made[-1]
    for process in made:
        process.kill()
        process.wait()


def _started(folder: Path, script: str, grace: float = 30.0, below: tuple[str, ...] = ()) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-I", "-S", guard.__file__, "", "/bin/sh", "-c", f"cd {folder}; {script}"]
    told = json.dumps([words, {"GIVEN": "value"}, str(folder / "log"), grace])
    command = [*below, sys.executable, "-I", "-S", "-c", BODY, task.__file__, told, guard.STOP.decode()]
    return subprocess.Popen(command, stderr=subprocess.PIPE)


def test_the_exit_code_and_the_output_of_the_chain_are_kept(start: Start, tmp_path: Path) -> None:
    assert start(tmp_path, 'echo "$GIVEN ${CUDA_VISIBLE_DEVICES-unset}"; exit 7').wait(20) == 7
    assert (tmp_path / "log").read_text() == "value \n"


@pytest.mark.parametrize(("trap", "left"), [("echo saved; exit 75", "saved\n"), ("", "")])
def test_a_cancelled_chain_may_save_and_is_killed_after_the_grace(
    start: Start, tmp_path: Path, trap: str, left: str
) -> None:
    process = start(tmp_path, f"trap '{trap}' TERM; touch began; while :; do sleep 0.05; done", 30.0 if trap else 0.2)
    wait_until((tmp_path / "began").exists)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=20)
    assert told.splitlines()[-1] == b"KeyboardInterrupt"
    assert (tmp_path / "log").read_text().replace("Terminated\n", "") == left


def test_nothing_outlives_the_process_that_runs_it(start: Start, tmp_path: Path) -> None:
    process = start(tmp_path, "setsid sh -c 'echo $$ > pid; sleep 60' & sleep 60")
    wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    other = int((tmp_path / "pid").read_text())
    process.kill()
    process.communicate()
    wait_until(lambda: not os.path.exists(f"/proc/{other}"))


def test_nothing_is_left_where_ray_kills_the_children_of_the_process_that_runs_it(
    start: Start, tmp_path: Path
) -> None:
    process = start(tmp_path, "setsid sh -c 'echo $$ > pid; sleep 60' & sleep 60")
    wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    below = [int((tmp_path / "pid").read_text()), *guard.descendants(process.pid)]
    for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
        os.kill(int(child), signal.SIGKILL)
    process.kill()
    process.communicate()
    wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in below))


def test_nothing_outlives_the_node(start: Start, tmp_path: Path) -> None:
    process = start(tmp_path, "touch began; sleep 60", 30.0, ("/bin/sh", "-c", '"$@"; exit', "node"))
    wait_until((tmp_path / "began").exists)
    below = list(guard.descendants(process.pid))
    process.kill()
    process.wait()
    wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in below), 10.0)


@pytest.mark.parametrize(("sees_gpus", "seen"), [(True, "3"), (False, "")])
def test_a_chain_gets_the_variables_of_the_run_and_the_machine_of_the_node(sees_gpus: bool, seen: str) -> None:
    node = {"PATH": "/node", "CUDA_VISIBLE_DEVICES": "3", "RAY_JOB_ID": "1", "NCCL_DEBUG": "INFO", "HF_HOME": "/node"}
    run = {"PATH": "/run", "CUDA_VISIBLE_DEVICES": "0,1", "HF_HOME": "/run", "RAY_AUTH_TOKEN": "secret"}
    assert environment_of(node, run, sees_gpus) == {
        "PATH": "/node",
        "CUDA_VISIBLE_DEVICES": seen,
        "NCCL_DEBUG": "INFO",
        "HF_HOME": "/run",
    }
