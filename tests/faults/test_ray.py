"""What Ray does to a run: a lost node, worker, cluster or runner; nothing hangs, and nothing is left."""

import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sft.experiments.executors.protocol import Request
from sft.experiments.executors.ray.cluster import RayCluster
from sft.experiments.executors.ray.ends import NEED
from sft.experiments.executors.ray.options import RayOptions
from sft.runs.chains import Begun, SubmittedTry, read
from tests.faults.conftest import is_alive, marker
from tests.support.ray_cluster import ENVIRONMENT, Nodes, is_missing, two_nodes
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow
Living = Callable[[], dict[int, str]]
ENDING = 180.0
STAGES = ("infer", "evaluate")


@pytest.fixture
def nodes(ray_nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> Nodes:
    """Two, which a run finds."""
    for name, value in ray_nodes.environment.items():
        monkeypatch.setenv(name, value)
    return ray_nodes


def pids_of(folder: Any, *names: str) -> list[int]:
    """Of the processes of a stub, once they have said theirs."""
    for name in names:
        wait_until(marker(folder, name).exists, ENDING)
    return [int(marker(folder, name).read_text()) for name in names]


def workers_above(pid: int) -> list[int]:
    """The processes of Ray's above a process."""
    found = []
    while pid > 1:
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        if Path(f"/proc/{pid}/cmdline").read_text().startswith("ray::"):
            found.append(pid)
    return found


def test_a_worker_of_ray_that_is_killed_leaves_nothing_and_its_chain_is_tried_again(grid: Any, nodes: Nodes) -> None:
    running = grid.add("running", "spawn_setsid_grandchild", stages=STAGES)
    process = grid.start(executor="ray")
    pids = pids_of(running, "started", "child", "grandchild")
    (worker,) = workers_above(pids[0])
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: not any(map(is_alive, pids)), ENDING)
    wait_until(lambda: len(running.attempts()) == 2, ENDING)
    marker(running, "go").touch()
    assert process.wait(ENDING) == 0
    assert "the process of Ray that ran it was killed" in grid.output()


def test_a_lost_node_is_told_and_its_chain_runs_on_another_one(grid: Any, nodes: Nodes) -> None:
    folders = [grid.add(name, "spawn_setsid_grandchild", stages=STAGES) for name in ("first", "second")]
    process = grid.start(executor="ray", executor_options={"gpus": "0"})
    pids = {folder.path: pids_of(folder, "started", "child", "grandchild") for folder in folders}
    nodes.tell("lose")
    try:
        wait_until(lambda: any(len(folder.attempts()) == 2 for folder in folders), ENDING)
        (lost,) = (folder for folder in folders if len(folder.attempts()) == 2)
        wait_until(lambda: not any(map(is_alive, pids[lost.path])), ENDING)
        for folder in folders:
            marker(folder, "go").touch()
        assert process.wait(ENDING) == 0
        assert "its node was lost" in grid.output()
    finally:
        nodes.tell("add")


def test_a_job_sees_the_gpus_that_it_asked_for_and_others_none(grid: Any, nodes: Nodes) -> None:
    folders = [grid.add("one", stages=("infer",)), grid.add("two", stages=("infer",))]
    folders.append(grid.add("none", stages=("baseline",)))
    assert grid.run(executor="ray", executor_options={"gpus": "0.5"}) == 0
    begun = [read(SubmittedTry(folder.attempts()[0].path).begun, Begun) for folder in folders]
    assert [told and list(told.gpus or ()) for told in begun] == [["0"], ["0"], []]


def test_a_run_that_is_stopped_takes_its_chains_out_of_rays_queue(grid: Any, nodes: Nodes) -> None:
    folders = [grid.add(name, "sleep", stages=STAGES) for name in ("one", "two", "three")]
    process = grid.start(executor="ray", executor_options={"gpus": "0"})
    wait_until(lambda: sum(marker(folder, "started").exists() for folder in folders) == 2, ENDING)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(ENDING) == -signal.SIGINT
    assert {grid.status(name, 0).state for name in ("one", "two", "three")} == {"interrupted"}
    assert sum(marker(folder, "started").exists() for folder in folders) == 2


def test_a_chain_that_is_cancelled_while_it_runs_may_save(nodes: Nodes, tmp_path: Path) -> None:
    made = RayCluster(RayOptions(address=nodes.environment["RAY_ADDRESS"], gpus=0), None)
    try:
        made.check([Request()])
        script = f"trap 'echo saved; exit' TERM; touch {tmp_path}/began; while :; do sleep 0.1; done"
        identity = made.submit("name", ["/bin/sh", "-c", script], tmp_path / "log", Request(), 30.0)
        wait_until((tmp_path / "began").exists, ENDING)
        made.cancel([identity])
        wait_until(lambda: made.look([identity])[identity].standing == "ended", ENDING)
        assert made.look([identity])[identity].ended_as == "interrupted"
        assert (tmp_path / "log").read_text() == "saved\n"
        lost = made.submit("other", ["/bin/true"], tmp_path / "none" / "log", Request(), 30.0)
        wait_until(lambda: made.look([lost])[lost].standing == "ended", ENDING)
        error = made.look([lost])[lost].error
        assert error is not None
        assert error.message.endswith(f"none/log', on {socket.gethostname()}{NEED}")
    finally:
        made.close()


def test_nothing_outlives_a_killed_runner_and_the_same_command_goes_on(
    grid: Any, nodes: Nodes, no_process_left: Living
) -> None:
    running = grid.add("running", "spawn_setsid_grandchild", stages=STAGES)
    process = grid.start(executor="ray")
    pids_of(running, "started", "child", "grandchild")
    process.kill()
    process.wait()
    wait_until(lambda: not no_process_left(), ENDING)
    marker(running, "go").touch()
    assert grid.run(executor="ray") == 0
    assert grid.status("running", 0).attempt == 2


def test_a_lost_head_ends_the_run_and_leaves_nothing_on_the_other_node(
    grid: Any, no_process_left: Living, nodes: Nodes
) -> None:
    running = grid.add("running", "spawn_setsid_grandchild", stages=STAGES)
    with two_nodes() as lost:
        process = grid.start(executor="ray", environment=lost.environment)
        pids_of(running, "started", "child", "grandchild")
        lost.tell("behead")
        assert process.wait(ENDING) == 5
        wait_until(lambda: not no_process_left(), ENDING)
    assert "the Ray cluster was lost (" in grid.output()
    marker(running, "go").touch()
    assert grid.run(executor="ray") == 0
    # The end of the chain may be seen before that of the cluster: then its stage was already tried once more in vain.
    assert grid.status("running", 0).attempt in (2, 3)
    assert grid.status("running", 0).state == "done"


@pytest.mark.parametrize(
    ("options", "environment", "told"),
    [
        ({"cpus_per_task": "3"}, {}, "no node of the Ray cluster has what a job asks for: 3 CPU, 1 GPU; the "),
        ({"address": "127.0.0.1:1"}, {}, "there is no Ray cluster at 127.0.0.1:1: "),
        ({}, {"RAY_AUTH_TOKEN": "of-another"}, "the Ray cluster at {address} refused the token: "),
    ],
)
def test_what_can_never_run_is_told_before_anything_starts(
    grid: Any, nodes: Nodes, options: dict[str, str], environment: dict[str, str], told: str
) -> None:
    folder = grid.add("asking", stages=STAGES)
    assert grid.run(executor="ray", executor_options=options, environment=environment) == 5
    assert grid.output().startswith(told.format(address=nodes.environment["RAY_ADDRESS"]))
    assert grid.output().count("\n") == 1
    assert folder.attempts() == []


@pytest.mark.skipif(is_missing(), reason="NOT TESTED: no Ray here (pip install 'sft-grid[ray]')")
def test_a_cluster_of_ones_own_ends_with_its_runner_and_its_loss_ends_the_run(
    grid: Any, no_process_left: Living, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a token of its own, as nothing of authentication is set."""
    for name, value in ENVIRONMENT.items():
        if "AUTH" not in name:
            monkeypatch.setenv(name, value)
    running = grid.add("running", "spawn_setsid_grandchild", stages=STAGES)
    process = grid.start(executor="ray")
    pids_of(running, "started", "child", "grandchild")
    process.kill()
    process.wait()
    wait_until(lambda: not no_process_left(), 2.0)
    for path in running.path.glob("marker-*"):
        path.unlink()
    process = grid.start(executor="ray")
    pids_of(running, "started", "child", "grandchild")
    (head,) = (pid for pid, words in no_process_left().items() if "gcs_server" in words.partition(" ")[0])
    os.kill(head, signal.SIGKILL)
    assert process.wait(ENDING) == 5
    assert "the Ray cluster was lost (" in grid.output()
    wait_until(lambda: not no_process_left(), 2.0)
