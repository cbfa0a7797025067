"""What is watched and recorded while a model trains: the heartbeat, the curves, numbers that are no longer finite."""

import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn
from transformers import TrainerCallback

from sft.exceptions import StageFailure
from sft.runs.progress import INTERVAL_SECONDS, Progress

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LossPoint:
    """One entry of the loss curve; a number that is not finite is None, so that it can be written as JSON."""

    step: int
    """Optimiser steps taken, from 1."""

    epoch: float
    """Passes over the rows, fractions included."""

    loss: float | None
    """The training objective since the last entry, in nats; of nll the mean cross-entropy per trained token."""

    learning_rate: float | None
    """Rate of this step."""

    grad_norm: float | None
    """Norm of the gradient before clipping."""


@dataclass(frozen=True)
class CostPoint:
    """What the steps since the last entry of the loss curve cost; no two runs have the same."""

    step: int
    """Optimiser steps taken, from 1."""

    tokens_per_second: float | None
    """Tokens of prompts and answers by wall time, without padding, evaluations and the writing of checkpoints."""

    peak_rss_bytes: int | None
    """The most main memory that the process had so far; a training that goes on begins anew."""

    peak_gpu_bytes: int | None
    """The same of GPU memory; None without a GPU."""


@dataclass(frozen=True)
class EvalPoint:
    """The loss on the dev rows at one moment of the training: the same function as in the loss curve, unweighed."""

    step: int
    epoch: float
    loss: float | None


@dataclass(frozen=True)
class TrainingRecord:
    """What happened in a training."""

    loss_curve: tuple[LossPoint, ...]
    eval_curve: tuple[EvalPoint, ...]
    cost_curve: tuple[CostPoint, ...]
    n_steps: int
    """Optimiser steps."""

    n_rows: int
    """Rows trained on."""

    n_tokens: int
    """Tokens of all rows, one pass."""

    n_trained_tokens: int
    """Tokens of all rows that carry a loss, one pass."""

    effective_batch_size: int
    """Rows per optimiser step."""

    best_step: int | None
    """Step whose weights were kept, with `load_best_model_at_end`."""

    seconds: float
    """Wall time of the training itself, all its pieces together."""

    n_resumed_from: int | None
    """The step that the last piece went on from, None for a training in one piece."""

    def as_dict(self) -> dict[str, Any]:
        """The record as plain JSON values."""
        return asdict(self)


def loss_curve(history: Sequence[Mapping[str, Any]]) -> tuple[LossPoint, ...]:
    """The training losses in what a trainer logged; its state keeps the log across interruptions."""
    names = ("loss", "learning_rate", "grad_norm")
    return tuple(
        LossPoint(int(entry["step"]), float(entry["epoch"]), *(finite_or_none(entry.get(name)) for name in names))
        for entry in history
        if "loss" in entry
    )


def cost_curve(history: Sequence[Mapping[str, Any]]) -> tuple[CostPoint, ...]:
    """What the steps of a training cost, of each logged one that tells, earlier pieces included."""
    names = ("tokens_per_second", "peak_rss_bytes", "peak_gpu_bytes")
    return tuple(
        CostPoint(int(entry["step"]), *map(entry.get, names))
        for entry in history
        if "loss" in entry and any(name in entry for name in names)
    )


def eval_curve(history: Sequence[Mapping[str, Any]]) -> tuple[EvalPoint, ...]:
    """The dev losses in what a trainer logged."""
    return tuple(
        EvalPoint(int(entry["step"]), float(entry["epoch"]), finite_or_none(entry["eval_loss"]))
        for entry in history
        if "eval_loss" in entry
    )


class HeartbeatCallback(TrainerCallback):  # type: ignore[misc]
    """Writes `progress.json` during training and during evaluations in between."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._loss: float | None = None
        self._evaluating_since = float("-inf")

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Show the number of steps before the next one is done."""
        self._progress(state.global_step, state.max_steps)

    def on_substep_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Beat between the optimiser steps of a large effective batch."""
        self._progress(state.global_step, state.max_steps, self._loss)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Beat after each optimiser step."""
        self._progress(state.global_step, state.max_steps, self._loss)

    def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Remember the loss; that of the last step is written at once."""
        self._loss = finite_or_none((kwargs.get("logs") or {}).get("loss", self._loss))
        self._progress(state.global_step, state.max_steps, self._loss)

    def on_prediction_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Beat during an evaluation; the writer itself does not hold back once the last step is reached."""
        now = time.monotonic()
        if now - self._evaluating_since >= INTERVAL_SECONDS:
            self._evaluating_since = now
            self._progress(state.global_step, state.max_steps, self._loss)


class ReachCallback(TrainerCallback):  # type: ignore[misc]
    """Ends the run at a first step in which no trainable tensor has a gradient.

    It would otherwise end in an adapter that looks trained.
    """

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Look at the gradients that the first step will apply."""
        if state.global_step == 0:
            _check_reach([(name, p) for name, p in kwargs["model"].named_parameters() if p.requires_grad])


def check_finite(what: str, value: torch.Tensor, args: Any, state: Any) -> None:
    """End the run at the first number that is not finite.

    Args:
        what: `loss` or `gradient`, for the message.
        value: a scalar.
        args: the trainer's arguments.
        state: the trainer's state during the step.

    Raises:
        StageFailure: of kind `diverged`.
    """
    number = float(value)
    if math.isfinite(number):
        return
    shown = "NaN" if math.isnan(number) else "infinite"
    step, total, rate = state.global_step + 1, state.max_steps, args.learning_rate
    message = f"{what} became {shown} at step {step} of {total} (learning_rate {rate:g}). The adapter was not saved."
    raise StageFailure(message, kind="diverged")


def finite_or_none(value: Any) -> float | None:
    """The number, or None where there is none or JSON has no form for it."""
    if value is None:
        return None
    number = float(value)
    return number if math.isfinite(number) else None


def _check_reach(trainable: list[tuple[str, nn.Parameter]]) -> None:
    without = [name for name, parameter in trainable if parameter.grad is None]
    if len(without) == len(trainable):
        raise StageFailure("no gradient reached any trainable tensor; the adapter cannot be trained on this model")
    if without:
        logger.warning(
            "no gradient reached %d of %d trainable tensors at the first step, such as %s; they stay as they were",
            len(without),
            len(trainable),
            without[0],
        )
