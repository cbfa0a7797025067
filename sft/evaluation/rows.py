"""`rows.npz`: how each evaluated row came out, so that statistics over rows need no text and no model."""

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sft.evaluation.metrics.formulas import log_losses
from sft.evaluation.outputs import SplitOutput
from sft.evaluation.selection import DEV as DEV
from sft.runs.array_files import read_arrays
from sft.runs.atomic import atomic_file


@dataclass(frozen=True)
class EvaluatedRows:
    """The evaluated rows of one split, in their order.

    Attributes:
        correct: (rows,) whether the prediction is the gold value; of generated texts whether they are equal but for
            white space around them.
        gold: (rows,) position of the gold value in the label set; None in generation.
        predicted: (rows,) position of the prediction; None in generation.
        log_loss: (rows,) negative natural logarithm of the gold label's probability, in nats; None in generation.
        uncalibrated_predicted: as `predicted`, without the calibrator; None where there is none, and in files that
            are older than it.
        uncalibrated_log_loss: likewise.
    """

    correct: NDArray[np.bool_]
    gold: NDArray[np.int64] | None = None
    predicted: NDArray[np.int64] | None = None
    log_loss: NDArray[np.float64] | None = None
    uncalibrated_predicted: NDArray[np.int64] | None = None
    uncalibrated_log_loss: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.correct)

    def without_calibrator(self) -> "EvaluatedRows | None":
        """The same rows as they came out without the calibrator; None where that is not known."""
        if self.gold is None or self.uncalibrated_predicted is None:
            return None
        correct = self.gold == self.uncalibrated_predicted
        return EvaluatedRows(correct, self.gold, self.uncalibrated_predicted, self.uncalibrated_log_loss)


def evaluated_rows(output: SplitOutput, gold: Sequence[str]) -> EvaluatedRows:
    """What became of the rows of a split.

    Args:
        output: of the split.
        gold: gold values, or reference texts, as many.
    """
    if output.labels is None:
        pairs = zip(output.predictions, gold, strict=True)
        return EvaluatedRows(np.array([text.strip() == wanted.strip() for text, wanted in pairs], dtype=np.bool_))
    places = {label: place for place, label in enumerate(output.labels)}
    gold_places = _places(gold, places)
    predicted = _places(output.predictions, places)
    losses = None if output.probabilities is None else log_losses(output.probabilities, gold_places)
    plain = output.uncalibrated
    return EvaluatedRows(
        gold_places == predicted,
        gold_places,
        predicted,
        losses,
        None if plain is None else _places(plain.predictions, places),
        None if plain is None else log_losses(plain.probabilities, gold_places),
    )


def _places(values: Sequence[str], places: Mapping[str, int]) -> NDArray[np.int64]:
    return np.array([places[value] for value in values], dtype=np.int64)


def write_rows(path: Path, rows: Mapping[str, EvaluatedRows]) -> None:
    """Write the rows by split (`test`, `dev`), atomically."""
    arrays = {
        f"{DEV if split == 'dev' else ''}{name}": array
        for split, found in rows.items()
        for name in EvaluatedRows.__dataclass_fields__
        if (array := getattr(found, name)) is not None
    }
    with atomic_file(path) as file:
        np.savez(file, allow_pickle=False, **arrays)


def read_rows(path: Path, prefix: str = "") -> EvaluatedRows | None:
    """The rows of one split; None where there is no such file or it cannot be read.

    Args:
        path: of the file.
        prefix: `DEV` for the dev rows, whose arrays have it before their names.
    """
    try:
        saved = read_arrays(path)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return None
    arrays = {name: saved[key] for name in EvaluatedRows.__dataclass_fields__ if (key := f"{prefix}{name}") in saved}
    return EvaluatedRows(**arrays) if "correct" in arrays else None
