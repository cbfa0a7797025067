"""Metrics of one split: names and predictions in, numbers and details out. Nothing here touches a model or a file."""

import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sft.evaluation.checks import require_packages
from sft.evaluation.metrics.entry import PER_ROW, MetricEntry, Range, WordSplitter
from sft.evaluation.metrics.hub import arguments_key, compute_hub_metric
from sft.evaluation.metrics.own import compute_own_metric
from sft.evaluation.metrics.set_counts import per_label
from sft.evaluation.selection import entries_of, entry_of, higher_is_better, options_of, result_name, source_of
from sft.evaluation.unseen import unseen_references
from sft.exceptions import DataError, UserError
from sft.labels.label_sets import flags
from sft.registry import import_object


@dataclass(frozen=True)
class MetricInputs:
    """The evaluated rows of one split.

    Attributes:
        gold: gold values, or reference texts.
        predictions: predicted gold values, or generated texts; as many.
        labels: the label set (gold values, in order); None in generation.
        probabilities: (rows, labels), each row sums to 1; None where there are none.
        split_words: splits a text into words for BLEU and ROUGE; None for the metrics' own way.
        token_sums: (rows, 2) sum of the log-probabilities of a row's tokens, in nats, and their number; None but of
            texts that are measured whole.
        has_label_sets: whether gold and predictions are texts of `label_sets.set_text`.
    """

    gold: Sequence[str]
    predictions: Sequence[str]
    labels: tuple[str, ...] | None = None
    probabilities: NDArray[np.float64] | None = None
    split_words: WordSplitter | None = None
    token_sums: NDArray[np.float64] | None = None
    has_label_sets: bool = False

    @property
    def has_one_label(self) -> bool:
        """Whether each row has one label of a set."""
        return self.labels is not None and not self.has_label_sets


@dataclass(frozen=True)
class MetricResults:
    """What was computed.

    Attributes:
        results: number by name, in the order of the metrics asked for; None where it is not finite.
        details: what is more than a number; `higher_is_better` holds the direction of each result, `range` least and
            largest value of those of metrics that are not ours, null where unknown.
        per_row: what its rows add to each result, where the rows' texts or own code are needed to tell.
    """

    results: dict[str, float | None]
    details: dict[str, Any]
    per_row: dict[str, NDArray[Any]]


@dataclass(frozen=True)
class _Ranked:
    """The numbers of one metric and their direction; of one that is not ours their range too, where it is known."""

    numbers: Mapping[str, Any]
    higher_is_better: bool
    is_ours: bool = False
    range: Range | None = None
    per_row: Mapping[str, NDArray[Any]] = field(default_factory=dict)


def compute_metrics(
    metrics: Sequence[str], task_type: str, inputs: MetricInputs, options: Mapping[str, Any], folder: Path
) -> MetricResults:
    """Compute the named metrics, and for classification the confusion matrix and the numbers of each label.

    Args:
        metrics: names as in `evaluation.metrics`.
        task_type: of the data set.
        inputs: the rows.
        options: arguments of the metrics, as written under `evaluation`.
        folder: the folder of the grid file, for own code and local paths.

    Raises:
        DataError: there is no row, or a value outside the label set.
        UserError: an unknown metric, or one that is not defined for the task type.
        MachineError: a package or the hub is needed and not there.
    """
    if not inputs.gold:
        raise DataError("there is no row to compute metrics on")
    require_packages(metrics)
    asked = [*metrics, "confusion_matrix"] if inputs.has_one_label else list(metrics)
    computed = {
        entry: _compute_entry(entry, _columns(entry, task_type, inputs), options_of(entry, options, folder), inputs)
        for entry in entries_of(asked)
    }
    ranked = [_ranked(name, computed, inputs, options, folder) for name in metrics]
    numbers = {key: value for metric in ranked for key, value in metric.numbers.items()}
    results = {key: float(value) if math.isfinite(value) else None for key, value in numbers.items()}
    directions = {key: metric.higher_is_better for metric in ranked for key in metric.numbers}
    details = {**_details(computed, inputs), "higher_is_better": directions}
    ranges = {key: metric.range for metric in ranked if not metric.is_ours for key in metric.numbers}
    details |= {"range": ranges} if ranges else {}
    if inputs.labels is None:
        unseen = unseen_references(metrics, options, inputs.gold, folder, has_tokenizer=inputs.split_words is not None)
        details |= {"warnings": unseen} if unseen else {}
    return MetricResults(
        results, details, {key: values for metric in ranked for key, values in metric.per_row.items()}
    )


def _ranked(
    name: str,
    computed: Mapping[MetricEntry, Mapping[str, Any]],
    inputs: MetricInputs,
    options: Mapping[str, Any],
    folder: Path,
) -> _Ranked:
    source = source_of(name)
    if source == "registry":
        entry = entry_of(name)
        values = computed[entry]
        per_row = {key: own for key, own in values.get(PER_ROW, {}).items() if key == name}
        return _Ranked({name: values[name]} if entry.results else {}, entry.higher_is_better, True, per_row=per_row)
    if source == "own":
        own = compute_own_metric(name, inputs.predictions, inputs.gold, folder)
        key = result_name(name)
        rows = {} if own.per_row is None else {key: own.per_row}
        return _Ranked(_named(key, own.value), own.higher_is_better, range=own.range, per_row=rows)
    arguments = options.get(arguments_key(result_name(name)), {})
    columns = _plain_columns(inputs)
    value = compute_hub_metric(name, columns.predictions, columns.references, arguments, folder)
    return _Ranked(_named(result_name(name), value), bool(higher_is_better(name)))


def _named(name: str, value: float | Mapping[str, Any]) -> dict[str, float]:
    """One number under the metric's name, several under `name.part`; what is no number is left out."""
    if not isinstance(value, Mapping):
        return {name: float(value)}
    numbers = {
        key: float(number)
        for key, number in value.items()
        if np.ndim(number) == 0 and isinstance(number, int | float | np.number) and not isinstance(number, bool)
    }
    if len(numbers) == 1:
        return {name: next(iter(numbers.values()))}
    return {name if key == name else f"{name}.{key}": number for key, number in numbers.items()}


@dataclass(frozen=True)
class _Columns:
    predictions: Sequence[Any]
    references: Sequence[Any]


def _columns(entry: MetricEntry, task_type: str, inputs: MetricInputs) -> _Columns:
    """The two inputs in the form that the metric's `needs` names."""
    if task_type not in entry.task_types:
        raise UserError(f"metrics {', '.join(entry.results)} are not defined for task_type {task_type!r}")
    if entry.needs == "token_sums" and inputs.token_sums is not None:
        return _Columns(inputs.token_sums.tolist(), [storable(text) for text in inputs.gold])
    if entry.needs != "probabilities":
        return _plain_columns(inputs)
    if inputs.probabilities is None:
        raise UserError(f"metric {entry.results[0]!r} needs label probabilities, and there are none")
    return _Columns(inputs.probabilities.tolist(), _plain_columns(inputs).references)


def _plain_columns(inputs: MetricInputs) -> _Columns:
    if inputs.labels is None:
        return _Columns([storable(text) for text in inputs.predictions], [storable(text) for text in inputs.gold])
    places = {label: place for place, label in enumerate(inputs.labels)}
    try:
        if inputs.has_label_sets:
            return _Columns(
                *(flags(texts, inputs.labels).astype(int).tolist() for texts in (inputs.predictions, inputs.gold))
            )
        return _Columns([places[value] for value in inputs.predictions], [places[value] for value in inputs.gold])
    except KeyError as error:
        raise DataError(f"value {error.args[0]!r} is not in the label set {list(inputs.labels)}") from error


def storable(text: str) -> str:
    """Text that Arrow can hold: lone surrogates, which JSON can bring in, as their escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _compute_entry(
    entry: MetricEntry, columns: _Columns, arguments: Mapping[str, Any], inputs: MetricInputs
) -> Mapping[str, Any]:
    metric_class = import_object((inputs.has_label_sets and entry.of_sets) or entry.module)
    given = dict(arguments)
    if inputs.labels is not None:
        given["n_labels"] = len(inputs.labels)
    if entry.splits_words:
        given["split_words"] = inputs.split_words
    with tempfile.TemporaryDirectory() as folder:
        metric = metric_class(keep_in_memory=True, cache_dir=folder)
        result: Mapping[str, Any] = metric.compute(
            predictions=columns.predictions, references=columns.references, **given
        )
    return result


def _details(computed: Mapping[MetricEntry, Mapping[str, Any]], inputs: MetricInputs) -> dict[str, Any]:
    details: dict[str, Any] = {}
    for entry, values in computed.items():
        details.update({key: value for key, value in values.items() if key not in (*entry.results, PER_ROW)})
    if inputs.labels is None:
        return details
    if inputs.has_label_sets:
        details["has_label_sets"] = True
        details["per_label"] = per_label(flags(inputs.gold, inputs.labels), flags(inputs.predictions, inputs.labels))
    details["labels"] = list(inputs.labels)
    details["per_label"] = dict(zip(inputs.labels, details["per_label"], strict=True))
    return details
