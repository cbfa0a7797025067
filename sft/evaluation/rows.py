"""`rows.npz`: how each evaluated row came out, so that statistics over rows need no text and no model."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sft.evaluation.metrics.exact_match import is_match
from sft.evaluation.metrics.formulas import brier_scores, log_losses
from sft.evaluation.selection import DEV, UNCALIBRATED, entry_of, options_of
from sft.labels.label_sets import flags
from sft.runs.array_files import read_arrays
from sft.runs.atomic import atomic_file

if TYPE_CHECKING:
    from sft.evaluation.outputs import SplitOutput

_PER_ROW = "per_row."
"""Before the names of the arrays of single results."""
_SLICE = "slice."
"""Before the names of the arrays of columns."""


@dataclass(frozen=True)
class EvaluatedRows:
    """The evaluated rows of one split, in their order.

    Attributes:
        correct: (rows,) whether the prediction is the gold value; of generated texts whether `exact_match`, with its
            arguments, takes them for equal.
        gold: (rows,) position of the gold value in the label set; None in generation.
        predicted: (rows,) position of the prediction; None in generation.
        log_loss: (rows,) negative natural logarithm of the gold label's probability, in nats; None in generation.
        brier: (rows,) squared distance between the probabilities and the gold label's unit vector; None in generation
            and in files of earlier versions.
        confidence: (rows,) probability of the most probable label; likewise.
        gold_sets: (rows, labels) whether a row has each label; None but where rows have any number of them.
        predicted_sets: (rows, labels) whether it is given it; likewise.
        per_row: by result, (rows,) or (rows, numbers), what a metric needs of each row beside these.
        slices: by column of `evaluation.slices`, (rows,) the slice of each row.
        uncalibrated: the same rows without the calibrator; None where there is none or they are not known.
    """

    correct: NDArray[np.bool_]
    gold: NDArray[np.int64] | None = None
    predicted: NDArray[np.int64] | None = None
    log_loss: NDArray[np.float64] | None = None
    brier: NDArray[np.float64] | None = None
    confidence: NDArray[np.float64] | None = None
    gold_sets: NDArray[np.bool_] | None = None
    predicted_sets: NDArray[np.bool_] | None = None
    per_row: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    slices: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)
    uncalibrated: "EvaluatedRows | None" = None

    def __len__(self) -> int:
        return len(self.correct)

    def at(self, places: NDArray[np.int64]) -> "EvaluatedRows":
        """Some of the rows, without what they were before the calibrator."""
        arrays = {name: array[places] for name in _OUTCOMES if (array := getattr(self, name)) is not None}
        return EvaluatedRows(**arrays, per_row={name: array[places] for name, array in self.per_row.items()})


_MAPS = ("per_row", "slices")
_OUTCOMES = tuple(item.name for item in fields(EvaluatedRows) if item.name not in (*_MAPS, "uncalibrated"))


def evaluated_rows(
    output: "SplitOutput", gold: Sequence[str], written: Mapping[str, Any], per_row: Mapping[str, NDArray[Any]]
) -> EvaluatedRows:
    """What became of the rows of a split.

    Args:
        output: of the split.
        gold: gold values, or reference texts, as many.
        written: arguments of the metrics, as written under `evaluation`.
        per_row: as in `EvaluatedRows`; of results without the calibrator too, by their keys.
    """
    own = {result: values for result, values in per_row.items() if not result.startswith(UNCALIBRATED)}
    if output.labels is None:
        return EvaluatedRows(matches(output.predictions, gold, written), per_row=own)
    if output.has_label_sets:
        return set_rows(output.labels, gold, output.predictions, own)
    before = {result.removeprefix(UNCALIBRATED): per_row[result] for result in per_row.keys() - own.keys()}
    plain = output.uncalibrated
    found = labelled_rows(output.labels, gold, output.predictions, output.probabilities, own)
    if plain is None:
        return found
    return replace(
        found, uncalibrated=labelled_rows(output.labels, gold, plain.predictions, plain.probabilities, before)
    )


def matches(predictions: Sequence[str], gold: Sequence[str], written: Mapping[str, Any]) -> NDArray[np.bool_]:
    """(rows,) whether `exact_match` takes texts for equal, with its arguments as written under `evaluation`."""
    arguments = options_of(entry_of("exact_match"), written, Path())
    pairs = zip(predictions, gold, strict=True)
    return np.array([is_match(text, wanted, arguments) for text, wanted in pairs], dtype=np.bool_)


def labelled_rows(
    labels: Sequence[str],
    gold: Sequence[str],
    predictions: Sequence[str],
    probabilities: NDArray[np.float64] | None,
    per_row: Mapping[str, NDArray[Any]],
) -> EvaluatedRows:
    """Rows that have a label set.

    Args:
        labels: the label set.
        gold: gold values.
        predictions: as many.
        probabilities: (rows, labels); None where there are none.
        per_row: as in `EvaluatedRows`.

    Raises:
        KeyError: a value outside the label set.
    """
    places = {label: place for place, label in enumerate(labels)}
    wanted, given = (np.array([places[value] for value in values], dtype=np.int64) for values in (gold, predictions))
    found = EvaluatedRows(wanted == given, wanted, given, per_row=per_row)
    if probabilities is None:
        return found
    return replace(
        found,
        log_loss=log_losses(probabilities, wanted),
        brier=brier_scores(probabilities, wanted),
        confidence=probabilities.max(axis=1),
    )


def set_rows(
    labels: Sequence[str], gold: Sequence[str], predictions: Sequence[str], per_row: Mapping[str, NDArray[Any]]
) -> EvaluatedRows:
    """Rows with any number of labels.

    Args:
        labels: the label set.
        gold: texts of `label_sets.set_text`.
        predictions: as many.
        per_row: as in `EvaluatedRows`.

    Raises:
        KeyError: a label outside the set.
    """
    wanted, given = flags(gold, labels), flags(predictions, labels)
    return EvaluatedRows((wanted == given).all(axis=1), gold_sets=wanted, predicted_sets=given, per_row=per_row)


def write_rows(path: Path, rows: Mapping[str, EvaluatedRows]) -> None:
    """Write the rows by split (`test`, `dev`), atomically."""
    arrays = {
        name: array for split, found in rows.items() for name, array in _arrays(found, DEV if split == "dev" else "")
    }
    with atomic_file(path) as file:
        np.savez(file, allow_pickle=False, **arrays)


def _arrays(rows: EvaluatedRows, prefix: str) -> Iterator[tuple[str, NDArray[Any]]]:
    for name in _OUTCOMES:
        if getattr(rows, name) is not None:
            yield f"{prefix}{name}", getattr(rows, name)
    for result, array in rows.per_row.items():
        yield f"{prefix}{_PER_ROW}{result}", array
    for column, array in rows.slices.items():
        yield f"{prefix}{_SLICE}{column}", array
    if rows.uncalibrated is not None:
        found = dict(_arrays(rows.uncalibrated, f"{prefix}{UNCALIBRATED}"))
        for known in ("correct", "gold"):  # they follow from the others
            del found[f"{prefix}{UNCALIBRATED}{known}"]
        yield from found.items()


def read_rows(path: Path, prefix: str = "") -> EvaluatedRows | None:
    """The rows of one split; None where there is no such file or it cannot be read.

    Args:
        path: of the file.
        prefix: `DEV` for the dev rows, whose arrays have it before their names.
    """
    try:
        saved = read_arrays(path)
    except (OSError, ValueError):
        return None
    of_split = {name: array for name, array in saved.items() if name.startswith(DEV) == (prefix == DEV)}
    arrays = {name.removeprefix(prefix): array for name, array in of_split.items()}
    shape = arrays["correct"].shape if "correct" in arrays else ()
    if len(shape) != 1 or any(array.shape[:1] != shape for array in arrays.values()):
        return None
    plain = {
        name.removeprefix(UNCALIBRATED): arrays.pop(name) for name in list(arrays) if name.startswith(UNCALIBRATED)
    }
    if "gold" not in arrays or "predicted" not in plain:
        return _rows(arrays, None)
    plain |= {"gold": arrays["gold"], "correct": arrays["gold"] == plain["predicted"]}
    return _rows(arrays, _rows(plain, None))


def _rows(arrays: Mapping[str, NDArray[Any]], uncalibrated: EvaluatedRows | None) -> EvaluatedRows:
    outcomes = {name: arrays[name] for name in _OUTCOMES if name in arrays}
    per_row = {name.removeprefix(_PER_ROW): array for name, array in arrays.items() if name.startswith(_PER_ROW)}
    slices = {name.removeprefix(_SLICE): array for name, array in arrays.items() if name.startswith(_SLICE)}
    return EvaluatedRows(**outcomes, per_row=per_row, slices=slices, uncalibrated=uncalibrated)
