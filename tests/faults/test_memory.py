"""Memory that runs out, on the GPU and off it, and GPUs that are shared out."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sft import api
from sft.exceptions import MachineError
from sft.experiments.planning.checks.tokenizers import TokenizerAnswer
from sft.experiments.running.settings import RunSettings
from tests.support.waiting import wait_until

BOTH_STARTS = pytest.mark.parametrize("start", ["warm", pytest.param("fresh", marks=pytest.mark.slow)])
FOUR_GPUS = [f"GPU-{number}" for number in range(4)]


@pytest.fixture
def nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Plays `nvidia-smi`: sets the MiB that are free on each of four GPUs; gives how often it was asked."""
    program, free, asked = tmp_path / "bin" / "nvidia-smi", tmp_path / "free", tmp_path / "asked"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho asked >> {asked}\ncat {free}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")

    def set_free(mib: int | None = None) -> int:
        if mib is not None:
            free.write_text("".join(f"{uuid}, {mib}\n" for uuid in FOUR_GPUS))
        return len(asked.read_text().splitlines()) if asked.exists() else 0

    set_free(80_000)
    return set_free


@BOTH_STARTS
@pytest.mark.parametrize(
    "kind",
    ["gpu", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("cublas", "host", "allocator"))],
)
def test_a_stage_that_runs_out_of_memory_is_tried_with_less__row_15(grid: Any, start: str, kind: str) -> None:
    folder = grid.add("large", "oom", kind=kind, until=2)
    grid.spec = {"ladder": 3}
    assert grid.run(start=start, retries=0) == 0
    assert (grid.status("large").memory_step, grid.status("large").attempt) == (2, 3)
    assert json.loads(folder.job.read_text())["memory_step"] == 2
    assert [state for _, state in grid.events()] == ["running", "pending", "running", "pending", "running", "done"]


@pytest.mark.slow
@pytest.mark.parametrize(("settings", "ladder", "tries"), [({}, 1, 2), ({"on_oom": "fail"}, 9, 1)])
def test_where_less_does_not_help_it_fails__row_15(
    grid: Any, settings: dict[str, Any], ladder: int, tries: int
) -> None:
    grid.add("large", "oom")
    grid.spec = {"ladder": ladder}
    assert grid.run(**settings) == 1
    assert (grid.status("large").error.kind, grid.status("large").attempt) == ("oom_gpu", tries)
    assert "CUDA out of memory" in grid.status("large").error.message


def test_a_model_that_finds_no_room_is_not_tried_with_less__row_15(grid: Any) -> None:
    folder = grid.add("large", "oom", kind="loading")
    grid.spec = {"ladder": 9}
    assert grid.run() == 1
    assert (grid.status("large").error.kind, grid.status("large").attempt) == ("oom_gpu", 1)
    assert json.loads(folder.attempt(1).error.read_text())["at_loading"] is True


@pytest.mark.slow
def test_a_job_that_shared_its_gpu_is_tried_alone_first__row_15(grid: Any, nvidia_smi: Callable[..., int]) -> None:
    grid.add("large", "oom", until=1)
    grid.add("beside", "sleep")
    grid.spec = {"machine": {"jobs": 2, "gpus": FOUR_GPUS[:1], "jobs_per_gpu": 2}, "ladder": 1}
    process = grid.start()
    wait_until(lambda: ("large-infer", "pending") in grid.events())
    wait_until((grid.folder("beside").path / "marker-started").exists)
    (grid.folder("beside").path / "marker-go").touch()
    assert process.wait(30) == 0
    steps = [name for name, state in grid.events() if state == "running"]
    assert steps.count("large-infer") == 3, "once shared, once alone, once with less"


@BOTH_STARTS
@pytest.mark.parametrize("rises", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_killed_worker_is_tried_again_alone__row_16(grid: Any, start: str, rises: bool, tmp_path: Path) -> None:
    counter = tmp_path / "memory.events"
    counter.write_text("oom 0\noom_kill 0\n")
    victim = grid.add("victim", "sleep")
    beside = [grid.add(f"beside-{number}", "sleep") for number in range(2)]
    grid.spec = {"machine": {"jobs": 2, "oom_counter": str(counter)}}
    process = grid.start(start=start)
    wait_until((victim.path / "marker-started").exists)
    if rises:
        counter.write_text("oom 1\noom_kill 1\n")
    os.kill(int((victim.path / "marker-started").read_text()), signal.SIGKILL)
    wait_until(lambda: ("victim-infer", "pending") in grid.events())
    assert grid.status("victim").error.kind == ("oom_host" if rises else "killed")
    for folder in (victim, *beside):
        folder.path.mkdir(parents=True, exist_ok=True)
        (folder.path / "marker-go").touch()
    assert process.wait(30) == 0
    names = [name for name, state in grid.events() if state in ("running", "done")]
    assert names[-2:] == ["victim-infer", "victim-infer"], "nothing else ran beside its second try"


@pytest.mark.slow
def test_a_worker_that_is_killed_again_has_failed__row_16(grid: Any) -> None:
    grid.add("victim", "kill_self")
    grid.add("other")
    assert grid.run() == 1
    assert grid.states() == {"victim": "failed", "other": "done"}
    assert grid.status("victim").attempt == 2
    assert "SIGKILL, which this program did not send" in grid.status("victim").error.message


def test_a_gpu_is_leased_again_when_its_memory_is_back__row_17(grid: Any, nvidia_smi: Callable[..., int]) -> None:
    first = grid.add("first", "sleep")
    grid.add("second")
    grid.spec = {"machine": {"jobs": 1, "gpus": FOUR_GPUS[:1]}}
    process = grid.start()
    wait_until((first.path / "marker-started").exists)
    nvidia_smi(10_000)
    (first.path / "marker-go").touch()
    wait_until(lambda: grid.states()["first"] == "done")
    asked = nvidia_smi()
    wait_until(lambda: nvidia_smi() >= asked + 3)
    assert grid.states()["second"] is None
    nvidia_smi(80_000)
    assert process.wait(30) == 0
    assert grid.states()["second"] == "done"


@pytest.mark.slow
def test_the_wait_for_memory_is_bounded__row_17(grid: Any, nvidia_smi: Callable[..., int]) -> None:
    first = grid.add("first", "sleep")
    grid.add("second")
    grid.spec = {"machine": {"jobs": 1, "gpus": FOUR_GPUS[:1], "gpu_rest_seconds": 0.5}}
    process = grid.start()
    wait_until((first.path / "marker-started").exists)
    nvidia_smi(10_000)
    (first.path / "marker-go").touch()
    assert process.wait(30) == 0


@BOTH_STARTS
@pytest.mark.parametrize("count", [6, pytest.param(20, marks=pytest.mark.slow)])
def test_no_gpu_is_used_by_two_jobs__row_18(grid: Any, start: str, count: int, nvidia_smi: Callable[..., int]) -> None:
    for number in range(count):
        grid.add(f"job-{number}", "report")
    grid.spec = {"machine": {"jobs": 4, "gpus": FOUR_GPUS, "cores": [0], "n_cores": 1}}
    assert grid.run(start=start) == 0
    users: dict[str, str] = {}
    gpus = {}
    for name in grid.experiments:
        report = json.loads((grid.folder(name).path / "report.json").read_text())
        gpus[f"{name}-infer"] = report["environment"]["CUDA_VISIBLE_DEVICES"]
        assert (gpus[f"{name}-infer"],) == grid.status(name).gpus
    for name, state in grid.events():
        if state == "running":
            assert gpus[name] not in users
            users[gpus[name]] = name
        else:
            assert users.pop(gpus[name]) == name
    assert len(set(gpus.values())) > 1


@pytest.mark.parametrize(
    ("settings", "resources", "message"),
    [
        (RunSettings(gpus="0,1"), {}, r"asked 2 GPUs \(--gpus 0,1\), found 0"),
        (
            RunSettings(),
            {"resources": {"gpus": 2}, "model": {"model_args": {"parallelize": True}}},
            '"a": resources.gpus: asked 2 GPUs, found 0',
        ),
        (RunSettings(gpus="none"), {"resources": {"gpus": 1}}, "asked 1 GPU, found 0"),
    ],
)
def test_gpus_that_are_not_there_are_told_before_anything_starts__row_19(
    project: Path,
    raw: Callable[..., dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    settings: RunSettings,
    resources: dict[str, Any],
    message: str,
) -> None:
    monkeypatch.setattr(
        "sft.experiments.planning.planning.ask", lambda questions: [TokenizerAnswer() for _ in questions]
    )
    monkeypatch.setenv("PATH", "/nowhere")
    (project / "grid.json").write_text(json.dumps({"configs": {"a": raw(resources)}}))
    with pytest.raises(MachineError, match=message) as error:
        api.run(project / "grid.json", project / "results", settings=settings)
    assert error.value.exit_code == 5
    assert sorted(path.name for path in (project / "results").iterdir()) == ["run.lock"]


@pytest.mark.parametrize("dead", ["exit 15", "exec /bin/sleep 600"], ids=["broken", "hung"])
def test_a_driver_that_does_not_work_is_no_machine_without_gpus__row_19(
    project: Path, raw: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, dead: str
) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\necho Unable to determine the device handle: Unknown Error\n{dead}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr("sft.experiments.executors.local.gpus.QUERY_TIMEOUT_SECONDS", 2)
    monkeypatch.setattr(
        "sft.experiments.planning.planning.ask", lambda questions: [TokenizerAnswer() for _ in questions]
    )
    (project / "grid.json").write_text(json.dumps({"configs": {"a": raw()}}))
    why = "nvidia-smi ends with code 15: Unable to" if dead == "exit 15" else "it does not answer within 2 s"
    with pytest.raises(MachineError, match=f"the driver of the GPUs does not work: {why}.*--gpus none") as error:
        api.run(project / "grid.json", project / "results")
    assert (error.value.exit_code, "\n" in str(error.value)) == (5, False)
    assert sorted(path.name for path in (project / "results").iterdir()) == ["run.lock"]


def test_a_gpu_that_is_not_allowed_is_told_with_those_that_are__row_19(
    project: Path, raw: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "bin" / "nvidia-smi"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nprintf '0, GPU-0\\n1, GPU-1\\n2, GPU-2\\n'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,2")
    monkeypatch.setattr(
        "sft.experiments.planning.planning.ask", lambda questions: [TokenizerAnswer() for _ in questions]
    )
    (project / "grid.json").write_text(json.dumps({"configs": {"a": raw()}}))
    with pytest.raises(MachineError, match="GPU 0 is not there or not allowed; allowed: 1, 2"):
        api.run(project / "grid.json", project / "results", settings=RunSettings(gpus="0"))
