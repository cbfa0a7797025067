"""What it costs to find the next job of thousands that are ready: on the slots of this machine, and for a cluster."""

import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.report import Figure
from sft.experiments.executors.local.dealing import Dealing
from sft.experiments.executors.local.leases import Grant, Leases, Machine
from sft.experiments.executors.protocol import Request
from sft.experiments.running.schedule import Schedule
from sft.pipeline.jobs import PlannedJob
from sft.runs.files import ResultsFolder
from sft.runs.records import JobRecord

READY, SLOTS, ENDS = 10_000, 8, 1_000
TRAININGS, FOLLOWERS = 2_000, 5
"""Each training has so many inferences, and each of them an evaluation."""
WANTED_MS = 0.1


def figures(folder: Path) -> Iterator[Figure]:
    """An end and the start that it makes room for; then the chains of a grid of 22,000 stages, one by one."""
    results, wanted = ResultsFolder(folder), f"wanted: at most {WANTED_MS:g}"
    yield Figure(f"next of {READY:,} ready jobs, {SLOTS} slots", 1000 * _local(results), "ms of CPU", wanted)
    n_stages = TRAININGS * (1 + 2 * FOLLOWERS)
    yield Figure(f"next of {n_stages:,} stages in chains", 1000 * _chains(results), "ms of CPU", wanted)


def _local(results: ResultsFolder) -> float:
    """CPU seconds of each end, from the lease that comes back to the next that is taken."""
    schedule = Schedule([_job(results, f"{number:016d}") for number in range(READY)])
    leases, request = Leases(Machine(jobs=SLOTS)), Request(has_model=False)
    dealing = Dealing(leases)
    running: list[tuple[PlannedJob, Grant]] = []

    def start() -> None:
        for job in dealing.round(schedule.ready, lambda _: request, ()):
            grant = leases.take(request)
            if grant is None:
                raise RuntimeError("no lease for a job that was to start")
            schedule.start(job)
            running.append((job, grant))

    start()
    began = time.process_time()
    for _ in range(ENDS):
        job, grant = running.pop(0)
        leases.release(grant)
        schedule.finish(job)
        start()
    return (time.process_time() - began) / ENDS


def _chains(results: ResultsFolder) -> float:
    """CPU seconds of each stage: its chain is found and started, and it ends."""
    jobs = []
    for training in range(TRAININGS):
        train = _job(results, f"{training:016d}")
        infers = [_job(results, f"{training:08d}i{number:07d}", train) for number in range(FOLLOWERS)]
        jobs += [train, *infers, *(_job(results, f"{job.folder.path.name}e", job) for job in infers)]
    schedule = Schedule(jobs)
    began = time.process_time()
    while schedule.ready:
        chain = schedule.chain(schedule.ready[0])
        for job in chain:
            schedule.start(job)
        for job in chain:
            schedule.finish(job)
    return (time.process_time() - began) / len(jobs)


def _job(results: ResultsFolder, key: str, *needs: PlannedJob) -> PlannedJob:
    record = JobRecord("infer", key, key, {}, "", {})
    return PlannedJob(results.stage("infer", key), record, tuple(need.folder.path for need in needs))
