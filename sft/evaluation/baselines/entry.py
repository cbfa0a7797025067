"""What a baseline is: how it predicts from the shots alone, and how its predictions become rows and numbers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from numpy.typing import NDArray

from sft.evaluation.rows import EvaluatedRows
from sft.runs.records import JobRecord
from sft.tasks.inputs import Inputs


class Outcome(NamedTuple):
    """What became of the rows of a split."""

    rows: EvaluatedRows
    results: Mapping[str, float]
    """Numbers by metric, without what says the split."""


@dataclass(frozen=True)
class Baseline:
    """A way to answer rows that needs no language model."""

    known: Callable[[Inputs], Any]
    """Of the rows of an experiment, or of one fold, what it may learn from."""
    predict: Callable[[Any, Sequence[str]], NDArray[Any] | None]
    """Of what it knows and the texts of rows, its answer for each row, rows first; None where it is no baseline."""
    outcome: Callable[[Inputs, str, NDArray[Any], JobRecord], Outcome]
    """Of the rows to be scored, a split of theirs and the answers for it, how these came out."""
    metrics: tuple[str, ...]
    """Those of the metrics it gives that take arguments."""
    variant: Callable[[Inputs], str | None] = lambda _: None
    """Of the rows and config of a job, what tells two baselines of one name apart; None where nothing does."""

    def title(self, name: str, inputs: Inputs) -> str:
        """The name of the registry with the variant, as boards show it."""
        variant = self.variant(inputs)
        return name if variant is None else f"{name} ({variant})"
