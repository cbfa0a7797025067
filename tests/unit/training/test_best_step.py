"""`load_best_model_at_end`: whatever the intervals of evaluating and saving, what is kept is what was best."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from sft.adapters.attach import attach_adapter, restore_adapter
from sft.adapters.method import adapter_method
from sft.processes.signals import StopRequested
from sft.runs.progress import Progress
from sft.training import checked_trainer
from sft.training.checked_trainer import CheckedTrainer
from sft.training.checkpoints import CheckpointFolder
from sft.training.options import check_trainer_args, effective_trainer_args
from sft.training.trainer import TrainerSettings, TrainingRecord, train_model

STEPS_AN_EPOCH, EPOCHS = 3, 2
N_STEPS = STEPS_AN_EPOCH * EPOCHS
BEST = {"load_best_model_at_end": True}
SAVED_AT_END = {"eval_strategy": "steps", "eval_steps": 1, "save_strategy": "steps"}
LORA = {"r": 2}


class Watched:
    """A training whose evaluations give the losses of a table, keeping the tensors of each evaluated step."""

    def __init__(self, base: Any, tokenizer: Any, rows: list[Any], folder: Path, args: Mapping[str, Any]) -> None:
        self.base, self.tokenizer, self.rows, self.folder = base, tokenizer, rows, folder
        self.args = {"num_train_epochs": EPOCHS, "per_device_train_batch_size": 4, "learning_rate": 1e-2, **args}
        self.losses = {step: float(step) for step in range(N_STEPS + 1)}
        self.at: dict[int, dict[str, torch.Tensor]] = {}
        self.stop_at: int | None = None

    def piece(self) -> tuple[dict[str, torch.Tensor], TrainingRecord]:
        """One process's share of the training; the tensors at its end."""
        checkpoints = CheckpointFolder(self.folder / "checkpoints")
        resumed = checkpoints.newest()
        base = copy.deepcopy(self.base)
        if resumed is None:
            model = attach_adapter(base, "lora", LORA, Path(), 7, self.rows)
        else:
            model = restore_adapter(base, "lora", LORA, checkpoints.start)
        settings = TrainerSettings(
            effective_trainer_args(self.args, "lora"),
            13,
            checkpoints,
            lambda place: adapter_method("lora").save_start(model, LORA, place),
            adapter_method("lora").own_tensors,
            resumed,
        )
        progress = Progress(self.folder / "progress.json", "train")
        record = train_model(model, self.tokenizer, self.rows, self.rows[:2], settings, progress)
        return copied(model), record


def copied(model: Any) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in adapter_method("lora").own_tensors(model).items()}


@pytest.fixture
def watched(base: Any, tokenizer: Any, rows: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    made = Watched(base, tokenizer, rows, tmp_path, {})

    def evaluate(self: Any, *args: Any, **kwargs: Any) -> dict[str, float]:
        step = self.state.global_step
        made.at[step] = copied(self.model)
        metrics = {"eval_loss": made.losses[step]}
        self.log(dict(metrics))
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    step = CheckedTrainer.training_step

    def training_step(self: Any, *args: Any, **kwargs: Any) -> Any:
        made.seen = self.state.global_step + 1
        return step(self, *args, **kwargs)

    monkeypatch.setattr(CheckedTrainer, "evaluate", evaluate)
    monkeypatch.setattr(CheckedTrainer, "training_step", training_step)
    monkeypatch.setattr(
        checked_trainer, "stop_requested", lambda: made.stop_at is not None and made.seen >= made.stop_at
    )
    return made


INTERVALS = [
    {"eval_steps": 1, "save_steps": 2},
    {"eval_steps": 1, "save_steps": 4},
    {"eval_steps": 2, "save_steps": 500},
    {"eval_steps": 0.2, "save_steps": 0.8},
    {"eval_steps": 1},
    {},
    {"eval_strategy": "epoch", "save_strategy": "epoch"},
    {"eval_steps": 1, "save_strategy": "best"},
    {"eval_strategy": "epoch", "save_strategy": "best"},
    {"eval_steps": 1, "save_steps": 2, "save_total_limit": 1},
    {"eval_steps": 1, "save_steps": 2, "max_steps": 5, "lr_scheduler_type": "reduce_lr_on_plateau"},
    {"eval_steps": 4, "save_steps": 4, "eval_delay": 100},
    {"eval_steps": 2, "save_steps": 2, "metric_for_best_model": "loss", "greater_is_better": True},
]


@pytest.mark.parametrize(
    "intervals",
    [pytest.param(item, id=str(item), marks=[] if n < 2 else pytest.mark.slow) for n, item in enumerate(INTERVALS)],
)
@pytest.mark.parametrize("best", [1, 3, 4])
def test_the_best_evaluated_step_is_kept_and_recorded(watched, intervals, best):
    watched.args |= {"eval_strategy": "steps", "save_strategy": "steps", **BEST, **intervals}
    watched.losses[best] = -1.0
    assert check_trainer_args(watched.args, has_dev=True) == []
    tensors, record = watched.piece()
    assert record.eval_curve or "eval_delay" in intervals
    sign = -1 if watched.args.get("greater_is_better") else 1
    expected = min(watched.at, key=lambda step: (sign * watched.losses[step], step), default=None)
    assert record.best_step == expected
    if expected is not None:
        assert all(torch.equal(tensor, watched.at[expected][name]) for name, tensor in tensors.items())


@pytest.mark.parametrize(
    "args",
    [
        {**BEST, **SAVED_AT_END, "save_steps": 4},
        pytest.param({**SAVED_AT_END, "save_steps": 2, "lr_scheduler_type": "reduce_lr_on_plateau"}),
        pytest.param({**BEST, **SAVED_AT_END, "save_steps": 4, "save_total_limit": 1}, marks=pytest.mark.slow),
        pytest.param({**SAVED_AT_END, "save_steps": 2, "metric_for_best_model": "loss"}, marks=pytest.mark.slow),
        pytest.param(
            {"eval_strategy": "steps", "eval_steps": 2, "lr_scheduler_type": "greedy"}, marks=pytest.mark.slow
        ),
    ],
    ids=str,
)
def test_a_stopped_training_goes_on_from_its_last_step_and_ends_alike(watched, args):
    watched.args |= args
    watched.losses[3] = -1.0
    whole, record = watched.piece()
    CheckpointFolder(watched.folder / "checkpoints").remove()
    watched.stop_at = 5
    with pytest.raises(StopRequested):
        watched.piece()
    watched.stop_at = None
    tensors, resumed = watched.piece()
    assert resumed.n_resumed_from == 5
    assert (resumed.best_step, resumed.eval_curve) == (record.best_step, record.eval_curve)
    assert all(torch.equal(tensor, whole[name]) for name, tensor in tensors.items())


def test_a_resumed_training_whose_checkpoints_were_moved_is_not_told_that_its_best_is_gone(watched, monkeypatch):
    told: list[str] = []
    monkeypatch.setattr("transformers.trainer.logger.warning", lambda text, *_: told.append(text))
    watched.args |= {**BEST, **SAVED_AT_END, "save_steps": 4}
    watched.losses[3] = -1.0
    watched.stop_at = 5
    with pytest.raises(StopRequested):
        watched.piece()
    watched.stop_at = None
    next_try = watched.folder / "next"
    next_try.mkdir()
    (watched.folder / "checkpoints").rename(next_try / "checkpoints")
    watched.folder = next_try
    tensors, resumed = watched.piece()
    assert (resumed.n_resumed_from, resumed.best_step) == (5, 3)
    assert all(torch.equal(tensor, watched.at[3][name]) for name, tensor in tensors.items())
    assert not [text for text in told if "best checkpoint" in text]
