"""The runs of a board as effects see them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sft.reporting.collect import ExperimentRecord
from sft.reporting.groups import Group
from sft.reporting.samples import RunSamples


@dataclass(frozen=True)
class BoardRuns:
    """What is known of the runs of a board.

    Attributes:
        records: by id.
        seedless: ids of those in which no seed changes anything.
        samples: by the ranking metric on test rows, of those that were chosen.
    """

    records: Mapping[str, ExperimentRecord]
    seedless: frozenset[str]
    samples: RunSamples

    @classmethod
    def of(cls, groups: Sequence[Group], samples: RunSamples) -> "BoardRuns":
        """Those of all groups."""
        return cls(
            {run.id: run for group in groups for run in group.runs},
            frozenset(run.id for group in groups if group.no_seed_effect for run in group.runs),
            samples,
        )

    @property
    def metric(self) -> str:
        """The ranking metric, on test rows."""
        return self.samples.metric

    def number(self, run: str) -> float | None:
        """The metric of a run; None where it has no number."""
        return self.records[run].number(self.metric)
