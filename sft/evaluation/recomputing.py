"""Results once more from the record of predictions: do the rows give the numbers that stand?

Whatever follows from labels, probabilities or texts is recomputed, without own code, without a model and without the
`evaluate` library. A result of own code, or of a model, is held against what its rows left in `rows.npz`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sft.config.canonical import json_text
from sft.evaluation.computation import storable
from sft.evaluation.metrics import metric_registry
from sft.evaluation.metrics.entry import WordSplitter
from sft.evaluation.metrics.row_sums import RowSums
from sft.evaluation.outputs import LabelChoice
from sft.evaluation.predictions import has_folds, read_predictions, stored_name
from sft.evaluation.results import word_splitter
from sft.evaluation.row_metrics import is_same, row_sums
from sft.evaluation.rows import EvaluatedRows, labelled_rows, matches, read_rows, set_rows
from sft.evaluation.selection import DEV, LABEL_MASS, UNCALIBRATED, entries_of, options_of, split_prefix
from sft.exceptions import SftError
from sft.models.tokenizers import load_tokenizer
from sft.registry import import_object
from sft.runs.files import JobFolder
from sft.runs.records import read_json_or_none

_SPLITS = {"": "test", DEV: "dev"}
_NOT_ITS_ROWS = (ValueError, KeyError, TypeError, IndexError)
"""What records raise that are not the rows of their metrics."""


def wrong_metrics(job: JobFolder) -> list[str]:
    """What in `metrics.json` is not what the predictions give, one line each; nothing where neither can be read."""
    metrics = read_json_or_none(job.metrics)
    if not isinstance(metrics, dict):
        return []
    found = []
    for prefix, split in _SPLITS.items():
        path = job.predictions(split, "jsonl")
        try:
            sums = _sums(_with_saved(predicted_rows(job, metrics, prefix), job, prefix), metrics, prefix)
            numbers = {key: own.whole for key, own in sums.items()}
        except OSError:
            continue
        except _NOT_ITS_ROWS:
            found.append(f"{path.name} does not hold the rows of its metrics")
            continue
        found += [
            f"result/metrics.json says {key} {metrics['results'][key]:.6g}, the predictions give {number:.6g}"
            for key, number in numbers.items()
            if not is_same(number, metrics["results"][key])
        ]
    return found


@dataclass(frozen=True)
class RunRows:
    """The rows of a split and what follows from them.

    Attributes:
        rows: in their order.
        sums: key of `results` -> how the rows make it: of a result and, where they give that too, the same without the
            calibrator.
    """

    rows: EvaluatedRows
    sums: Mapping[str, RowSums]


def run_rows(job: JobFolder, metrics: Mapping[str, Any], result: str) -> RunRows | None:
    """The rows of the split of a result, with all that its metric needs; None where they do not give the result.

    They are read from `rows.npz`; what that lacks, as files of earlier versions do, is made from the predictions.
    Which slices they are in `rows.npz` alone tells.

    Args:
        job: a finished experiment.
        metrics: content of its `metrics.json`.
        result: a key of `results`, of dev or of test rows.
    """
    details, results = metrics.get("details"), metrics.get("results")
    if not isinstance(details, Mapping) or not isinstance(results, Mapping):
        return None
    prefix = split_prefix(result, details)
    name = result.removeprefix(prefix)
    wanted = {key for key in (result, f"{prefix}{UNCALIBRATED}{name}") if isinstance(results.get(key), int | float)}
    saved, given = read_rows(job.rows, prefix), dict[str, RowSums]()
    if saved is not None:
        try:
            given = _given(saved, metrics, prefix, wanted)
        except _NOT_ITS_ROWS:
            saved = None
    if result in wanted and given.keys() != wanted and name in _recomputable(metrics):
        try:
            again = predicted_rows(job, metrics, prefix, [name])
        except (OSError, *_NOT_ITS_ROWS):
            again = None
        if again is not None and given.keys() < (more := _given(again, metrics, prefix, wanted)).keys():
            return RunRows(again if saved is None else replace(again, slices=saved.slices), more)
    return RunRows(saved, given) if saved is not None and result in given else None


def _given(rows: EvaluatedRows, metrics: Mapping[str, Any], prefix: str, wanted: set[str]) -> dict[str, RowSums]:
    """Those of the sums of wanted results that give what is written."""
    sums = _sums(rows, metrics, prefix, wanted)
    return {key: own for key, own in sums.items() if is_same(own.whole, metrics["results"][key])}


def _sums(
    rows: EvaluatedRows, metrics: Mapping[str, Any], prefix: str, wanted: set[str] | None = None
) -> dict[str, RowSums]:
    """Key of `results` -> how rows make it, of the results of a split that follow from rows."""
    found = {}
    for key, written in metrics["results"].items():
        if split_prefix(key, metrics.get("details") or {}) != prefix or not isinstance(written, int | float):
            continue
        if wanted is not None and key not in wanted:
            continue
        name = key.removeprefix(prefix)
        side = rows.uncalibrated if name.startswith(UNCALIBRATED) else rows
        sums = None if side is None else row_sums(name.removeprefix(UNCALIBRATED), side, metrics)
        if sums is not None:
            found[key] = sums
    return found


def _with_saved(rows: EvaluatedRows, job: JobFolder, prefix: str) -> EvaluatedRows:
    """The rows with what `rows.npz` alone holds of them."""
    saved = read_rows(job.rows, prefix)
    return rows if saved is None else replace(rows, per_row={**saved.per_row, **rows.per_row})


def _recomputable(metrics: Mapping[str, Any]) -> list[str]:
    """The results that follow from predictions: of metrics of ours, which have no range of their own in the record."""
    names = (key for key in metrics["results"] if key not in ((metrics.get("details") or {}).get("range") or {}))
    return [name for name in names if name in metric_registry]


def predicted_rows(
    job: JobFolder, metrics: Mapping[str, Any], prefix: str, names: Sequence[str] | None = None
) -> EvaluatedRows:
    """The rows of a split as its predictions tell them.

    Args:
        job: a finished experiment.
        metrics: content of its `metrics.json`, for the label set, the output column and the arguments of metrics.
        prefix: `DEV` for the dev rows.
        names: metrics of texts that are made ready; None = all.

    Raises:
        OSError: there are no predictions.
        ValueError, KeyError, TypeError, IndexError: they are not the rows of these metrics.
    """
    records = read_predictions(job.predictions(_SPLITS[prefix], "jsonl"))
    config = metrics["config"]
    column = stored_name(config["prompting"]["output_column"], of_folds=has_folds(config))
    gold, predictions = ([json_text(record[name]) for record in records] for name in (column, "predictions"))
    details = metrics.get("details") or {}
    labels = details.get("labels")
    if not isinstance(labels, list):
        chosen = _recomputable(metrics) if names is None else names
        per_row = _text_rows(job, metrics, chosen, [list(map(storable, texts)) for texts in (predictions, gold)])
        return EvaluatedRows(matches(predictions, gold, metrics["config"].get("evaluation", {})), per_row=per_row)
    masses = [record.get("label_mass") for record in records]
    masses_known = {} if None in masses else {LABEL_MASS: np.array(masses, dtype=np.float64)}
    if details.get("has_label_sets"):
        return set_rows(labels, gold, predictions, masses_known)
    rows = labelled_rows(labels, gold, predictions, _by_label(records, "probabilities", labels), masses_known)
    sums = _by_label(records, "label_logprobs", labels)
    has_calibrator = any(key.startswith(f"{prefix}{UNCALIBRATED}") for key in metrics["results"])
    if not has_calibrator or sums is None or not _chooses_by_sums(metrics["config"]):
        return rows
    plain = LabelChoice.of(sums, tuple(labels))
    return replace(rows, uncalibrated=labelled_rows(labels, gold, plain.predictions, plain.probabilities, {}))


def _chooses_by_sums(config: Mapping[str, Any]) -> bool:
    """Whether, without a calibrator, labels are chosen by the sums that predictions hold."""
    scoring = config.get("inference", {}).get("label_scoring", {})
    return scoring.get("normalization", "sum") == "sum" and scoring.get("end_token", True) is True


def _by_label(records: Sequence[Mapping[str, Any]], name: str, labels: Sequence[str]) -> NDArray[np.float64] | None:
    """(rows, labels) numbers of records; None where one is missing."""
    found = [[(record.get(name) or {}).get(label) for label in labels] for record in records]
    return None if any(None in numbers for numbers in found) else np.array(found, dtype=np.float64)


def _text_rows(
    job: JobFolder, metrics: Mapping[str, Any], names: Sequence[str], texts: Sequence[Sequence[str]]
) -> dict[str, NDArray[Any]]:
    """What metrics need of each text; nothing for those whose words a tokenizer splits that cannot be read."""
    written = metrics["config"].get("evaluation", {})
    found: dict[str, NDArray[Any]] = {}
    for entry in entries_of(names):
        if entry.text_rows is None:
            continue
        try:
            split_words = _splitter(job, metrics["config"]) if entry.splits_words else None
        except SftError:
            continue
        found |= import_object(entry.text_rows)(*texts, split_words, options_of(entry, written, Path()))
    return found


def _splitter(job: JobFolder, config: Mapping[str, Any]) -> WordSplitter | None:
    sections = (config.get(section, {}) for section in ("evaluation", "inference"))
    name = next((section["tokenizer_name"] for section in sections if section.get("tokenizer_name")), None)
    if name is None:
        return None
    record = read_json_or_none(job.job) or {}
    revision = record.get("fingerprints", {}).get("revisions", {}).get("tokenizer")
    return word_splitter(load_tokenizer(name, Path(record.get("config_folder", "")), revision))
