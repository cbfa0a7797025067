"""GPUs that are shared out to jobs: what each worker sees of them, and that warm starts go on whoever comes next."""

import json
from typing import Any

import pytest

from sft.experiments.executors.protocol import Lease
from sft.experiments.executors.warm import Preload
from sft.runs.records import JobRecord, read_json_or_none, write_record

BOTH_STARTS = pytest.mark.parametrize("start", ["warm", pytest.param("fresh", marks=pytest.mark.slow)])
PART = "MIG-1c3b"


def seen_by(
    jobs: Any, executor: Any, key: str, gpus: tuple[str, ...] | None, model_args: Any = None
) -> tuple[Any, Any]:
    """What the worker of a job with a lease finds in its environment, and how it was started."""
    job = jobs.job("report", key=key, lease=Lease(gpus=gpus))
    if model_args is not None:
        record = json.loads(job.folder.job.read_text())
        config = record["config"] | {"model": {"model_args": model_args}}
        write_record(job.folder.job, JobRecord("infer", key, key, config, record["config_folder"], {}))
    ended = jobs.run(executor, job)
    assert ended.exit_code() == 0, job.attempt.stderr.read_text()
    return read_json_or_none(job.folder.path / "report.json")["environment"].get("CUDA_VISIBLE_DEVICES"), ended.start


@BOTH_STARTS
@pytest.mark.parametrize(
    "gpus", [["GPU-a"], ["GPU-a", "GPU-b"], pytest.param([PART, "GPU-b"], marks=pytest.mark.slow)], ids=len
)
def test_jobs_with_and_without_a_gpu_alternate(grid: Any, start: str, gpus: list[str]) -> None:
    for name in ("one", "two", "three"):
        grid.add(name, "report", stages=("infer", "evaluate"))
        for job in grid.experiments[name]:
            job["config"] = grid.experiments[name][0]["config"]
    grid.spec = {"machine": {"jobs": len(gpus), "gpus": gpus}}
    assert grid.run(start=start) == 0, grid.output()
    leased = set()
    for name in grid.experiments:
        for number in (0, 1):
            status = grid.status(name, number)
            report = json.loads((grid.folder(name, number).path / "report.json").read_text())
            assert report["environment"]["CUDA_VISIBLE_DEVICES"] == ",".join(status.gpus)
            assert status.start == start
            leased.add(status.gpus)
    # One that rests until its memory is known may come too late for any job.
    assert {()} < leased <= {(), *((gpu,) for gpu in gpus)}
    assert "start fresh" not in grid.output()


@pytest.mark.parametrize("gpus", [("GPU-a", PART), None], ids=["managed", "not-told"])
def test_the_first_job_does_not_decide_what_the_server_serves(jobs: Any, gpus: tuple[str, ...] | None) -> None:
    executor = jobs.executor("warm", gpus=gpus, preload=Preload(("infer",)))
    assignments = [(), ("GPU-a",), (), (PART,), ("GPU-a",)]
    seen = [seen_by(jobs, executor, f"job-{number}", lease) for number, lease in enumerate(assignments)]
    assert seen == [(",".join(lease), "warm") for lease in assignments]


@pytest.mark.parametrize("model_args", [None, {"parallelize": False}, {"parallelize": True}, {"device_map": "auto"}])
def test_a_process_sees_one_gpu_unless_its_model_is_spread(
    jobs: Any, start: str, model_args: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = jobs.executor(start)
    is_spread = model_args not in (None, {"parallelize": False})
    seen, _ = seen_by(jobs, executor, "two-leased", ("GPU-a", "GPU-b"), model_args)
    assert seen == ("GPU-a,GPU-b" if is_spread else "GPU-a")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    seen, _ = seen_by(jobs, executor, "not-managed", None, model_args)
    assert seen == (None if is_spread else "0")


def test_of_gpus_that_are_not_managed_the_first_is_seen(jobs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,1")
    assert seen_by(jobs, jobs.executor("fresh"), "numbers", None)[0] == "3"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert seen_by(jobs, jobs.executor("fresh"), "hidden", None)[0] == ""


def test_a_device_of_cuda_that_is_open_in_the_server_is_found() -> None:
    from sft.worker.server import CUDA_DEVICE, _holds

    with open("/dev/full", "wb"):
        assert _holds("/dev/full")
    assert not _holds("/dev/full")
    assert not _holds(CUDA_DEVICE)
