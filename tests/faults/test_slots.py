"""Grids that mix jobs with GPUs and without: nobody keeps a GPU idle, and a job of several is not left to the last."""

import json
from typing import Any

import pytest

BOTH_STARTS = pytest.mark.parametrize("start", ["warm", pytest.param("fresh", marks=pytest.mark.slow)])
SPREAD = {"resources": {"gpus": 2}, "model": {"model_args": {"parallelize": True}}}
METRIC_ON_GPU = {"evaluation": {"metrics": ["bertscore"]}}


def seen(grid: Any, name: str, number: int = 0) -> str:
    """What the worker of a stage that reports saw of the GPUs."""
    report = json.loads((grid.folder(name, number).path / "report.json").read_text())
    return str(report["environment"]["CUDA_VISIBLE_DEVICES"])


@BOTH_STARTS
@pytest.mark.parametrize("gpus", [["GPU-a"], ["GPU-a", "GPU-b"]], ids=len)
def test_evaluations_keep_no_gpu_idle(grid: Any, start: str, gpus: list[str], wait: Any) -> None:
    """As many evaluations as GPUs run on until all jobs on GPUs are done."""
    long = [f"long-{number}" for number in range(len(gpus))]
    for name in long:
        grid.add(name, stages=("infer", "evaluate"))
        grid.experiments[name][1]["config"] = {"stub": {"do": "sleep"}}
    short = [f"short-{number}" for number in range(4)]
    for name in short:
        grid.add(name, "report")
    grid.spec = {"machine": {"jobs": len(gpus), "evaluations": len(gpus), "gpus": gpus}}
    process = grid.start(start=start)
    wait(lambda: all((grid.folder(name).path / "marker-started").exists() for name in long))
    wait(lambda: all(grid.states()[name] == "done" for name in short))
    for name in long:
        (grid.folder(name).path / "marker-go").touch()
    assert process.wait(60) == 0, grid.output()
    assert {grid.status(name).gpus for name in long} == {()}
    assert {seen(grid, name) for name in short} <= set(gpus)
    assert {grid.status(name, number).start for name in long for number in (0, 1)} == {start}


@BOTH_STARTS
def test_a_metric_with_a_model_is_computed_on_a_leased_gpu(grid: Any, start: str) -> None:
    for name, config in (("with", METRIC_ON_GPU), ("without", {})):
        grid.add(name, stages=("infer", "evaluate"))
        grid.experiments[name][1]["config"] = {"stub": {"do": "report"}, **config}
    grid.spec = {"machine": {"jobs": 1, "gpus": ["GPU-a"]}}
    assert grid.run(start=start) == 0, grid.output()
    assert (seen(grid, "with", 1), seen(grid, "without", 1)) == ("GPU-a", "")
    assert (grid.status("with").gpus, grid.status("without").gpus) == (("GPU-a",), ())


@BOTH_STARTS
def test_a_job_on_two_gpus_that_is_second_of_ten_is_second(grid: Any, start: str) -> None:
    for number in range(10):
        folder = grid.add(f"job-{number}", "report", stages=("infer", "evaluate"))
        assert folder.path.name == f"job-{number}-infer"
    # The first and the third would take turns on two GPUs, were the second not next in line.
    grid.experiments["job-1"][0]["config"] |= SPREAD
    grid.spec = {"machine": {"jobs": 2, "gpus": ["GPU-a", "GPU-b"]}}
    assert grid.run(start=start) == 0, grid.output()
    started = [name for name, state in grid.events() if state == "running" and name.endswith("-infer")]
    assert started.index("job-1-infer") == 1
    assert seen(grid, "job-1") == "GPU-a,GPU-b"
    assert set(grid.states().values()) == {"done"}
