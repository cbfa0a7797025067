"""The baseline stage: every baseline on one set of shots and evaluated rows, with its numbers and its rows.

A baseline that cannot be had is a result too: its reason stands in place of its numbers.
"""

import time
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sft.data.rows import indices_of
from sft.evaluation.baselines import baseline_registry
from sft.evaluation.baselines.entry import Baseline
from sft.evaluation.rows import write_rows
from sft.evaluation.selection import DEV
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


def run(job: JobFolder, record: JobRecord, progress: Progress, started: float) -> None:
    """Write `baselines.json`, and the rows of each baseline that could be had; the manifest last."""
    whole = inputs_of_job(record)
    inputs = scored(whole, Path(record.config_folder)).inputs
    measured: dict[str, Mapping[str, Any]] = {}
    names = whole.task.baselines
    for step, name in enumerate(names, 1):
        baseline: Baseline = load(baseline_registry, name, "baseline")
        title = baseline.title(name, whole)
        try:
            answers = _answers(whole, baseline)
        except DataError as error:
            measured[title] = {"results": {}, "reason": str(error)}
        else:
            if answers is not None:
                results = _results(inputs, answers, baseline, job.baseline_rows(title), record)
                measured[title] = {"results": results, "reason": None}
        progress(step, len(names))
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


def _answers(inputs: Inputs, baseline: Baseline) -> NDArray[Any] | None:
    """(rows of all evaluated splits, ...); what each fold's rows are given comes from the others."""
    found = []
    for part in inputs.parts:
        rows = [row for own in part.evaluated().values() for row in own]
        texts = [row_text(row, inputs.config.prompting) for row in rows]
        answers = baseline.predict(baseline.known(part), texts)
        if answers is None:
            return None
        found.append(answers)
    if not inputs.folds:
        return found[0]
    indices = [index for part in inputs.folds for index in indices_of(part.selection.test)]
    return np.concatenate(found)[np.argsort(indices)]


def _results(
    inputs: Inputs, answers: NDArray[Any], baseline: Baseline, rows: Path, record: JobRecord
) -> dict[str, float]:
    """The numbers of a baseline by metric, `dev_` ones too where there is a dev split; writes its rows.

    Args:
        inputs: the rows to be scored.
        answers: (rows of all evaluated splits, ...).
        baseline: whose answers they are.
        rows: the file for its rows.
        record: of the job.
    """
    results: dict[str, float] = {}
    outcomes = {}
    begin = 0
    for split, evaluated in inputs.evaluated().items():
        found = baseline.outcome(inputs, split, answers[begin : begin + len(evaluated)], record)
        begin += len(evaluated)
        outcomes[split] = found.rows
        results |= {f"{DEV if split == 'dev' else ''}{name}": number for name, number in found.results.items()}
    write_rows(rows, outcomes)
    return results


def _data_record(inputs: Inputs) -> dict[str, Any]:
    """Which rows were learned from, and which were evaluated, in the words of an experiment's `metrics.json`."""
    shots, selection = [list(indices_of(part.shots_in_use)) for part in inputs.parts], inputs.selection
    return {
        "train_indices": (shots if inputs.config.uses_shots else []) if inputs.folds else shots[0],
        "n_train": min(map(len, shots)),
        **({} if inputs.labels is None else {"labels": list(inputs.labels.values)}),
        "input_columns": list(inputs.config.prompting.input_columns),
        "test_rows_sha256": rows_sha256(selection.test),
        "dev_rows_sha256": None if selection.dev is None else rows_sha256(selection.dev),
    }
