"""Training a model on tokenised rows with TRL; nothing else in the project imports it.

Rows come with their ids and labels, so nothing of TRL's own data preparation (templates, masks, truncation,
dropping of rows) takes part; what could still go wrong silently there is asserted.
"""

import contextlib
import pickle
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import datasets
import torch
from datasets import Dataset
from peft import PeftModel
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase, PrinterCallback, set_seed
from trl import SFTConfig

from sft.adapters.parameters import trained_tensors
from sft.exceptions import DataError, StageFailure
from sft.models.devices import has_bf16
from sft.models.library_warnings import judged_warnings
from sft.models.loading import SEED_LIMIT
from sft.models.storages import HALF_TYPES
from sft.prompts.train_row import IGNORED, TrainRow, check_rows
from sft.runs.progress import Progress
from sft.training.callbacks import (
    HeartbeatCallback,
    ReachCallback,
    TrainingRecord,
    cost_curve,
    eval_curve,
    loss_curve,
)
from sft.training.checked_trainer import CheckedTrainer, ResumeCallback
from sft.training.checkpoints import Checkpoint, CheckpointFolder, Saving
from sft.training.loss_needs import adapters_found, fit_loss, settings_kept
from sft.training.objectives.objective import OwnLoss
from sft.training.rank_allocation import rank_callbacks
from sft.training.row_weights import COLUMN

__all__ = ["TrainerSettings", "TrainingRecord", "train_model"]


@dataclass(frozen=True)
class TrainerSettings:
    """How a model is trained."""

    trainer_args: Mapping[str, Any]
    """Arguments of `trl.SFTConfig` with our defaults filled in (`options.effective_trainer_args`)."""

    seed: int
    """Order of the rows and dropout."""

    checkpoints: CheckpointFolder
    """Takes whatever the trainer writes; the caller removes it when the adapter is safe."""

    save_start: Callable[[Path], None] = field(default=lambda folder: None)
    """Writes to a folder what of the model before the first step cannot be computed again."""

    own_tensors: Callable[[nn.Module], dict[str, torch.Tensor]] = trained_tensors
    """The tensors of the model that a checkpoint holds, by name: what is trained, and what else the adapter has."""

    resumed: Checkpoint | None = None
    """What the training goes on from; the model is as it was before the first step, but for the adapter's tensors."""

    stage_started: float = field(default_factory=time.perf_counter)
    """`time.perf_counter()` at the start of the stage."""

    own_loss: Callable[[nn.Module], OwnLoss] | None = None
    """Makes the loss for a model; None: that of the trainer."""


def train_model(
    model: PeftModel | PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[TrainRow],
    dev_rows: Sequence[TrainRow] | None,
    settings: TrainerSettings,
    progress: Progress,
) -> TrainingRecord:
    """Train the trainable parameters of `model` in place.

    The same rows, settings and initial weights give the same bytes on a CPU, in one piece or resumed. The model's
    token settings and generation settings stay as they were; it is left in eval mode.

    Args:
        model: a model with something to train, usually an adapter already attached.
        tokenizer: pads the batches; it needs a pad or an eos token.
        rows: the training rows; all of them are used, as they are.
        dev_rows: evaluated in between; None where the arguments ask for no evaluation.
        settings: trainer arguments, seed, folder.
        progress: the heartbeat.

    Raises:
        DataError: a row has no trainable token or is longer than `max_length`.
        StageFailure: the loss or a gradient is no longer finite, or no gradient reaches the adapter.
        StopRequested: the process was asked to stop (`sft.processes.signals.deferred`); a checkpoint was saved.
    """
    check_rows(rows, "training", settings.trainer_args.get("max_length"))
    if dev_rows is not None:
        check_rows(dev_rows, "dev", settings.trainer_args.get("max_length"))
    told = judged_warnings("the trainer")
    with told, _bars_only_on_a_terminal(), settings_kept(model, tokenizer), adapters_found(model):
        trainer = _build_trainer(model, tokenizer, rows, dev_rows, settings)
    for callback in (HeartbeatCallback(progress), ReachCallback(), *rank_callbacks(model)):
        trainer.add_callback(callback)
    _train(trainer, settings)
    model.eval()
    return _record(trainer, rows, settings.resumed)


def _train(trainer: CheckedTrainer, settings: TrainerSettings) -> None:
    trainer.saving, resumed = _saving(settings), settings.resumed
    if resumed is not None:
        trainer.add_callback(ResumeCallback(trainer, resumed))
    set_seed(settings.seed % SEED_LIMIT)
    try:
        trainer.train(resume_from_checkpoint=None if resumed is None else str(resumed.path))
    except pickle.UnpicklingError as error:
        raise StageFailure(f"a checkpoint holds more than tensors: {error}", kind="refused") from error


def _saving(settings: TrainerSettings) -> Saving:
    return Saving(
        folder=settings.checkpoints,
        keep=settings.trainer_args.get("save_total_limit"),
        save_start=settings.save_start,
        own_tensors=settings.own_tensors,
        resumed=settings.resumed,
        stage_started=settings.stage_started,
    )


def _build_trainer(
    model: PeftModel | PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[TrainRow],
    dev_rows: Sequence[TrainRow] | None,
    settings: TrainerSettings,
) -> CheckedTrainer:
    weights = {name: p.data for name, p in model.named_parameters() if p.requires_grad}
    if not weights:
        raise StageFailure("the model has no trainable parameter")
    args = _sft_config(settings)
    fit_loss(model, args)
    trainer = CheckedTrainer(
        model=model,
        args=args,
        train_dataset=_dataset(rows),
        eval_dataset=None if dev_rows is None else _dataset(dev_rows),
        processing_class=tokenizer,
    )
    if settings.own_loss is not None:
        trainer.take_loss(settings.own_loss(model))
    if COLUMN in trainer.train_dataset.column_names:
        trainer.weigh_rows()
    trainer.run_at_labels(max(len(row.input_ids) for row in (*rows, *(dev_rows or ()))))
    _check_prepared(trainer.train_dataset, rows, trainer.args)
    _restore_precision(model, weights)
    # Without a processing class the trainer does not rewrite the model's token and generation settings.
    trainer.processing_class = None
    trainer.remove_callback(PrinterCallback)
    return trainer


def _sft_config(settings: TrainerSettings) -> SFTConfig:
    """The trainer's arguments; what depends on the machine is decided here and is in no key."""
    written = dict(settings.trainer_args)
    cuda = torch.cuda.is_available() and not written.get("use_cpu", False)
    machine = {
        "use_cpu": not cuda,
        "bf16": cuda and has_bf16() and not written.get("fp16", False),
        "disable_tqdm": not sys.stdout.isatty(),
    }
    # The same argument under two names; the library warns about the older one, which everybody writes.
    for old, new in (
        ("gradient_checkpointing", "activation_checkpointing"),
        ("gradient_checkpointing_kwargs", "activation_checkpointing_kwargs"),
    ):
        if old in written:
            written.setdefault(new, written.pop(old))
    if not (written.get("packing", False) or written.get("eval_packing", False)):
        written["max_length"] = None  # rows were cut when they were built; a second cut would drop answers
    written["output_dir"] = str(settings.checkpoints.path)
    written["save_total_limit"] = None  # the library would remove the last one before the next one counts
    if settings.resumed is not None:
        written["eval_on_start"] = False
    seed = settings.seed % SEED_LIMIT
    config = SFTConfig(**{**machine, **written, "seed": seed, "data_seed": seed})
    if config.n_gpu > 1:
        # A model may be spread over several; the library would give each of them a batch of its own.
        config._n_gpu = 1
    return config


def _dataset(rows: Sequence[TrainRow]) -> Dataset:
    columns: dict[str, list[Any]] = {
        "input_ids": [row.input_ids for row in rows],
        "labels": [row.labels for row in rows],
    }
    if any(row.weight != 1.0 for row in rows):
        columns[COLUMN] = [row.weight for row in rows]
    return Dataset.from_dict(columns)


def _check_prepared(dataset: Dataset, rows: Sequence[TrainRow], args: SFTConfig) -> None:
    """No row and no trained token may get lost between what was given and what the trainer reads."""
    if not args.packing and len(dataset) != len(rows):
        raise StageFailure(f"the trainer would read {len(dataset)} rows of {len(rows)}")
    if args.dataloader_drop_last and len(dataset) < args.train_batch_size:
        what = f"{len(dataset)} {'packed sequences' if args.packing else 'rows'}"
        raise DataError(f"dataloader_drop_last leaves no batch of {args.train_batch_size}: there are {what}")
    given = sum(label != IGNORED for row in rows for label in row.labels)
    read = sum(label != IGNORED for labels in dataset["labels"] for label in labels)
    if read != given:
        raise StageFailure(f"the trainer would train {read} tokens of {given}")


def _restore_precision(model: PeftModel | PreTrainedModel, weights: Mapping[str, torch.Tensor]) -> None:
    """Undo the trainer's cast of the adapter to bf16 on 4- and 8-bit models.

    In bf16 small updates round to nothing (a scale that starts at 1.0 never moves), and the initial values
    themselves are rounded, so the tensors as they were before are put back.
    """
    for name, parameter in model.named_parameters():
        if name not in weights:
            continue
        if parameter.dtype != weights[name].dtype:
            parameter.data = weights[name].to(parameter.device)
        if isinstance(model, PeftModel) and parameter.dtype in HALF_TYPES:
            parameter.data = parameter.data.float()


@contextlib.contextmanager
def _bars_only_on_a_terminal() -> Iterator[None]:
    """Packing shows a bar for its rows; a log file gets none."""
    hidden = not sys.stdout.isatty() and datasets.is_progress_bar_enabled()
    if hidden:
        datasets.disable_progress_bars()
    try:
        yield
    finally:
        if hidden:
            datasets.enable_progress_bars()


def _record(trainer: CheckedTrainer, rows: Sequence[TrainRow], resumed: Checkpoint | None) -> TrainingRecord:
    args, state = trainer.args, trainer.state
    return TrainingRecord(
        loss_curve=loss_curve(state.log_history),
        eval_curve=eval_curve(state.log_history),
        cost_curve=cost_curve(state.log_history),
        n_steps=int(state.global_step),
        n_rows=len(rows),
        n_tokens=sum(len(row.input_ids) for row in rows),
        n_trained_tokens=sum(row.n_trained for row in rows),
        effective_batch_size=int(state.train_batch_size) * args.gradient_accumulation_steps,
        best_step=trainer.kept_step,
        seconds=trainer.saving.seconds(),
        n_resumed_from=None if resumed is None else resumed.step,
    )
