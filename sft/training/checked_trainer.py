"""SFTTrainer that ends at the first number that is not finite, and whose checkpoints can be trusted.

What is read of a checkpoint was compared with its manifest before: the adapter's tensors as safetensors, and the
states of optimiser, scheduler and generators, which the library reads with `weights_only=True`.
"""

import contextlib
import errno
import functools
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback
from trl import SFTTrainer

from sft.adapters.masters import head_as_computed
from sft.adapters.parameters import set_tensors
from sft.adapters.virtual_tokens import virtual_tokens
from sft.models.attention.masks import base_of
from sft.processes.signals import StopRequested, stop_requested
from sft.training.callbacks import check_finite
from sft.training.checkpoints import STATE, TENSORS, Checkpoint, Piece, Saving, write_piece
from sft.training.label_places import SCORED, PlacingCollator, Trees, at_labels, mean_loss
from sft.training.objectives.objective import OwnLoss
from sft.training.rank_allocation import penalty
from sft.training.row_weights import COLUMN, WeighingCollator, weighed
from sft.training.step_meter import StepMeter
from sft.training.tree_models import trees_of


class CheckedTrainer(SFTTrainer):  # type: ignore[misc]
    """Trains the adapter of a model; `saving` is set before `train`."""

    saving: Saving
    data_collator: Any
    _signature_columns: Any
    _total_train_tokens: Any
    own_loss: OwnLoss | None = None
    """What the loss is, where it is not the library's."""
    kept_step: int | None = None
    """The step whose weights the training ended with, where they are not those of the last one."""
    trees: Trees | None = None
    """How the rows of a batch run together; None where they run one by one."""
    _step_loss: torch.Tensor | None = None
    _seen_step = -1
    _saved_step = -1
    _is_epoch_open = False
    _is_save_due = False

    @functools.cached_property
    def meter(self) -> StepMeter:
        """What the steps cost, counted from the last entry of the loss curve on, which may be an earlier piece's."""
        piece = None if self.saving.resumed is None else self.saving.resumed.piece
        return StepMeter() if piece is None else StepMeter(piece.unlogged_tokens, piece.unlogged_step_seconds)

    def _get_dataloader(self, *args: Any, **kwargs: Any) -> Any:
        """The library's loader, whose worker processes leave signals to the process that saves the checkpoint."""
        loader = super()._get_dataloader(*args, **kwargs)
        inner = getattr(loader, "base_dataloader", loader)  # accelerate wraps it
        inner.worker_init_fn = functools.partial(_begin_reading, inner.worker_init_fn)
        return loader

    def training_step(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> torch.Tensor:
        """One micro-batch; its loss stays on the device until the step, as reading it waits for the device."""
        self.meter.add(inputs)
        loss: torch.Tensor = super().training_step(model, inputs, *args, **kwargs)
        self._step_loss = loss if self._step_loss is None else self._step_loss + loss
        return loss

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The library's loss, which multiplies by the head's weight itself instead of calling the head."""
        loss: Any
        base, scored = base_of(self.model), inputs.pop(SCORED, None)
        if self.own_loss is not None:
            loss = self.own_loss(model, inputs, num_items_in_batch)
        else:
            weights = inputs.pop(COLUMN, None)
            asked = model if scored is None else at_labels(model, base.base_model, scored, self.trees)
            if weights is not None:
                asked = weighed(asked, weights[:, None] if scored is None else weights[scored["rows"]][None])
            with head_as_computed(base):
                if scored is None or self.aux_loss_enabled or return_outputs:
                    loss = super().compute_loss(asked, inputs, return_outputs, num_items_in_batch)
                else:
                    loss = self._loss(asked(**inputs, use_cache=False, fused_lm_head=True), inputs, num_items_in_batch)
        return loss + penalty(self.model) / self.args.gradient_accumulation_steps if self.model.training else loss

    def _loss(self, outputs: Any, inputs: dict[str, Any], count: Any) -> torch.Tensor:
        metrics = self._metrics["train" if self.model.training else "eval"]
        if self.model.training:
            mask = inputs.get("attention_mask")
            self._total_train_tokens += inputs["input_ids"].numel() if mask is None else mask.sum()
        metrics["num_tokens"] = [self._total_train_tokens]
        return mean_loss(outputs, self.args.loss_type, count, metrics)

    def take_loss(self, loss: OwnLoss) -> None:
        """Have this loss, and its batches, in the place of the library's."""
        self.own_loss, self.data_collator = loss, loss.collator(self.data_collator)
        self._loss_shifts_labels = False
        self.model_accepts_loss_kwargs = True  # the items of a whole step are counted, whatever the model takes

    def weigh_rows(self) -> None:
        """Have the loss of each training row multiplied by its `loss_weight`."""
        self.data_collator = WeighingCollator(self.data_collator)
        self._set_signature_columns_if_needed()
        self._signature_columns = [*self._signature_columns, COLUMN]

    def run_at_labels(self, longest: int) -> None:
        """Have the output layer run where a token is trained, and what rows of a batch begin with alike run once.

        Not with a loss of its own, nor with label smoothing, which needs the logits of whole rows, nor with virtual
        tokens, which move the places.
        """
        if self.own_loss is not None or self.label_smoother is not None or virtual_tokens(self.model):
            return
        self.trees = None if self.aux_loss_enabled else trees_of(self.model, self.args, longest)
        self.data_collator = PlacingCollator(self.data_collator, self.trees)

    def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> Any:
        """The norm before clipping, of each step; ends the run where it, or a loss of the step, is not finite.

        Clipping by such a norm makes every gradient 0 or NaN. The scaler of fp16 meets infinite gradients on
        purpose and skips such steps.
        """
        losses, self._step_loss = self._step_loss, None
        if losses is not None:
            check_finite("loss", losses, self.args, self.state)
        norm = super()._get_grad_norm(model, grad_norm=grad_norm)
        if not self.args.fp16:
            check_finite("gradient", torch.as_tensor(norm), self.args, self.state)
        return norm

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """The library's entry, for which what batches left on the device is read here.

        One of the loss curve also says how fast and how large its steps were.
        """
        metrics = self._metrics["train" if self.model.training else "eval"]
        metrics.update({name: [float(value) for value in values] for name, values in metrics.items()})
        super().log({**logs, **self.meter.point()} if "loss" in logs else logs, start_time)

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """The library's evaluation, whose time is none of the steps'."""
        with self.meter.paused():
            measured: dict[str, float] = super().evaluate(*args, **kwargs)
        return measured

    def _maybe_log_save_evaluate(self, *args: Any, **kwargs: Any) -> None:
        """Called after each step and once more after the last one of an epoch, when that epoch's entries are due.

        A training taken up at the end of an epoch begins with the next one: a checkpoint of an epoch's last step
        therefore waits for that second call.
        """
        is_second_call = self.state.global_step == self._seen_step
        self._seen_step = self.state.global_step
        self._is_epoch_open = not is_second_call and float(self.state.epoch).is_integer()
        if is_second_call and self._is_save_due:
            self.control.should_save = True
        super()._maybe_log_save_evaluate(*args, **kwargs)
        is_finished = self.state.global_step >= self.state.max_steps
        if stop_requested() and not is_finished and not self._is_epoch_open:
            if self._saved_step != self.state.global_step:
                self._save_checkpoint(self.model, None)
            raise StopRequested

    def _determine_best_metric(self, metrics: Any, trial: Any) -> bool:
        """Whether an evaluation is the best so far; what is to be kept at the end is then saved at once.

        The library saves at its own interval, which may pass by the best step. Where the last weights are kept, there
        is no such step: a checkpoint that named one would be of use only together with that of this step.
        """
        is_best: bool = super()._determine_best_metric(metrics, trial)
        if not self.args.load_best_model_at_end:
            self.state.best_global_step = None
        elif is_best:
            self.control.should_save = True
        return is_best

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """The library's checkpoint under our manifest; older ones go only when it is whole."""
        self._is_save_due = self._is_epoch_open
        if not self._is_epoch_open:
            with self.meter.paused():
                self._write_checkpoint(model, trial)

    def _write_checkpoint(self, model: Any, trial: Any) -> None:
        saving, folder = self.saving, self.saving.folder.at(self.state.global_step)
        if not saving.folder.has_start:
            saving.folder.begin(saving.folder.start)
            saving.save_start(saving.folder.start)
            saving.folder.complete(saving.folder.start)
        saving.folder.begin(folder)
        with _full_disk_told(folder):
            super(SFTTrainer, self)._save_checkpoint(model, trial)  # that of SFTTrainer would add a model card
        # The next try moves it: the library would warn that the best checkpoint is gone. Its step is enough.
        best, self.state.best_model_checkpoint = self.state.best_model_checkpoint, None
        self.state.save_to_json(str(folder / STATE))
        self.state.best_model_checkpoint = best
        write_piece(folder, self._piece())
        saving.folder.complete(folder)
        saving.folder.prune(saving.keep, self.state.best_global_step)
        self._saved_step = self.state.global_step

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        """The adapter's tensors as they are trained; a PEFT folder would not hold all of them as they are."""
        from safetensors.torch import save_file

        tensors = {name: tensor.contiguous() for name, tensor in self.saving.own_tensors(self.model).items()}
        save_file(tensors, Path(str(output_dir), TENSORS))

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        self._load_tensors(Path(resume_from_checkpoint))

    def _load_best_model(self) -> None:
        self._load_tensors(self.saving.folder.check(self.state.best_global_step))
        self.kept_step = int(self.state.best_global_step)

    def _load_tensors(self, folder: Path) -> None:
        from safetensors.torch import load_file

        set_tensors(self.saving.own_tensors(self.model), load_file(folder / TENSORS))

    def _piece(self) -> Piece:
        return Piece(
            seconds=self.saving.seconds(),
            stage_seconds=self.saving.stage_seconds(),
            unlogged_loss=float(self._tr_loss),
            last_logged_step=self._globalstep_last_logged,
            unlogged_tokens=self.meter.tokens,
            unlogged_step_seconds=self.meter.seconds,
        )

    def take_up(self, checkpoint: Checkpoint) -> None:
        """Set what the library starts anew when it goes on from a checkpoint."""
        self._tr_loss += checkpoint.piece.unlogged_loss
        self._globalstep_last_logged = checkpoint.piece.last_logged_step
        self.state.train_batch_size = self._train_batch_size
        self.state.compute_steps(self.args, self.state.max_steps)
        if self.state.best_global_step is not None:
            self.state.best_model_checkpoint = str(self.saving.folder.at(self.state.best_global_step))


def _begin_reading(begin: Callable[[int], None] | None, worker: int) -> None:
    """Start a worker process of a loader that does not die of a signal to the whole process group.

    The training would end with its worker in place of saving a checkpoint. It ends the workers itself, and they end
    where it is gone.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    if begin is not None:
        begin(worker)


@contextlib.contextmanager
def _full_disk_told(folder: Path) -> Iterator[None]:
    """`torch.save` gives a failed write no number and no name."""
    try:
        yield
    except RuntimeError as error:
        if any(name in str(error) for name in ("inline_container", "PytorchStreamWriter")):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder)) from error
        raise


class ResumeCallback(TrainerCallback):  # type: ignore[misc]
    """Completes what the library restores, before the first step."""

    def __init__(self, trainer: CheckedTrainer, checkpoint: Checkpoint) -> None:
        self._trainer = trainer
        self._checkpoint = checkpoint

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """The trainer has read the checkpoint."""
        self._trainer.take_up(self._checkpoint)
