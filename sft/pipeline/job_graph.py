"""The jobs of many experiments as one graph: each job once, and what must be finished before it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from sft.pipeline.jobs import PlannedJob

Experiments = Mapping[str, Sequence[PlannedJob]]
"""Experiment name -> its jobs in the order of their stages; the last one is its goal."""


def unique_jobs(experiments: Experiments) -> dict[Path, PlannedJob]:
    """Every job once, by folder, under the first name that has it."""
    found: dict[Path, PlannedJob] = {}
    for jobs in experiments.values():
        for job in jobs:
            found.setdefault(job.folder.path, job)
    return found


def needed_jobs(experiments: Experiments, is_done: Callable[[PlannedJob], bool]) -> dict[Path, PlannedJob]:
    """The jobs that are not done and lead to a goal that is not done."""
    known = unique_jobs(experiments)
    needed: dict[Path, PlannedJob] = {}
    seen: set[Path] = set()
    waiting = [jobs[-1].folder.path for jobs in experiments.values() if jobs]
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        if not is_done(known[path]):
            needed[path] = known[path]
            waiting += direct_needs(known[path], known)
    return {path: job for path, job in known.items() if path in needed}


def goals_beside(experiments: Experiments, beside: Iterable[PlannedJob]) -> dict[str, list[PlannedJob]]:
    """Each job beside the experiments after those of their jobs that it needs, by its folder."""
    known = unique_jobs(experiments)
    return {str(job.folder.path): [*(known[need] for need in job.needs if need in known), job] for job in beside}


def direct_needs(job: PlannedJob, known: Mapping[Path, PlannedJob]) -> list[Path]:
    """What a job waits for: its needs without those that another of them needs itself.

    Once a model has been run, its adapter may be gone: metrics read what the infer stage left.
    """
    own = [need for need in job.needs if need in known]
    behind = {need for path in own for need in known[path].needs}
    return [path for path in own if path not in behind]
