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
from sft.evaluation.predictions import prediction_records, write_predictions
from sft.evaluation.results import split_results
from sft.evaluation.rows import evaluated_rows, write_rows
from sft.evaluation.slices import SlicedColumn, sliced
from sft.processes.environment import git_commit, peak_rss_bytes, versions
from sft.runs.atomic import write_json
from sft.runs.files import JobFolder
from sft.runs.manifest import adapter_bytes, write_manifest
from sft.runs.progress import Progress
from sft.runs.records import EVAL, JobRecord, read_json_or_none
from sft.tasks.corrections import ScoredInputs, scored
from sft.tasks.inputs import Inputs, inputs_of_job, rows_sha256
from sft.tasks.row_sets import RowSet, pool_rows

SCHEMA = 1
LIBRARY_WARNINGS = "library_warnings"


def run(job: JobFolder, record: JobRecord, progress: Progress, started: float) -> None:
    """Write predictions and, where metrics are asked for, `rows.npz` and `metrics.json`; the manifest last."""
    folder = Path(record.config_folder)
    scoring = scored(inputs_of_job(record), folder)
    inputs = scoring.inputs
    infers = {name: JobFolder(path) for name, path in record.infer_folders(job.path).items()}
    inferences = {name: read_json_or_none(infer.inference) for name, infer in infers.items()}
    inference = inferences[EVAL]
    outputs = read_outputs(infers, inputs, folder)
    written = [
        path for split, output in outputs.items() for path in _write_split(job, inputs, split, output, inference)
    ]
    if record.with_metrics:
        results = {split: split_results(inputs, split, output, record) for split, output in outputs.items()}
        slices = {column: sliced(column, inputs.evaluated()) for column in inputs.config.evaluation.slices or ()}
        results = {split: _with_slices(found, split, slices) for split, found in results.items()}
        _write_rows(job, inputs, outputs, results, slices)
        _write_metrics(job, record, scoring, results, inferences, started)
        written += [job.rows, job.metrics]
    total = sum(len(output.predictions) for output in outputs.values())
    progress(total, total)
    write_manifest(job, written)


def _write_split(
    job: JobFolder, inputs: Inputs, split: str, output: SplitOutput, inference: Mapping[str, Any]
) -> list[Path]:
    config = inputs.config
    records = prediction_records(
        inputs.evaluated()[split],
        output,
        config.dataset.keep_columns,
        config.prompting.output_column,
        inference["examples"][split] if config.draws_examples_per_row else None,
    )
    paths = [job.predictions(split, "jsonl"), job.predictions(split, "tsv")]
    write_predictions(paths[0], paths[1], records)
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
    inferences: Mapping[str, Mapping[str, Any]],
    started: float,
) -> None:
    inputs, inference = scoring.inputs, inferences[EVAL]
    train_folder = record.input_folder("train", job.path)
    train = None if train_folder is None else JobFolder(train_folder)
    training = None if train is None else read_json_or_none(train.training)
    timing = {"train": training["stage_seconds"]} if training else {}
    dev = results.get("dev")
    dev_results = {} if dev is None else {f"dev_{name}": value for name, value in dev.results.items()}
    metrics = {
        "schema": SCHEMA,
        "id": record.key,
        "name": record.name,
        "seed": inputs.config.seed,
        "results": {**results["test"].results, **dev_results},
        "details": {**results["test"].details, **({} if dev is None else {"dev": dev.details})},
        "data": _data_record(inputs, inferences, training)
        | scoring.record(record.fingerprints.get("files", {}).get(f"evaluate:{inputs.config.dataset.corrections}")),
        "config": record.config,
        "timing": {
            **timing,
            "infer": sum(stage["stage_seconds"] for stage in inferences.values()),
            "evaluate": time.perf_counter() - started,
        },
        "resources": {
            **_resources(inferences, training),
            "adapter_bytes": None if train is None else adapter_bytes(train),
        },
        "environment": {
            **_environment(inference, training, Path(record.config_folder)),
            **_library_warnings([*inferences.values(), *([training] if training else [])]),
        },
    }
    write_json(job.metrics, metrics)


def _resources(inferences: Mapping[str, Mapping[str, Any]], training: Mapping[str, Any] | None) -> dict[str, Any]:
    """The peaks over all stages and of the kinds of stages alone, and the sizes of the model."""
    inference = inferences[EVAL]
    of_infer, of_train = _peaks(list(inferences.values())), _peaks([training] if training else [])
    own = {"peak_rss_bytes": peak_rss_bytes(), "environment": {"peak_gpu_bytes": None}}
    return {
        **_peaks([*inferences.values(), *([training] if training else []), own]),
        **{f"train_{name}": peak for name, peak in of_train.items()},
        **{f"infer_{name}": peak for name, peak in of_infer.items()},
        "trainable_parameters": training["trainable_parameters"] if training else 0,
        "total_parameters": inference["total_parameters"],
        "exported_rank": training.get("exported_rank") if training else None,
        "answer_seconds": inference.get("answer_seconds"),
        **_memory_steps(inference, training),
    }


def _peaks(stages: Sequence[Mapping[str, Any]]) -> dict[str, int | None]:
    """The most main memory and GPU memory that any of the stages had; None where none says."""
    main = (stage["peak_rss_bytes"] for stage in stages)
    gpu = (stage["environment"]["peak_gpu_bytes"] for stage in stages)
    return {
        "peak_rss_bytes": max(main, default=None),
        "peak_gpu_bytes": max((peak for peak in gpu if peak is not None), default=None),
    }


def _memory_steps(inference: Mapping[str, Any], training: Mapping[str, Any] | None) -> dict[str, Any]:
    """What stages did to fit into memory; nothing where none had to."""
    steps: dict[str, Any] = {}
    if training and training.get("memory_step"):
        names = ("micro_batch_size", "gradient_accumulation_steps", "gradient_checkpointing")
        steps |= {"train": training["memory_step"], **{name: training[name] for name in names}}
    if inference.get("memory_step"):
        sizes = {name: inference[name] for name in ("batch_size", "batch_tokens")}
        steps |= {"infer": inference["memory_step"], **sizes}
    return {"memory_steps": steps} if steps else {}


def _data_record(
    inputs: Inputs, inferences: Mapping[str, Mapping[str, Any]], training: Mapping[str, Any] | None
) -> dict[str, Any]:
    inference, selection = inferences[EVAL], inputs.selection
    # Shots that are neither trained on nor shown are in no key: equal ids must not record different rows.
    shots = selection.shots if inputs.config.uses_shots else ()
    examples = [index for rows in inference["examples"].values() for row in rows for index in row]
    fixed = not inputs.config.draws_examples_per_row
    sets = (RowSet.parse(name) for name in inferences)
    calibrated_on = (row for row_set in sets if row_set.kind == "train" for row in pool_rows(inputs, row_set))
    used = {*(row.source_index for row in (*shots, *calibrated_on)), *examples}
    evaluated = chain.from_iterable(inputs.evaluated().values())
    seen = rows_at(selection.train, used)
    return {
        "train_indices": list(indices_of(shots)),
        "dev_indices": None if selection.dev is None else list(indices_of(selection.dev)),
        "test_indices": list(indices_of(selection.test)),
        "icl_indices": max(inference["examples"]["test"], key=len) if fixed else None,
        "n_train": len(shots),
        "n_dev": None if selection.dev is None else len(selection.dev),
        "n_test": len(selection.test),
        "labels": None if inputs.labels is None else list(inputs.labels.values),
        "test_rows_sha256": rows_sha256(selection.test),
        "dev_rows_sha256": None if selection.dev is None else rows_sha256(selection.dev),
        "n_leaked": count_leaks([seen[index] for index in used], evaluated, inputs.config.prompting.input_columns),
        "n_truncated": _total("n_truncated", inference, training),
        **_trimmed(training),
        "n_special_in_text": _total("n_special_in_text", inference, training),
        "prompt_tokens": inference["prompt_tokens"],
    }


def _trimmed(training: Mapping[str, Any] | None) -> dict[str, int]:
    """The training rows whose answers lost blanks around them, where there are any."""
    count = (training or {}).get("n_trimmed")
    return {"n_trimmed": count} if count else {}


def _total(count: str, inference: Mapping[str, Any], training: Mapping[str, Any] | None) -> int:
    """A count of evaluated rows, and of training rows where there was a training."""
    return int(inference[count]) + (int(training[count]) if training else 0)


def _environment(inference: Mapping[str, Any], training: Mapping[str, Any] | None, folder: Path) -> dict[str, Any]:
    told_elsewhere = ("versions", "peak_gpu_bytes", LIBRARY_WARNINGS)
    device = {key: value for key, value in inference["environment"].items() if key not in told_elsewhere}
    trained_on = training["environment"] if training else {}
    return {
        "versions": versions(),
        **device,
        "dtype": inference["dtype"],
        "batch_size": inference["batch_size"],
        "batch_tokens": inference["batch_tokens"],
        **{f"training_{key}": trained_on.get(key) for key in ("device", "device_name", "threads")},
        "git": git_commit(folder),
    }


def _library_warnings(stages: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """What libraries warned of while the stages loaded their models, and nobody has judged; nothing where none did."""
    told = [text for stage in stages for text in stage["environment"].get(LIBRARY_WARNINGS, [])]
    return {LIBRARY_WARNINGS: sorted(set(told))} if told else {}
