"""Which GPUs a run may use, by a `nvidia-smi` that is played."""

import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sft.errors import MachineError, UserError
from sft.experiments.gpu_memory import GpuMemory
from sft.experiments.gpus import find_gpus, require_gpus

UUIDS = ("GPU-aaaa", "GPU-bbbb", "GPU-cccc")
Machine = Callable[..., None]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Makes this a machine with so many GPUs and so much free memory on each, in MiB."""
    monkeypatch.setenv("PATH", str(tmp_path))

    def make(count: int = 3, free: int | None = 80_000, code: int = 0) -> None:
        listed = "".join(f"{index}, {uuid}\n" for index, uuid in enumerate(UUIDS[:count]))
        memory = "".join(f"{uuid}, {'[N/A]' if free is None else free}\n" for uuid in UUIDS[:count])
        program = tmp_path / "nvidia-smi"
        program.write_text(
            "#!/bin/sh\n"
            f'case "$*" in *memory.free*) printf "%s" "{memory}" ;; *) printf "%s" "{listed}" ;; esac\nexit {code}\n'
        )
        program.chmod(0o755)

    return make


def test_all_gpus_by_uuid(machine: Machine) -> None:
    machine()
    assert find_gpus("all", {}) == UUIDS


def test_none_are_none_without_asking(machine: Machine) -> None:
    assert find_gpus("none", {}) == ()


def test_without_nvidia_smi_none_are_managed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert find_gpus("all", {}) is None


def test_a_driver_that_does_not_answer_has_no_gpus(machine: Machine) -> None:
    machine(0, code=9)
    assert find_gpus("all", {}) == ()


@pytest.mark.parametrize(
    ("visible", "found"),
    [
        ("2,0", ("GPU-cccc", "GPU-aaaa")),
        ("GPU-bb", ("GPU-bbbb",)),
        ("", ()),
        ("-1", ()),
        ("1,-1,2", ("GPU-bbbb",)),
        ("MIG-x/1", ("MIG-x/1",)),
        ("1,1", ("GPU-bbbb",)),
    ],
)
def test_the_users_cuda_visible_devices_is_what_may_be_used(
    machine: Machine, visible: str, found: tuple[str, ...]
) -> None:
    machine()
    assert find_gpus("all", {"CUDA_VISIBLE_DEVICES": visible}) == found


def test_a_choice_is_among_those(machine: Machine) -> None:
    machine()
    environment = {"CUDA_VISIBLE_DEVICES": "1,2"}
    assert find_gpus("2", environment) == ("GPU-cccc",)
    assert find_gpus("2,1,2", environment) == ("GPU-cccc", "GPU-bbbb")
    with pytest.raises(MachineError, match=r"--gpus: GPU 0 is not there or not allowed; allowed: 1, 2") as error:
        find_gpus("0,1", environment)
    assert error.value.exit_code == 5


@pytest.mark.parametrize("count", [0, None])
def test_asked_and_not_there(machine: Machine, monkeypatch: pytest.MonkeyPatch, count: int | None) -> None:
    if count is not None:
        machine(count)
    with pytest.raises(MachineError, match=r"asked 2 GPUs \(--gpus 0,1\), found 0"):
        find_gpus("0,1", {})


@pytest.mark.parametrize("choice", ["one", "0;1", "", "0,", "-1"])
def test_a_choice_that_is_none(choice: str) -> None:
    with pytest.raises(UserError, match=r"--gpus .*: must be all, none, or numbers") as error:
        find_gpus(choice, {})
    assert error.value.exit_code == 2


def test_more_gpus_than_there_are_is_refused_by_name() -> None:
    require_gpus({"a": 1, "b": 0}, UUIDS[:1])
    with pytest.raises(MachineError, match=r'"a" and 1 more: resources.gpus: asked 2 GPUs, found 0'):
        require_gpus({"a": 2, "b": 1}, None)


def settle(memory: GpuMemory, until: Callable[[], bool], now: float = 0.0) -> None:
    """Let questions be answered; the clock, which is ours, moves by 10 s at most."""
    for step in range(10_000):
        memory.look(now + step / 1000)
        if until():
            return
        os.sched_yield()
    raise AssertionError("not within 10,000 looks")


def test_a_gpu_rests_until_its_memory_is_back(machine: Machine) -> None:
    machine(2, free=80_000)
    memory = GpuMemory(UUIDS[:2], now=0.0)
    assert memory.resting == set(UUIDS[:2])
    settle(memory, lambda: not memory.resting)
    machine(2, free=20_000)
    memory.freed([UUIDS[0]], now=1.0)
    with pytest.raises(AssertionError):
        settle(memory, lambda: not memory.resting, now=2.0)
    machine(2, free=79_500)
    settle(memory, lambda: not memory.resting, now=20.0)
    memory.close()


def test_the_wait_is_bounded_and_the_next_measure_is_what_was_left(machine: Machine) -> None:
    machine(1, free=80_000)
    memory = GpuMemory(UUIDS[:1], now=0.0, wait_seconds=60.0)
    settle(memory, lambda: not memory.resting)
    machine(1, free=20_000)
    memory.freed(UUIDS[:1], now=10.0)
    memory.look(69.9)
    assert memory.resting
    memory.look(70.0)
    assert not memory.resting
    memory.freed(UUIDS[:1], now=100.0)
    settle(memory, lambda: not memory.resting, now=101.0)
    memory.close()


@pytest.mark.parametrize(("free", "code"), [(None, 0), (80_000, 9)])
def test_where_nobody_can_tell_nothing_rests_for_long(machine: Machine, free: int | None, code: int) -> None:
    machine(1 if free is None else 0, free=free, code=code)
    memory = GpuMemory(UUIDS[:1], now=0.0)
    settle(memory, lambda: not memory.resting)
    memory.close()


@pytest.mark.parametrize("ends", ["wait", "exit 0"], ids=["hung", "left-a-child"])
def test_a_program_that_hangs_or_leaves_a_child_holds_up_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    path = os.environ["PATH"]
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\nsleep 600 &\necho $! > {tmp_path}/child\n{ends}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{path}")
    memory = GpuMemory(UUIDS[:1], now=0.0, wait_seconds=60.0)
    memory.look(0.0)
    deadline = time.monotonic() + 30
    while not (tmp_path / "child").exists() or not (tmp_path / "child").read_text().strip():
        assert time.monotonic() < deadline
    memory.look(30.0)
    memory.look(61.0)
    assert not memory.resting
    memory.close()  # would wait for the child as long as that lives
    with contextlib.suppress(ProcessLookupError):
        os.kill(int((tmp_path / "child").read_text()), signal.SIGKILL)


def test_parts_of_gpus_and_machines_without_the_program_are_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert not GpuMemory(["MIG-x"], now=0.0).resting
    memory = GpuMemory(UUIDS, now=0.0)
    memory.look(0.0)
    assert not memory.resting
