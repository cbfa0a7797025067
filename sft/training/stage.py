"""The train stage: from a job folder to a saved adapter."""

import dataclasses
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from sft.adapters.attach import attach_adapter, continue_adapter, restore_adapter
from sft.adapters.head_labels import take_head_labels
from sft.adapters.method import TASK_TYPE, adapter_method
from sft.adapters.parameters import count_parameters, set_tensors
from sft.adapters.saving import save_adapter
from sft.adapters.support import require_support
from sft.adapters.virtual_tokens import context_left, planned_virtual_tokens
from sft.config.experiment import ExperimentConfig
from sft.exceptions import DataError, StageFailure
from sft.models.answering.heads import head_names, say_padding
from sft.models.config_file import read_config
from sft.models.library_warnings import forget_warnings, noted_warnings
from sft.models.loading import context_length, load_model, local_model
from sft.models.objective import Answers, Objective
from sft.models.room import loading_room
from sft.objectives import objective_of
from sft.processes.environment import device_record, peak_rss_bytes, versions
from sft.processes.signals import StopRequested, deferred
from sft.prompts.train_row import TrainRow
from sft.registry import import_object
from sft.runs.atomic import write_json
from sft.runs.files import JobFolder
from sft.runs.manifest import is_done, write_manifest
from sft.runs.progress import Progress
from sft.runs.records import JobRecord
from sft.tasks.encoding import model_source, smallest, training_rows, validation_rows
from sft.tasks.inputs import Inputs, inputs_of_job, task_of
from sft.tasks.planned import check_unchanged
from sft.tasks.prompting import PromptedRow, PromptMaker
from sft.training.argument_files import with_paths
from sft.training.checkpoints import TENSORS, CheckpointFolder, flaw_of
from sft.training.class_weights import balanced_weights, weighs_labels
from sft.training.memory import CHECKPOINTING, batch_record, recomputes, with_less_memory
from sft.training.objectives import training_objective_of
from sft.training.objectives.objective import OwnLoss, TrainingObjective
from sft.training.options import evaluates_while_training, trainer_args_of
from sft.training.report_to import reporting
from sft.training.train_rows import train_rows
from sft.training.trainer import TrainerSettings, TrainingRecord

SCHEMA = 1

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Material:
    """What a training works on."""

    config: ExperimentConfig
    objective: Objective
    tokenizer: Any
    model: Any
    adapter_options: Mapping[str, Any]
    """What the user wrote of the adapter method, and what of it follows from other sections."""
    trainer_args: dict[str, Any]
    rows: list[PromptedRow]
    train: list[TrainRow]
    """The same rows as they are trained on."""
    dev: list[TrainRow] | None
    class_weights: dict[str, float] | None
    """Gold value -> weight of the loss of its rows; None where all weigh alike."""
    goal: TrainingObjective
    answers: list[tuple[int, ...]]
    """Ids of each label with its stop, where the training objective compares them."""


def run(job: JobFolder, record: JobRecord, progress: Progress, started: float) -> None:
    """Train the adapter of a job, save it with `training.json`, and write the manifest last.

    An interrupted training goes on from its newest whole checkpoint; checkpoints go when the manifest is there.

    Raises:
        StopRequested: the process was asked to stop; a training that had begun has left a checkpoint.
    """
    forget_warnings()
    inputs = inputs_of_job(record)
    config = inputs.config
    checkpoints = CheckpointFolder(job.checkpoints)
    resumed = checkpoints.newest()
    material = _material(inputs, record, progress)
    start = checkpoints.start if resumed else None
    model = _with_adapter(material, Path(record.config_folder), start)
    method = adapter_method(config.adapter_method)
    settings = TrainerSettings(
        material.trainer_args,
        config.seed_of("training"),
        checkpoints,
        save_start=lambda place: method.save_start(model, material.adapter_options, place),
        own_tensors=method.own_tensors,
        own_loss=_own_loss(material),
        resumed=resumed,
        stage_started=started,
    )
    try:
        with deferred():
            _train_and_save(job, record, material, model, settings, progress)
            checkpoints.remove()
    except StopRequested:
        if not is_done(job):  # else it came when nothing but the saving was left
            raise
    except StageFailure as failure:
        if failure.kind == "diverged":  # it would diverge again
            checkpoints.remove()
        raise


def _train_and_save(
    job: JobFolder, record: JobRecord, material: _Material, model: Any, settings: TrainerSettings, progress: Progress
) -> None:
    with reporting(material.trainer_args, job, record.name) as trainer_args:
        in_force = dataclasses.replace(settings, trainer_args=trainer_args)
        train = import_object(material.objective.trainer)
        trained: TrainingRecord = train(model, material.tokenizer, material.train, material.dev, in_force, progress)
    has_head = material.objective.has_head
    exported = save_adapter(model, material.config.adapter_method, job.adapter, has_head=has_head)
    trainable, total = count_parameters(model)
    loss = _answers_of(material).loss or material.objective.loss or material.goal.loss
    earlier = settings.resumed.piece.stage_seconds if settings.resumed else 0.0
    training = {
        "schema": SCHEMA,
        **trained.as_dict(),
        **exported,
        "objective": {"name": material.goal.name, "loss": loss},
        "trainable_parameters": trainable,
        "total_parameters": total,
        "memory_step": record.memory_step,
        **batch_record(material.trainer_args),
        **({} if material.class_weights is None else {"class_weights": material.class_weights}),
        "train_indices": list(dict.fromkeys(row.row.source_index for row in material.rows)),
        "n_truncated": sum(row.encoded.cut.any for row in material.rows),
        "n_trimmed": sum(row.encoded.trimmed for row in material.rows),
        "n_special_in_text": sum(row.encoded.n_special for row in material.rows),
        "peak_rss_bytes": peak_rss_bytes(),
        "environment": {**device_record(), "versions": versions(), "library_warnings": noted_warnings()},
        "stage_seconds": time.perf_counter() - settings.stage_started + earlier,
    }
    write_json(job.training, training)
    is_kept = material.trainer_args.get("output_dir") is not None and _keep_checkpoints(job, material, model, settings)
    write_manifest(job, [job.adapter, job.training, *([job.kept] if is_kept else [])])


def _keep_checkpoints(job: JobFolder, material: _Material, model: Any, settings: TrainerSettings) -> bool:
    """Leave the adapter of each whole checkpoint as a folder that others can load; whether there are any.

    The model is left with the tensors of one of them. One that is not whole is named in the log: the training is done.
    """
    from safetensors.torch import load_file

    steps = settings.checkpoints.steps() if material.trainer_args["save_strategy"] != "no" else []
    kept = False
    for step in steps:
        folder = settings.checkpoints.at(step)
        flaw = flaw_of(folder, needed=(TENSORS,))
        if flaw is not None:
            logger.warning("checkpoint of step %d is not kept: %s", step, flaw)
            continue
        kept = True
        set_tensors(settings.own_tensors(model), load_file(folder / TENSORS))
        kept_in, has_head = job.kept / folder.name, material.objective.has_head
        save_adapter(model, material.config.adapter_method, kept_in, has_head=has_head)
    return kept


def _material(inputs: Inputs, record: JobRecord, progress: Progress) -> _Material:
    config, folder = inputs.config, Path(record.config_folder)
    revisions = record.fingerprints["revisions"]
    objective = objective_of(config, inputs.task.objectives)
    maker = PromptMaker(config, folder, revisions, inputs.labels, objective.reads)
    tokenizer = maker.tokenizer
    progress.beat()
    source = model_source(config, folder, revisions.get("model"), inputs.labels)
    stored = read_config(source.name, local_model(source.name, folder), source.revision)
    require_support(config, stored or {}, objective)
    model = load_model(source, objective)
    if objective.has_head:
        say_padding(model, tokenizer)
        if config.model.adapter is not None:
            take_head_labels(model, folder / config.model.adapter)
    check_unchanged(record, config)
    progress.beat()
    trainer_args = with_paths(_trainer_args(config, record.memory_step, model), folder)
    context = context_left(context_length(model), planned_virtual_tokens(config, folder))
    limit = smallest(trainer_args.get("max_length"), context)
    goal = training_objective_of(config)
    rows = _rows(inputs, maker, limit, goal)
    evaluates = evaluates_while_training(trainer_args)
    dev = validation_rows(inputs, maker, limit, fits_labels=goal.needs_labels) if evaluates else []
    answers = _answers(maker, [*rows, *dev]) if goal.needs_labels else []
    labels = [row.row.text(config.prompting.output_column) for row in rows] if weighs_labels(config) else []
    weights = balanced_weights(labels) if labels else None
    weighed = [weights[label] for label in labels] if weights else None
    train = train_rows(inputs, objective, maker, model, rows, weighed)
    options = _adapter_options(config, objective, model)
    dev_rows = train_rows(inputs, objective, maker, model, dev) or None
    return _Material(
        config, objective, tokenizer, model, options, trainer_args, rows, train, dev_rows, weights, goal, answers
    )


def _answers(maker: PromptMaker, rows: Sequence[PromptedRow]) -> list[tuple[int, ...]]:
    """The ids of each label with its stop, after a look that they are the same behind every row.

    Raises:
        UserError: the ids of a label depend on the row.
    """
    labels = maker.training.labels
    maker.training.builder.check_labels([row.encoded for row in rows], labels)
    return [label.answer_ids + label.stop_ids for label in labels]


def _answers_of(material: _Material) -> Answers:
    """The way to the outputs that the task type wants."""
    return material.objective.answers[task_of(material.config).output]


def _own_loss(material: _Material) -> Callable[[Any], OwnLoss] | None:
    """What makes the loss for a model, where it is not the trainer's."""
    target = _answers_of(material).own_loss or material.objective.own_loss or material.goal.own_loss
    if target is None:
        return None
    make = import_object(target)
    rows = [*material.train, *(material.dev or [])]
    return lambda model: cast("OwnLoss", make(model, material.answers, rows))


def _trainer_args(config: ExperimentConfig, memory_step: int, model: Any) -> dict[str, Any]:
    """The arguments after `memory_step` steps towards less memory, as far as the model can follow."""
    written = trainer_args_of(config)
    args = with_less_memory(written, memory_step, recomputes(config))
    if args is None:
        raise StageFailure(f"there is no memory step {memory_step}: the micro-batch is as small as it can be")
    if args.get(CHECKPOINTING) and not written.get(CHECKPOINTING) and not model.supports_gradient_checkpointing:
        logger.warning("%s knows no gradient checkpointing; it stays off", type(model).__name__)
        args[CHECKPOINTING] = False
    return args


def _with_adapter(material: _Material, folder: Path, start: Path | None) -> Any:
    """The model with its adapter; `start` is what an interrupted training left of it before the first step."""
    model, config = material.model, material.config
    method, options = config.adapter_method, material.adapter_options
    with loading_room("the adapter was made"):
        if config.model.adapter is not None:
            return continue_adapter(model, method, options, folder / config.model.adapter)
        if start is not None:
            return restore_adapter(model, method, options, start)
        return attach_adapter(model, method, options, folder, config.seed_of("init"), material.train)


def _adapter_options(config: ExperimentConfig, objective: Objective, model: Any) -> Mapping[str, Any]:
    options = {TASK_TYPE: objective.peft_task_type, **config.adapter_options}
    method = adapter_method(config.adapter_method)
    # an adapter that is trained on brings its head along
    is_new = objective.has_head and not method.trains_head and config.model.adapter is None
    if not (config.trains_head or is_new):
        return options
    return method.with_head(options, head_names(model))


def _rows(inputs: Inputs, maker: PromptMaker, limit: int | None, goal: TrainingObjective) -> list[PromptedRow]:
    rows = training_rows(inputs, maker, limit, fits_labels=goal.needs_labels)
    untrainable = [row.row.source_index for row in rows if not (row.encoded.completion_ids or row.encoded.trained)]
    if untrainable and maker.reads != "text":
        raise DataError(f"train rows {untrainable} have no token to train on; give them an output")
    return rows
