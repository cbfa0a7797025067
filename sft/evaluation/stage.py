"""The evaluate stage: saved scores or texts to predictions and metrics; no model is loaded."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sft.data.leaks import count_leaks
from sft.errors import DataError
from sft.evaluation.computation import MetricInputs, MetricResults, compute_metrics
from sft.evaluation.outputs import SplitOutput, read_outputs
from sft.evaluation.predictions import Prediction, kept_columns, prediction_record, write_predictions
from sft.evaluation.words import word_splitter
from sft.models.tokenizers import load_tokenizer
from sft.runs.atomic import write_json
from sft.runs.environment import git_commit, peak_rss_bytes, versions
from sft.runs.files import JobFolder
from sft.runs.manifest import write_manifest
from sft.runs.progress import Progress
from sft.runs.records import JobRecord, read_json_or_none
from sft.tasks.inputs import Inputs, inputs_of_job, row_text, rows_sha256

SCHEMA = 1


def run(job: JobFolder, record: JobRecord, progress: Progress, started: float) -> None:
    """Write predictions and, where they are asked for, `metrics.json`; the manifest last."""
    inputs = inputs_of_job(record)
    infer = JobFolder(_required(record.input_folder("infer", job.path)))
    inference = read_json_or_none(infer.inference)
    outputs = read_outputs(infer, inputs)
    written = [
        path for split, output in outputs.items() for path in _write_split(job, inputs, split, output, inference)
    ]
    if record.with_metrics:
        results = {split: _metrics(inputs, split, output, record) for split, output in outputs.items()}
        _write_metrics(job, record, inputs, results, inference, started)
        written.append(job.metrics)
    total = sum(len(output.predictions) for output in outputs.values())
    progress(total, total)
    write_manifest(job, written)


def _required(path: Path | None) -> Path:
    if path is None:
        raise ValueError("an evaluate job needs the folder of its infer stage")
    return path


def _write_split(
    job: JobFolder, inputs: Inputs, split: str, output: SplitOutput, inference: Mapping[str, Any]
) -> list[Path]:
    config = inputs.config
    rows = inputs.evaluated()[split]
    examples = inference["examples"][split] if config.inference.random_icl and config.inference.icl_examples else None
    records = []
    for index, row in enumerate(rows):
        prediction = Prediction(
            text=output.predictions[index],
            index=index,
            source_index=row.source_index,
            icl_indices=None if examples is None else examples[index],
            label_logprobs=output.by_label(output.label_logprobs, index),
            probabilities=output.by_label(output.probabilities, index),
        )
        columns = kept_columns(row.values, config.dataset.keep_columns, config.prompting.output_column)
        records.append(prediction_record(columns, prediction))
    paths = [job.predictions(split, "jsonl"), job.predictions(split, "tsv")]
    write_predictions(paths[0], paths[1], records)
    return paths


def _metrics(inputs: Inputs, split: str, output: SplitOutput, record: JobRecord) -> MetricResults:
    config = inputs.config
    column = config.prompting.output_column
    if not inputs.has_gold(split):
        raise DataError(f"column {column!r} is not in split {split}; metrics need it")
    folder = Path(record.config_folder)
    name = config.evaluation.tokenizer_name or config.inference.tokenizer_name
    revision = record.fingerprints["revisions"].get("tokenizer")
    words = None if name is None or inputs.task.has_labels else word_splitter(load_tokenizer(name, folder, revision))
    metric_inputs = MetricInputs(
        gold=[row.text(column) for row in inputs.evaluated()[split]],
        predictions=output.predictions,
        labels=inputs.labels.values if inputs.labels else None,
        probabilities=output.probabilities,
        split_words=words,
    )
    names = config.evaluation.metrics or list(inputs.task.default_metrics)
    return compute_metrics(names, inputs.task.name, metric_inputs, config.evaluation.model_extra or {}, folder)


def _write_metrics(
    job: JobFolder,
    record: JobRecord,
    inputs: Inputs,
    results: Mapping[str, MetricResults],
    inference: Mapping[str, Any],
    started: float,
) -> None:
    train_folder = record.input_folder("train", job.path)
    training = None if train_folder is None else read_json_or_none(JobFolder(train_folder).training)
    peaks = [peak_rss_bytes(), inference["peak_rss_bytes"], *([training["peak_rss_bytes"]] if training else [])]
    gpu_peaks = [stage["environment"]["peak_gpu_bytes"] for stage in (inference, training or inference)]
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
        "data": _data_record(inputs, inference, training),
        "config": record.config,
        "timing": {
            **timing,
            "infer": inference["stage_seconds"],
            "evaluate": time.perf_counter() - started,
        },
        "resources": {
            "peak_rss_bytes": max(peaks),
            "peak_gpu_bytes": max((peak for peak in gpu_peaks if peak is not None), default=None),
            "trainable_parameters": training["trainable_parameters"] if training else 0,
            "total_parameters": inference["total_parameters"],
            "exported_rank": training.get("exported_rank") if training else None,
            **_memory_steps(inference, training),
        },
        "environment": _environment(inference, training, Path(record.config_folder)),
    }
    write_json(job.metrics, metrics)


def _memory_steps(inference: Mapping[str, Any], training: Mapping[str, Any] | None) -> dict[str, Any]:
    """What stages did to fit into memory; nothing where none had to."""
    steps: dict[str, Any] = {}
    if training and training.get("memory_step"):
        names = ("micro_batch_size", "gradient_accumulation_steps", "gradient_checkpointing")
        steps |= {"train": training["memory_step"], **{name: training[name] for name in names}}
    if inference.get("memory_step"):
        steps |= {"infer": inference["memory_step"], "batch_size": inference["batch_size"]}
    return {"memory_steps": steps} if steps else {}


def _data_record(inputs: Inputs, inference: Mapping[str, Any], training: Mapping[str, Any] | None) -> dict[str, Any]:
    selection = inputs.selection
    prompting = inputs.config.prompting
    # Shots that are neither trained on nor shown are in no key: equal ids must not record different rows.
    shots = selection.shots if inputs.config.uses_shots else ()
    examples = [index for rows in inference["examples"].values() for row in rows for index in row]
    fixed = not inputs.config.inference.random_icl
    by_index = {row.source_index: row for row in (*selection.train, *selection.shots)}
    used = {*(row.source_index for row in shots), *examples}
    evaluated = [row_text(row, prompting) for rows in inputs.evaluated().values() for row in rows]
    return {
        "train_indices": [row.source_index for row in shots],
        "dev_indices": None if selection.dev is None else [row.source_index for row in selection.dev],
        "test_indices": [row.source_index for row in selection.test],
        "icl_indices": max(inference["examples"]["test"], key=len) if fixed else None,
        "n_train": len(shots),
        "n_dev": None if selection.dev is None else len(selection.dev),
        "n_test": len(selection.test),
        "labels": None if inputs.labels is None else list(inputs.labels.values),
        "test_rows_sha256": rows_sha256(selection.test),
        "dev_rows_sha256": None if selection.dev is None else rows_sha256(selection.dev),
        "n_leaked": count_leaks([row_text(by_index[index], prompting) for index in sorted(used)], evaluated),
        "n_truncated": _total("n_truncated", inference, training),
        "n_special_in_text": _total("n_special_in_text", inference, training),
        "prompt_tokens": inference["prompt_tokens"],
    }


def _total(count: str, inference: Mapping[str, Any], training: Mapping[str, Any] | None) -> int:
    """A count of evaluated rows, and of training rows where there was a training."""
    return int(inference[count]) + (int(training[count]) if training else 0)


def _environment(inference: Mapping[str, Any], training: Mapping[str, Any] | None, folder: Path) -> dict[str, Any]:
    device = {
        key: value for key, value in inference["environment"].items() if key not in ("versions", "peak_gpu_bytes")
    }
    return {
        "versions": versions(),
        **device,
        "dtype": inference["dtype"],
        "batch_size": inference["batch_size"],
        "training_device": training["environment"]["device"] if training else None,
        "git": git_commit(folder),
    }
