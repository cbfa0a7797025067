"""Memory after each of twenty stages, measured from outside: what a stage took must be back when its process ended."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from sft import api
from sft.experiments.executors import guard
from sft.experiments.executors.handle import Submission
from sft.experiments.executors.local.processes import JobProcesses
from sft.experiments.executors.protocol import Lease
from sft.experiments.executors.warm import preload_of
from sft.pipeline.jobs import ExperimentFolders, PlannedJob, jobs_of
from sft.runs.attempts import begin_attempt
from sft.runs.files import ResultsFolder
from sft.runs.records import write_record
from tests.gpu.bench import Bench
from tests.gpu.report import Findings

STAGES = 20
STAGES_OF_TINY = 4
LEFT_MIB = 64.0
"""That may be missing after a stage. A context of CUDA alone takes several hundred."""
WAIT_SECONDS = 10.0
"""In which the driver takes the memory of an ended process back."""
PAUSE_SECONDS = 0.05
MIB = 1 << 20


def run(bench: Bench, found: Findings) -> None:
    """Train and infer in turns, each in a process forked from one server; this process watches the memory."""
    jobs = list(_jobs(bench, (STAGES if bench.sizes.layers > 2 else STAGES_OF_TINY) // 2))
    used = _used_on_gpu if bench.on_gpu else _used_by_children
    executor = JobProcesses("warm", preload_of(job.record for job in jobs))
    peak, left, waits = 0.0, [], []
    baseline = used()
    try:
        for number, job in enumerate(jobs):
            peak = max(peak, _run(executor, job, used))
            if number == 0 and not bench.on_gpu:
                baseline = used()  # of the server, which has its imports from the first stage on
            waits.append(await_free(used, baseline))
            left.append(used() - baseline)
    finally:
        executor.close()
    found.figure("stages", len(jobs))
    found.figure("used before the first one", baseline, "MiB")
    found.figure("most used while a stage ran, above that", peak - baseline, "MiB")
    found.figure("longest wait until memory was back", max(waits), "s")
    found.at_most("most left after a stage", max(left), LEFT_MIB, "MiB")
    found.at_most("left after the last one, the server ended", used() - baseline, LEFT_MIB, "MiB")
    found.require(
        peak - baseline > 2 * LEFT_MIB, f"no stage was seen to take memory: {peak - baseline:.0f} MiB at most"
    )


def _jobs(bench: Bench, count: int) -> Iterator[PlannedJob]:
    """Train and infer of experiments that differ in their seed."""
    grid = {"configs": {f"seed{seed}": {**bench.config(), "seed": seed} for seed in range(count)}}
    results = ResultsFolder(bench.folder / "results-memory")
    for planned in api.plan(bench.write("memory-grid.json", grid)).experiments:
        for job in jobs_of(planned.experiment, planned.keys, ExperimentFolders(results), results, "predictions"):
            if job.record.stage != "evaluate":
                yield job


def _run(executor: JobProcesses, job: PlannedJob, used: Callable[[], float]) -> float:
    """Run one stage to its end; the most memory that was seen meanwhile."""
    attempt = begin_attempt(job.folder)
    write_record(job.folder.job, job.record)
    handle = executor.submit(Submission(job.folder, attempt, Lease()))
    peak = 0.0
    while handle.exit_code() is None:
        executor.ended(PAUSE_SECONDS)
        peak = max(peak, used())
    if handle.exit_code() != 0:
        raise RuntimeError(f"{job.record.stage} ended with {handle.exit_code()}: {attempt.stderr.read_text()[-2000:]}")
    if handle.start != "warm":
        raise RuntimeError(f"{job.record.stage} started {handle.start}, not warm")
    return peak


def await_free(used: Callable[[], float], baseline: float) -> float:
    """Wait until memory is back, at most so long; the seconds that it took."""
    started = time.monotonic()
    while used() - baseline > LEFT_MIB and time.monotonic() - started < WAIT_SECONDS:
        time.sleep(PAUSE_SECONDS)
    return time.monotonic() - started


def _used_on_gpu() -> float:
    """Memory of the whole device that is taken, by whatever process."""
    free, total = torch.cuda.mem_get_info()
    return (total - free) / MIB


def _used_by_children() -> float:
    """Resident memory of all processes below this one."""
    return sum(_resident(pid) for pid in guard.descendants(os.getpid()))


def _resident(pid: int) -> float:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):  # it has ended
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / MIB
