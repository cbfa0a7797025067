"""The train stage: from a job folder to a saved adapter."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sft.adapters.attach import attach_adapter, continue_adapter
from sft.adapters.parameters import count_parameters
from sft.adapters.saving import save_adapter
from sft.data.prompts import Encoded, PromptBuilder
from sft.errors import DataError
from sft.models.loading import context_length, load_model
from sft.runs.atomic import write_json
from sft.runs.environment import device_record, peak_rss_bytes, versions
from sft.runs.files import JobFolder
from sft.runs.manifest import write_manifest
from sft.runs.progress import Progress
from sft.runs.records import JobRecord
from sft.tasks.encoding import (
    PromptedRow,
    model_source,
    prompt_builder,
    smallest,
    tokenizer_of,
    training_rows,
    validation_rows,
)
from sft.tasks.inputs import Inputs, inputs_of_job
from sft.training.options import effective_trainer_args, evaluates_while_training
from sft.training.rows import IGNORED, TrainRow
from sft.training.trainer import TrainerSettings, train_model

SCHEMA = 1
WORK_FOLDER = "work"


def run(job: JobFolder, record: JobRecord, progress: Progress, started: float) -> None:
    """Train the adapter of a job, save it with `training.json`, and write the manifest last."""
    inputs = inputs_of_job(record)
    config = inputs.config
    folder = Path(record.config_folder)
    revision = record.fingerprints["revisions"].get("model")
    tokenizer = tokenizer_of(config, folder, revision)
    model = load_model(model_source(config, folder, revision))
    trainer_args = effective_trainer_args(
        config.training.trainer_args if config.training else {}, config.adapter_method
    )
    limit = smallest(trainer_args.get("max_length"), context_length(model))
    template_revision = record.fingerprints["revisions"].get("chat_template")
    builder = prompt_builder(tokenizer, config, config.prompting, inputs.labels, folder, template_revision)
    rows = _rows(inputs, builder, limit)
    train_rows = _train_rows(rows)
    dev = validation_rows(inputs, builder, limit) if evaluates_while_training(trainer_args) else None
    if config.model.adapter is not None:
        start = folder / config.model.adapter
        model = continue_adapter(model, config.adapter_method, config.adapter_options, start)
    else:
        model = attach_adapter(
            model,
            config.adapter_method,
            config.adapter_options,
            folder=folder,
            seed=config.seed_of("init"),
            rows=train_rows,
        )
    settings = TrainerSettings(
        trainer_args=trainer_args, seed=config.seed_of("training"), work_folder=job.path / WORK_FOLDER
    )
    trained = train_model(model, tokenizer, train_rows, _train_rows(dev) if dev else None, settings, progress)
    trainable, total = count_parameters(model)
    exported = save_adapter(model, job.adapter)
    parameters = {"trainable_parameters": trainable, "total_parameters": total}
    _write_record(job, inputs, rows, {**trained.as_dict(), **exported, **parameters}, started)
    write_manifest(job, [job.adapter, job.training])


def _rows(inputs: Inputs, builder: PromptBuilder, limit: int | None) -> list[PromptedRow]:
    rows = training_rows(inputs, builder, limit)
    untrainable = [row.row.source_index for row in rows if not row.encoded.completion_ids]
    if untrainable:
        raise DataError(f"train rows {untrainable} have no token to train on; give them an output")
    return rows


def _train_rows(rows: Sequence[PromptedRow]) -> list[TrainRow]:
    return [_train_row(row.encoded) for row in rows]


def _train_row(encoded: Encoded) -> TrainRow:
    completion = encoded.completion_ids
    return TrainRow(
        input_ids=encoded.prompt_ids + completion, labels=(IGNORED,) * len(encoded.prompt_ids) + completion
    )


def _write_record(
    job: JobFolder, inputs: Inputs, rows: Sequence[PromptedRow], outcome: dict[str, Any], started: float
) -> None:
    record = {
        "schema": SCHEMA,
        **outcome,
        "train_indices": [row.row.source_index for row in rows],
        "n_truncated": sum(row.encoded.cut.any for row in rows),
        "n_special_in_text": sum(row.encoded.n_special for row in rows),
        "peak_rss_bytes": peak_rss_bytes(),
        "environment": {**device_record(), "versions": versions()},
        "stage_seconds": time.perf_counter() - started,
    }
    write_json(job.training, record)
