"""Which GPUs a run may use, by a `pynvml` and an `nvidia-smi` that are played."""

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sft.exceptions import MachineError, UserError
from sft.experiments.executors.local import gpus
from sft.experiments.executors.local.gpu_memory import GpuMemory
from sft.experiments.executors.local.gpus import find_gpus, require_gpus, usable_gpus
from sft.runs import notices

FAKE_NVML = Path(__file__).resolve().parents[4] / "fake_nvml"
PATIENCE = 30.0
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


@pytest.fixture
def nvml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Says what NVML tells of this machine."""
    monkeypatch.setenv("PYTHONPATH", str(FAKE_NVML))
    monkeypatch.setenv("FAKE_NVML", str(tmp_path / "nvml.json"))

    def say(**said: Any) -> None:
        (tmp_path / "nvml.json").write_text(json.dumps(said | {"asked": str(tmp_path / "asked")}))

    return say


def test_all_gpus_by_uuid(machine: Machine) -> None:
    machine()
    assert find_gpus("all", {}) == UUIDS


def test_none_are_none_without_asking(machine: Machine) -> None:
    assert find_gpus("none", {}) == ()


def test_without_a_driver_none_are_managed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert find_gpus("all", {}) is None


def test_a_driver_that_is_not_loaded_has_no_gpus_and_is_told_of(
    machine: Machine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices, "_LISTENER", notices._Listener())
    machine(0, code=9)
    assert find_gpus("all", {}) == ()
    assert capsys.readouterr().err == "warning: no GPU is used: nvidia-smi ends with code 9: no output\n"
    with pytest.raises(MachineError, match=r"asked 1 GPU \(--gpus 0\), found 0: nvidia-smi ends with code 9"):
        find_gpus("0", {})


@pytest.mark.parametrize("choice", ["all", "0"])
@pytest.mark.parametrize("source", ["program", "library", "crash"])
def test_a_driver_that_does_not_work_stops_the_run(machine: Machine, nvml: Machine, source: str, choice: str) -> None:
    machine(3, code=15 if source == "program" else 0)
    nvml(**{"program": {"init": 12}, "library": {"init": 18}, "crash": {"crashes": True}}[source])
    with pytest.raises(
        MachineError, match=r"does not work: .*; mend it, or compute on the CPU with --gpus none"
    ) as error:
        find_gpus(choice, {})
    assert error.value.exit_code == 5
    assert "\n" not in str(error.value)
    assert find_gpus("none", {}) == ()
    assert find_gpus("all", {"CUDA_VISIBLE_DEVICES": ""}) == ()


@pytest.mark.parametrize("source", ["program", "library"])
def test_a_driver_that_hangs_stops_the_run(
    machine: Machine, nvml: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    machine()
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\nexec /bin/sleep 600\n")
    nvml(hangs=True) if source == "library" else nvml(init=12)
    monkeypatch.setattr(gpus, "QUERY_TIMEOUT_SECONDS", 0.5)
    with pytest.raises(MachineError, match=r"does not work: it does not answer within 0.5 s; mend it, or "):
        find_gpus("all", {})


def test_a_gpu_that_is_lost_stops_only_runs_that_would_use_it(nvml: Machine) -> None:
    nvml(gpus=[{"uuid": "GPU-a"}, {"error": 15}, {"uuid": "GPU-c"}])
    assert find_gpus("0,2", {}) == ("GPU-a", "GPU-c")
    assert find_gpus("all", {"CUDA_VISIBLE_DEVICES": "2"}) == ("GPU-c",)
    with pytest.raises(MachineError, match=r"GPU 1 cannot be used: NVML says: error 15; name others with --gpus"):
        find_gpus("all", {})


@pytest.mark.parametrize(
    ("choice", "visible", "found"),
    [
        ("all", None, ("GPU-a", "MIG-1", "MIG-2")),
        ("all", "1", ("MIG-1", "MIG-2")),
        ("1", None, ("MIG-1", "MIG-2")),
        ("GPU-b", None, ("MIG-1", "MIG-2")),
        ("MIG-2", None, ("MIG-2",)),
        ("all", "MIG-2,0", ("MIG-2", "GPU-a")),
        ("0", "MIG-2,0", ("GPU-a",)),
        ("all", "MIG-GPU-b/1/0", ("MIG-GPU-b/1/0",)),
    ],
)
def test_a_divided_gpu_is_its_parts(nvml: Machine, choice: str, visible: str | None, found: tuple[str, ...]) -> None:
    nvml(gpus=[{"uuid": "GPU-a", "capability": [7, 5]}, {"uuid": "GPU-b", "parts": ["MIG-1", "MIG-2"]}])
    environment = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    assert find_gpus(choice, environment) == found
    with pytest.raises(MachineError, match="GPU MIG-3 is not there or not allowed; allowed: 0, 1"):
        find_gpus("MIG-3", {})
    assert [gpu.capability for gpu in usable_gpus("all", {}) or ()] == [(7, 5), (9, 0), (9, 0)]


def test_a_beginning_of_several_is_refused(machine: Machine) -> None:
    machine()
    with pytest.raises(MachineError, match="several GPUs begin with GPU-; write more of it, or a number of: 0, 1, 2"):
        find_gpus("GPU-", {})


@pytest.mark.parametrize(
    ("visible", "found"),
    [
        ("2,0", ("GPU-cccc", "GPU-aaaa")),
        ("GPU-bb", ("GPU-bbbb",)),
        ("", ()),
        ("-1", ()),
        ("NoDevFiles", ()),
        ("void", ()),
        ("none", ()),
        ("2,void,0", ("GPU-cccc",)),
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


def settle(memory: GpuMemory, now: float, answers: int = 1) -> None:
    """Have questions put and answered; the clock, which is ours, moves by a second for each."""
    for number in range(answers):
        memory.look(now + number)
        if memory._asking is not None:
            memory._asking._process.wait(PATIENCE)
        memory.look(now + number + 0.1)


def test_a_gpu_rests_until_its_memory_is_back(machine: Machine) -> None:
    machine(2, free=80_000)
    memory = GpuMemory(UUIDS[:2], now=0.0)
    assert memory.resting == set(UUIDS[:2])
    settle(memory, 0.0)
    assert not memory.resting
    machine(2, free=20_000)
    memory.freed([UUIDS[0]], now=1.0)
    settle(memory, 2.0, answers=3)
    assert memory.resting == {UUIDS[0]}
    machine(2, free=79_500)
    settle(memory, 20.0)
    assert not memory.resting
    memory.close()


def test_the_wait_is_bounded_and_the_next_measure_is_what_was_left(machine: Machine) -> None:
    machine(1, free=80_000)
    memory = GpuMemory(UUIDS[:1], now=0.0, wait_seconds=60.0)
    settle(memory, 0.0)
    machine(1, free=20_000)
    memory.freed(UUIDS[:1], now=10.0)
    memory.look(69.9)
    assert memory.resting
    memory.look(70.0)
    assert not memory.resting
    memory.freed(UUIDS[:1], now=100.0)
    settle(memory, 101.0, answers=2)  # the first was asked before
    assert not memory.resting
    memory.close()


@pytest.mark.parametrize(("free", "code"), [(None, 0), (80_000, 9), (80_000, 15)])
def test_where_nobody_can_tell_nothing_rests_for_long(machine: Machine, free: int | None, code: int) -> None:
    machine(1 if free is None else 0, free=free, code=code)
    memory = GpuMemory(UUIDS[:1], now=0.0)
    settle(memory, 0.0)
    assert not memory.resting
    memory.close()


def test_what_is_free_is_asked_of_the_library_first(machine: Machine, nvml: Machine) -> None:
    machine(1, free=80_000)
    nvml(gpus=[{"uuid": "GPU-aaaa", "free": 80_000.0}])
    memory = GpuMemory(UUIDS[:1], now=0.0)
    settle(memory, 0.0)
    nvml(gpus=[{"uuid": "GPU-aaaa", "free": 10_000.0}])
    memory.freed(UUIDS[:1], now=1.0)
    settle(memory, 2.0, answers=2)
    assert memory.resting
    memory.close()


@pytest.mark.parametrize("ends", ["wait", "exit 0", "library"], ids=["hung", "left-a-child", "hung-library"])
def test_a_driver_that_hangs_or_a_program_that_leaves_a_child_holds_up_nothing(
    machine: Machine, nvml: Machine, tmp_path: Path, ends: str
) -> None:
    machine()
    (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\n/bin/sleep 600 &\necho $! > {tmp_path}/child\n{ends}\n")
    nvml(hangs=True) if ends == "library" else nvml(init=12)
    memory = GpuMemory(UUIDS[:1], now=0.0, wait_seconds=60.0)
    memory.look(0.0)
    deadline = time.monotonic() + PATIENCE
    asked = tmp_path / ("asked" if ends == "library" else "child")
    while not asked.exists() or not asked.read_text().strip():
        assert time.monotonic() < deadline
    memory.look(30.0)
    memory.look(61.0)
    assert not memory.resting
    memory.close()  # would wait for the child as long as that lives
    if asked.name == "child":
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(asked.read_text()), signal.SIGKILL)


def test_parts_of_gpus_and_machines_without_a_driver_are_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert not GpuMemory(["MIG-x"], now=0.0).resting
    memory = GpuMemory(UUIDS, now=0.0)
    settle(memory, 0.0)
    assert not memory.resting
    memory.close()
