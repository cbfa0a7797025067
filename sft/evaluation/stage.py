"""The evaluate stage: saved scores or texts to predictions and metrics; no model is loaded."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from sft.data.leaks import count_leaks
from sft.data.rows import indices_of, rows_at
from sft.evaluation.computation import MetricResults
from sft.evaluation.outputs import SplitOutput, read_outputs
from sft.evaluation.parts import Part, joined, parts_of
from sft.evaluation.predictions import prediction_records, write_predictions
from sft.evaluation.results import split_results
from sft.evaluation.rows import evaluated_rows, write_rows
from sft.evaluation.slices import SlicedColumn, sliced
from sft.evaluation.stage_records import StageRecords
from sft.runs.atomic import write_json
from sft.runs.chains import queue_seconds
from sft.runs.files import JobFolder
from sft.runs.manifest import write_manifest
from sft.runs.progress import Progress
from sft.runs.records import EVAL, JobRecord
from sft.tasks.corrections import ScoredInputs, scored
from sft.tasks.inputs import Inputs, inputs_of_job, rows_sha256
from sft.tasks.missing import missing_record
from sft.tasks.row_sets import RowSet, pool_rows

SCHEMA = 1


def run(job: JobFolder, record: JobRecord, progress: Progress, started: float) -> None:
    """Write predictions and, where metrics are asked for, `rows.npz` and `metrics.json`; the manifest last."""
    folder = Path(record.config_folder)
    whole = inputs_of_job(record)
    scoring = scored(whole, folder)
    inputs = scoring.inputs
    parts = parts_of(job, record, whole)
    outputs = joined(inputs, parts, [read_outputs(part.infers, part.inputs, folder) for part in parts])
    written = [path for split, output in outputs.items() for path in _write_split(job, inputs, parts, split, output)]
    if record.with_metrics:
        results = {split: split_results(inputs, split, output, record) for split, output in outputs.items()}
        slices = {column: sliced(column, inputs.evaluated()) for column in inputs.config.evaluation.slices or ()}
        results = {split: _with_slices(found, split, slices) for split, found in results.items()}
        _write_rows(job, inputs, outputs, results, slices)
        _write_metrics(job, record, scoring, results, parts, started)
        written += [job.rows, job.metrics]
    total = sum(len(output.predictions) for output in outputs.values())
    progress(total, total)
    write_manifest(job, written)


def _write_split(job: JobFolder, inputs: Inputs, parts: Sequence[Part], split: str, output: SplitOutput) -> list[Path]:
    config, rows = inputs.config, inputs.evaluated()[split]
    examples = None
    if config.draws_examples_per_row:
        found = {index: own for part in parts for index, own in part.examples(split).items()}
        examples = [found[row.source_index] for row in rows]
    keep, column = config.dataset.keep_columns, config.prompting.output_column
    records = prediction_records(rows, output, keep, column, examples)
    paths = [job.predictions(split, "jsonl"), job.predictions(split, "tsv")]
    write_predictions(paths[0], paths[1], records, of_folds=output.folds is not None)
    return paths


def _with_slices(results: MetricResults, split: str, slices: Mapping[str, SlicedColumn]) -> MetricResults:
    """The results of a split whose details name the slices of its rows, where there are any."""
    if not slices:
        return results
    told = {column: one.record(split) for column, one in slices.items()}
    return replace(results, details=results.details | {"slices": told})


def _write_rows(
    job: JobFolder,
    inputs: Inputs,
    outputs: Mapping[str, SplitOutput],
    results: Mapping[str, MetricResults],
    slices: Mapping[str, SlicedColumn],
) -> None:
    column, written = inputs.config.prompting.output_column, inputs.config.evaluation.model_extra or {}
    rows = inputs.evaluated()
    found = {
        split: evaluated_rows(output, [row.text(column) for row in rows[split]], written, results[split].per_row)
        for split, output in outputs.items()
    }
    codes = {split: {column: one.codes[split] for column, one in slices.items()} for split in found}
    write_rows(job.rows, {split: replace(own, slices=codes[split]) for split, own in found.items()})


def _write_metrics(
    job: JobFolder,
    record: JobRecord,
    scoring: ScoredInputs,
    results: Mapping[str, MetricResults],
    parts: Sequence[Part],
    started: float,
) -> None:
    inputs, stages = scoring.inputs, StageRecords.of(parts)
    dev = results.get("dev")
    dev_results = {} if dev is None else {f"dev_{name}": value for name, value in dev.results.items()}
    metrics = {
        "schema": SCHEMA,
        "id": record.key,
        "name": record.name,
        "seed": inputs.config.seed,
        "results": {**results["test"].results, **dev_results},
        "details": {**results["test"].details, **({} if dev is None else {"dev": dev.details})},
        "data": _data_record(inputs, parts, stages)
        | scoring.record(record.fingerprints.get("files", {}).get(f"evaluate:{inputs.config.dataset.corrections}")),
        "config": record.config,
        "timing": {**stages.timing(), "evaluate": time.perf_counter() - started},
        "resources": stages.resources() | _queue_record(job, parts),
        "environment": stages.environment(Path(record.config_folder)),
    }
    write_json(job.metrics, metrics)


def _queue_record(job: JobFolder, parts: Sequence[Part]) -> dict[str, float]:
    """The seconds that the experiment's stages waited for places; nothing where none ran on a cluster."""
    trainings = [part.train for part in parts if part.train is not None]
    waited = queue_seconds([*trainings, *(infer for part in parts for infer in part.infers.values()), job])
    return {} if waited is None else {"queue_seconds": waited}


def _data_record(inputs: Inputs, parts: Sequence[Part], stages: StageRecords) -> dict[str, Any]:
    selection, has_folds = inputs.selection, bool(inputs.splits.folds)
    shots = [list(indices_of(part.shots)) for part in parts]
    shown = [max(part.inferences[EVAL]["examples"]["test"], key=len) for part in parts]
    uses_examples = inputs.config.inference.icl_examples > 0
    return {
        "train_indices": (shots if inputs.config.uses_shots else []) if has_folds else shots[0],
        "dev_indices": None if selection.dev is None else list(indices_of(selection.dev)),
        "test_indices": list(indices_of(selection.test)),
        "icl_indices": None
        if inputs.config.draws_examples_per_row
        else ((shown if uses_examples else []) if has_folds else shown[0]),
        "n_train": min(map(len, shots)),
        "n_dev": None if selection.dev is None else len(selection.dev),
        "n_test": len(selection.test),
        "labels": None if inputs.labels is None else list(inputs.labels.values),
        "test_rows_sha256": rows_sha256(selection.test),
        "dev_rows_sha256": None if selection.dev is None else rows_sha256(selection.dev),
        "n_leaked": sum(map(_n_leaked, parts)),
        **stages.counts(),
        **missing_record(inputs),
    }


def _n_leaked(part: Part) -> int:
    """How many rows that were trained on, shown or calibrated on have the text of an evaluated row of the part."""
    inputs = part.inputs
    examples = [index for rows in part.inferences[EVAL]["examples"].values() for row in rows for index in row]
    sets = (RowSet.parse(name) for name in part.infers)
    calibrated_on = (row for row_set in sets if row_set.kind == "train" for row in pool_rows(inputs, row_set))
    used = {*(row.source_index for row in (*part.shots, *calibrated_on)), *examples}
    evaluated = chain.from_iterable(inputs.evaluated().values())
    seen = rows_at(inputs.selection.train, used)
    return count_leaks([seen[index] for index in used], evaluated, inputs.config.prompting.input_columns)
