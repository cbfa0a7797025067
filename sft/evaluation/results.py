"""The numbers of one split: its metrics, those without the calibrator beside them, and the label mass."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from sft.evaluation.computation import MetricInputs, MetricResults, compute_metrics
from sft.evaluation.outputs import SplitOutput
from sft.evaluation.selection import LABEL_MASS, UNCALIBRATED
from sft.exceptions import DataError
from sft.models.tokenizers import load_tokenizer
from sft.runs.records import JobRecord
from sft.tasks.inputs import Inputs


def split_results(inputs: Inputs, split: str, output: SplitOutput, record: JobRecord) -> MetricResults:
    """All numbers of a split and their details, the metrics in the order asked for, ours after them.

    Raises:
        DataError: the split has no gold.
    """
    names = inputs.config.evaluation.metrics or inputs.task.default_metrics
    found = metrics_of_split(inputs, split, output, record, names)
    results, details, per_row = dict(found.results), dict(found.details), dict(found.per_row)
    directions = dict(details["higher_is_better"])
    if output.uncalibrated is not None:
        plain = replace(
            output, predictions=output.uncalibrated.predictions, probabilities=output.uncalibrated.probabilities
        )
        before = metrics_of_split(inputs, split, plain, record, names)
        results |= {f"{UNCALIBRATED}{name}": value for name, value in before.results.items()}
        per_row |= {f"{UNCALIBRATED}{name}": values for name, values in before.per_row.items()}
        directions |= {f"{UNCALIBRATED}{name}": directions[name] for name in before.results}
    if output.label_mass is not None:
        results[LABEL_MASS] = float(output.label_mass.mean())
        directions[LABEL_MASS] = True
    if output.threshold is not None:
        details["threshold"] = output.threshold
    if output.calibration is not None:
        details["calibration"] = output.calibration
    return MetricResults(results, details | {"higher_is_better": directions}, per_row)


def metrics_of_split(
    inputs: Inputs,
    split: str,
    output: SplitOutput,
    record: JobRecord,
    names: Sequence[str],
) -> MetricResults:
    """Metrics of the evaluated rows of a split.

    Args:
        inputs: the rows.
        split: whose rows.
        output: of these rows.
        record: of the job, for its folder and the commit of a tokenizer.
        names: of the metrics.

    Raises:
        DataError: the split has no gold.
    """
    config = inputs.config
    column = config.prompting.output_column
    if not inputs.has_gold(split):
        raise DataError(f"column {column!r} is not in split {split}; metrics need it")
    folder = Path(record.config_folder)
    name = config.evaluation.tokenizer_name or config.inference.tokenizer_name
    revision = record.fingerprints["revisions"].get("tokenizer")
    takes_words = inputs.task.uses("evaluation.tokenizer_name")
    words = word_splitter(load_tokenizer(name, folder, revision)) if name and takes_words else None
    metric_inputs = MetricInputs(
        gold=[row.text(column) for row in inputs.evaluated()[split]],
        predictions=output.predictions,
        labels=inputs.labels.values if inputs.labels else None,
        probabilities=output.probabilities,
        token_sums=output.token_sums,
        split_words=words,
        has_label_sets=inputs.task.has_label_sets,
    )
    return compute_metrics(names, inputs.task.name, metric_inputs, config.evaluation.model_extra or {}, folder)


class Tokenizer(Protocol):
    """The part of a Hugging Face tokenizer that is used."""

    def tokenize(self, text: str) -> list[str]:
        """The tokens of a text, without special tokens."""


def word_splitter(tokenizer: Tokenizer) -> Callable[[str], list[str]]:
    """A function that splits a text into the tokenizer's tokens, each as its text."""

    def split(text: str) -> list[str]:
        return list(tokenizer.tokenize(text))

    return split
