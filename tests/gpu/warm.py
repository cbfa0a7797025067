"""Warm starts over train, infer and evaluate: they must be real, and give what fresh starts give."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from sft.runs.files import JobFolder, ResultsFolder
from sft.runs.records import read_status
from tests.gpu.bench import Bench
from tests.gpu.report import Findings

STAGES = ("train", "infer", "evaluate")
NATS = {"float32": 1e-3, "bfloat16": 0.05}
"""Between two runs of one experiment; a GPU may add in another order each time."""


def run(bench: Bench, found: Findings) -> None:
    """A grid with `--start warm`; the adapter that it trained is then measured with `--start fresh`."""
    warm = _run(bench, "warm", bench.config(), STAGES, found)
    _require_device(warm, bench, found)
    fresh = _run(bench, "fresh", _measured(bench, _jobs(warm)["train"].adapter), STAGES[1:], found)
    apart = float(np.abs(_scores(warm) - _scores(fresh)).max())
    found.at_most("warm scores from fresh ones", apart, NATS[bench.expected_dtype], "nats")


def _run(bench: Bench, start: str, config: dict[str, Any], stages: tuple[str, ...], found: Findings) -> ResultsFolder:
    grid = bench.write(f"{start}-grid.json", {"configs": {"one": config}})
    results = ResultsFolder(bench.folder / f"results-{start}")
    words = ("--results-path", results.path.name, "--start", start, "--jobs", "1")
    said = bench.sft("run-experiments", grid.name, *words)
    found.require("start fresh from here on" not in said, f"warm starts were given up: {said[-500:]}")
    _require_starts(results, start, stages, found)
    return results


def _measured(bench: Bench, adapter: Path) -> dict[str, Any]:
    """The same rows after a trained adapter; nothing is trained."""
    config = {name: value for name, value in bench.config().items() if name not in ("lora", "training")}
    return {**config, "model": {**config["model"], "adapter": str(adapter)}}


def _jobs(results: ResultsFolder) -> dict[str, JobFolder]:
    return {stage: job for stage in STAGES for job in results.job_folders(stage)}


def _require_starts(results: ResultsFolder, start: str, stages: tuple[str, ...], found: Findings) -> None:
    jobs = _jobs(results)
    found.require(tuple(jobs) == stages, f"stages with --start {start}: {', '.join(jobs)}")
    for stage, job in jobs.items():
        status = read_status(job.status)
        if status is None:
            found.require(False, f"{stage} has no status")
            continue
        found.same(f"how {stage} started with --start {start}", status.start, start)
        found.require(status.state == "done", f"{stage} with --start {start} is {status.state}: {status.error}")
        found.require(status.attempt == 1, f"{stage} with --start {start} took {status.attempt} tries")
        found.figure(f"{stage}, {start}", status.seconds or float("nan"), "s")


def _require_device(results: ResultsFolder, bench: Bench, found: Findings) -> None:
    jobs = _jobs(results)
    inferred, trained = (_read(job) for job in (jobs["infer"].inference, jobs["train"].training))
    found.same("device of the infer stage", inferred["environment"]["device"], bench.device)
    found.same("type that the infer stage records", inferred["dtype"], bench.expected_dtype)
    found.same("device of the train stage", trained["environment"]["device"], bench.device)


def _scores(results: ResultsFolder) -> Any:
    with np.load(_jobs(results)["infer"].scores) as file:
        return file["answer_logprobs"] + file["stop_logprobs"]


def _read(path: Any) -> Any:
    return json.loads(path.read_text("utf-8"))
