"""What the jobs of chains need of each other, inside a chain and beside it."""

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sft.experiments.executors.options import ExecutorOptions
from sft.experiments.executors.protocol import JobAttempt
from sft.pipeline.job_graph import direct_needs
from sft.pipeline.jobs import PlannedJob
from sft.runs.chains import Chain, Link, needs_within


@dataclass(frozen=True)
class Needs:
    """The jobs of a run that were not done when it began; of the others nothing is waited for."""

    jobs: Mapping[Path, PlannedJob] = field(default_factory=dict)
    """By their folders."""

    def chain(self, tries: Sequence[JobAttempt], options: ExecutorOptions, threads: int) -> Chain:
        """Jobs that are to run one after the other, with what each needs.

        Args:
            tries: the jobs in this order.
            options: how their processes are started and stopped.
            threads: of the computations of each.
        """
        return Chain(
            tuple(self._links(tries)),
            options.start,
            options.start_timeout,
            options.fork_timeout,
            threads=threads,
            grace=options.grace,
            folder=os.getcwd(),
        )

    def _links(self, chain: Sequence[JobAttempt]) -> list[Link]:
        folders = [tried.folder.path for tried in chain]
        needs = [self.jobs[folder].needs if folder in self.jobs else () for folder in folders]
        return [
            Link(folder, tried.attempt.path.name, within, tuple(self._beside(folder, folders)))
            for folder, tried, within in zip(folders, chain, needs_within(folders, needs), strict=True)
        ]

    def outside(self, chain: Collection[Path]) -> list[Path]:
        """The folders of all jobs that those of a chain need and that are not in it, each once."""
        return list(dict.fromkeys(need for folder in chain for need in self._beside(folder, chain)))

    def are_there(self, chain: Collection[Path]) -> bool:
        """Whether all that a chain needs of others has its results."""
        return all(self.jobs[need].is_done for need in self.outside(chain))

    def _beside(self, folder: Path, chain: Collection[Path]) -> list[Path]:
        job = self.jobs.get(folder)
        return [] if job is None else [need for need in direct_needs(job, self.jobs) if need not in chain]
