"""How fast and how large steps were, by a clock that the test moves."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import Trainer
from trl import SFTTrainer

from sft.prompts.train_row import TrainRow
from sft.training import step_meter
from sft.training.callbacks import cost_curve
from sft.training.step_meter import StepMeter

BATCH = {"input_ids": torch.ones(2, 4), "attention_mask": torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Stands still unless a test moves it."""
    made = SimpleNamespace(now=100.0)
    monkeypatch.setattr(step_meter, "perf_counter", lambda: made.now)
    return made


def test_tokens_are_those_of_the_rows_and_seconds_those_of_the_steps(clock: SimpleNamespace) -> None:
    meter = StepMeter()
    with meter.paused():  # an evaluation before the first step
        clock.now += 50
    meter.add(BATCH)
    clock.now += 2
    with meter.paused():
        clock.now += 50
        assert (meter.tokens, meter.seconds) == (6, 2.0)
    meter.add({"input_ids": torch.ones(1, 5)})
    clock.now += 2
    point = meter.point()
    assert point["tokens_per_second"] == 11 / 4
    assert point["peak_rss_bytes"] > 1 << 20
    assert "peak_gpu_bytes" not in point or torch.cuda.is_available()
    clock.now += 1
    meter.add(BATCH)
    assert meter.point()["tokens_per_second"] == 6.0


def test_a_point_goes_on_from_an_earlier_piece(clock: SimpleNamespace) -> None:
    meter = StepMeter(tokens=10, seconds=3.0)
    meter.add(BATCH)
    clock.now += 1
    assert meter.point()["tokens_per_second"] == 4.0


def test_a_log_without_costs_has_no_points() -> None:
    assert cost_curve([{"step": 1, "loss": 2.0}, {"step": 1, "eval_loss": 2.0, "peak_rss_bytes": 1}]) == ()


def test_no_evaluation_and_no_checkpoint_slows_a_step(
    base: Any,
    adapted: Callable[..., Any],
    rows: list[TrainRow],
    train: Callable[..., Any],
    clock: SimpleNamespace,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def takes(owner: type, name: str, seconds: float) -> None:
        original = getattr(owner, name)

        def timed(self: Any, *args: Any, **kwargs: Any) -> Any:
            clock.now += seconds
            return original(self, *args, **kwargs)

        monkeypatch.setattr(owner, name, timed)

    takes(SFTTrainer, "training_step", 2.0)
    takes(Trainer, "evaluate", 1000.0)
    takes(Trainer, "_save_checkpoint", 1000.0)
    often = {"eval_strategy": "steps", "eval_steps": 1, "save_strategy": "steps", "save_steps": 1}
    args = {"num_train_epochs": 1, "per_device_train_batch_size": 2, "gradient_accumulation_steps": 3, **often}
    record = train(adapted(base), rows, {**args, "eval_on_start": True}, dev_rows=rows[:2])
    points = record.cost_curve
    assert [point.step for point in points] == [point.step for point in record.loss_curve] == [1, 2]
    tokens = sum(len(row.input_ids) for row in rows)
    assert sum(point.tokens_per_second * 3 * 2.0 for point in points) == pytest.approx(tokens)
    assert all(point.peak_rss_bytes > 1 << 20 for point in points)
