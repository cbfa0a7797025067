"""A training that really runs out of GPU memory, and what the ladder makes of it."""

from pathlib import Path
from typing import Any

import torch

from sft.runs.files import JobFolder, ResultsFolder
from sft.runs.records import read_error, read_status
from tests.gpu.bench import Bench
from tests.gpu.report import Findings

LIMITED = Path(__file__).resolve().with_name("limited_stage.py")
SHARE = 0.6
"""Of the memory that the training takes when it may have all, which is left to it. Most of it are activations, of
which checkpointing keeps a small part."""
FITS_FROM_STEP = 2
"""Where there is no GPU: the step of the ladder that is let through."""
FIRST_LOSS = 0.02
"""Difference of the first step's losses as a share: the same rows, in other micro-batches."""


def run(bench: Bench, found: Findings) -> None:
    """The same training with all memory and with too little."""
    config = bench.config(max_steps=2, per_device_train_batch_size=bench.sizes.batch)
    config["dataset"]["shots"] = 16
    path = bench.write("ladder.json", config)
    free, _ = _train(bench, path, "results-free", None)
    limit, faults = _faults(free, bench)
    limited, job = _train(bench, path, "results-limited", faults)
    _require_ladder(job, limited, found)
    if limit is not None:
        found.figure("peak with all memory", free["environment"]["peak_gpu_bytes"] / 2**20, "MiB")
        found.at_most("peak with less", limited["environment"]["peak_gpu_bytes"] / 2**20, limit / 2**20, "MiB")
    _require_same_training(free, limited, found)


def _train(bench: Bench, config: Path, results: str, faults: dict[str, Any] | None) -> tuple[Any, JobFolder]:
    """`training.json` and the folder of the one training."""
    bench.sft("train", config.name, "--results-path", results, faults=faults)
    (job,) = ResultsFolder(bench.folder / results).job_folders("train")
    return bench.read(str(job.training.relative_to(bench.folder))), job


def _faults(free: Any, bench: Bench) -> tuple[float | None, dict[str, Any]]:
    """How many bytes the training is left, and how its process is told."""
    told = {"stage": f"{LIMITED}:run"}
    if not bench.on_gpu:
        return None, {**told, "fits_from_step": FITS_FROM_STEP}
    limit = SHARE * free["environment"]["peak_gpu_bytes"]
    return limit, {**told, "memory_fraction": limit / torch.cuda.get_device_properties(0).total_memory}


def _require_ladder(job: JobFolder, limited: Any, found: Findings) -> None:
    status = read_status(job.status)
    tries = job.attempts()
    first = read_error(tries[0].error)
    found.figure("steps down the ladder", limited["memory_step"], "", ">= 1")
    found.require(limited["memory_step"] >= 1, "the training never ran out of memory: nothing was tried")
    found.figure("tries", len(tries), "", "one more than steps")
    found.require(len(tries) == limited["memory_step"] + 1, f"{len(tries)} tries for {limited['memory_step']} steps")
    found.same("kind of the first error", None if first is None else first.kind, "oom_gpu")
    found.same("state", None if status is None else status.state, "done")
    found.figure("gradient checkpointing", str(limited["gradient_checkpointing"]), "", "= True")
    found.require(limited["gradient_checkpointing"], "gradient checkpointing, the first step, is off")


def _require_same_training(free: Any, limited: Any, found: Findings) -> None:
    sizes = [told["micro_batch_size"] * told["gradient_accumulation_steps"] for told in (free, limited)]
    found.figure("micro-batch", f"{free['micro_batch_size']} -> {limited['micro_batch_size']}")
    found.same("effective batch", sizes[1], sizes[0])
    found.same("steps of the training", limited["n_steps"], free["n_steps"])
    losses = [told["loss_curve"][0]["loss"] for told in (free, limited)]
    found.at_most("first loss from that with all memory, as a share", abs(losses[1] / losses[0] - 1), FIRST_LOSS)
