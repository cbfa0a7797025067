"""The baseline stage: every baseline on one set of shots and evaluated rows, with its numbers and its rows.

A baseline that cannot be had is a result too: its reason stands in place of its numbers.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sft.data.rows import Row, indices_of, texts_of
from sft.evaluation.baselines import baseline_registry
from sft.evaluation.baselines.classifiers import Known, Probabilities
from sft.evaluation.metrics.formulas import classification_numbers
from sft.evaluation.rows import labelled_rows, write_rows
from sft.evaluation.selection import DEV, entry_of, options_of
from sft.exceptions import DataError
from sft.processes.environment import peak_rss_bytes, versions
from sft.registry import load
from sft.runs.atomic import write_json
from sft.runs.files import JobFolder
from sft.runs.manifest import write_manifest
from sft.runs.progress import Progress
from sft.runs.records import JobRecord
from sft.tasks.corrections import scored
from sft.tasks.inputs import Inputs, inputs_of_job, row_text, rows_sha256

SCHEMA = 1

Predict = Callable[[Known, Sequence[str]], Probabilities | None]


def run(job: JobFolder, record: JobRecord, progress: Progress, started: float) -> None:
    """Write `baselines.json`, and the rows of each baseline that could be had; the manifest last."""
    whole = inputs_of_job(record)
    inputs = scored(whole, Path(record.config_folder)).inputs
    measured: dict[str, Mapping[str, Any]] = {}
    for step, name in enumerate(baseline_registry, 1):
        predict: Predict = load(baseline_registry, name, "baseline")
        try:
            probabilities = _predicted(whole, predict)
        except DataError as error:
            measured[name] = {"results": {}, "reason": str(error)}
        else:
            if probabilities is not None:
                results = _results(inputs, probabilities, job.baseline_rows(name), Path(record.config_folder))
                measured[name] = {"results": results, "reason": None}
        progress(step, len(baseline_registry))
    written = {
        "schema": SCHEMA,
        "key": record.key,
        "name": record.name,
        "baselines": measured,
        "data": _data_record(inputs),
        "timing": {"baseline": time.perf_counter() - started},
        "resources": {"peak_rss_bytes": peak_rss_bytes()},
        "environment": {"versions": {**versions(), "scikit-learn": metadata.version("scikit-learn")}},
    }
    write_json(job.baselines, written)
    write_manifest(job, [job.result])


def _predicted(inputs: Inputs, predict: Predict) -> Probabilities | None:
    """(rows of all evaluated splits, labels); what each fold's rows are given comes from the others."""
    found = []
    for part in inputs.parts:
        probabilities = predict(
            _known(part), [text for rows in part.evaluated().values() for text in _texts(part, rows)]
        )
        if probabilities is None:
            return None
        found.append(probabilities)
    if not inputs.folds:
        return found[0]
    indices = [index for part in inputs.folds for index in indices_of(part.selection.test)]
    return np.concatenate(found)[np.argsort(indices)]


def _known(inputs: Inputs) -> Known:
    """What the experiments of the job know of the train split."""
    train, labelled = inputs.splits.train, inputs.selection.train
    has_labels = train is not None and inputs.config.prompting.output_column in train.columns
    shots = _shots(inputs)
    return Known(
        len(_labels(inputs)),
        _texts(inputs, shots),
        _places(inputs, shots),
        _places(inputs, labelled if has_labels else ()),
    )


def _results(inputs: Inputs, probabilities: Probabilities, rows: Path, folder: Path) -> dict[str, float]:
    """The numbers of a baseline by metric, `dev_` ones too where there is a dev split; writes its rows.

    Args:
        inputs: the rows of the job.
        probabilities: (rows of all evaluated splits, labels).
        rows: the file for its rows.
        folder: what local paths are relative to.
    """
    labels, column = _labels(inputs), inputs.config.prompting.output_column
    arguments = options_of(entry_of("ece"), inputs.config.evaluation.model_extra or {}, folder)
    results: dict[str, float] = {}
    outcomes = {}
    begin = 0
    for split, evaluated in inputs.evaluated().items():
        own = probabilities[begin : begin + len(evaluated)]
        begin += len(evaluated)
        predicted = [labels[place] for place in own.argmax(axis=1).tolist()]
        outcomes[split] = labelled_rows(labels, texts_of(evaluated, column), predicted, own, {})
        numbers = classification_numbers(_places(inputs, evaluated), own, arguments["ece_bins"], arguments["ece_norm"])
        results |= {f"{DEV if split == 'dev' else ''}{name}": number for name, number in numbers.items()}
    write_rows(rows, outcomes)
    return results


def _data_record(inputs: Inputs) -> dict[str, Any]:
    """Which rows were learned from, and which were evaluated, in the words of an experiment's `metrics.json`."""
    shots, selection = [list(indices_of(_shots(part))) for part in inputs.parts], inputs.selection
    return {
        "train_indices": (shots if inputs.config.uses_shots else []) if inputs.folds else shots[0],
        "n_train": min(map(len, shots)),
        "labels": list(_labels(inputs)),
        "input_columns": list(inputs.config.prompting.input_columns),
        "test_rows_sha256": rows_sha256(selection.test),
        "dev_rows_sha256": None if selection.dev is None else rows_sha256(selection.dev),
    }


def _shots(inputs: Inputs) -> Sequence[Row]:
    """Where they have no effect on the experiments, the baselines know none either."""
    return inputs.selection.shots if inputs.config.uses_shots else ()


def _labels(inputs: Inputs) -> tuple[str, ...]:
    if inputs.labels is None:
        raise ValueError("baselines need a label set")
    return inputs.labels.values


def _texts(inputs: Inputs, rows: Sequence[Row]) -> list[str]:
    return [row_text(row, inputs.config.prompting) for row in rows]


def _places(inputs: Inputs, rows: Sequence[Row]) -> NDArray[np.int64]:
    """The positions of the rows' labels in the label set."""
    places = {label: place for place, label in enumerate(_labels(inputs))}
    return np.array([places[text] for text in texts_of(rows, inputs.config.prompting.output_column)], dtype=np.int64)
