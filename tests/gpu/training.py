"""The time of a training step beside plain TRL's: the same model, rows and settings, in turns within one run."""

import itertools
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datasets import Dataset
from peft import LoraConfig, get_peft_model
from transformers import PrinterCallback, TrainerCallback
from trl import SFTConfig, SFTTrainer

from sft.runs.progress import Progress
from tests.gpu.bench import Bench
from tests.gpu.in_process import LORA, adapted, loaded, train, train_rows
from tests.gpu.report import Findings

TURNS = 3
MOST_RATIO = 1.25
"""Of the step times, ours to theirs, on a GPU. A CPU that others use as well gives a figure and no verdict."""
FIRST_LOSS = 0.02
"""Difference of the first step's losses as a share: they are of the same rows and of adapters that do nothing yet."""


@dataclass
class Side:
    """What was measured of one trainer."""

    model: Any
    seconds: list[float] = field(default_factory=list)
    first_loss: float | None = None

    def add(self, moments: list[float], loss: float) -> None:
        """A turn: when its steps were over, and the loss of its first one."""
        self.seconds += [after - before for before, after in itertools.pairwise(moments)]
        self.first_loss = loss if self.first_loss is None else self.first_loss


def run(bench: Bench, found: Findings) -> None:
    """Each side has its own model; the first turn of both is only to warm up."""
    settings = {
        "max_steps": bench.sizes.steps,
        "per_device_train_batch_size": bench.sizes.batch,
        "learning_rate": 1e-4,
        "logging_steps": 1,
        "gradient_checkpointing": False,
        "save_strategy": "no",
        "report_to": "none",
    }
    ours = Side(adapted(bench, loaded(bench)))
    theirs = Side(get_peft_model(loaded(bench), LoraConfig(task_type="CAUSAL_LM", **LORA)))
    for turn in range(TURNS + 1):
        for side, turn_of in ((ours, _our_turn), (theirs, _their_turn)):
            turn_of(bench, side, settings)
            if turn == 0:
                side.seconds.clear()
    _compare(bench, ours, theirs, found)


def _compare(bench: Bench, ours: Side, theirs: Side, found: Findings) -> None:
    times = [statistics.median(side.seconds) for side in (ours, theirs)]
    found.figure("rows and tokens of a step", f"{bench.sizes.batch} x {bench.sizes.train_tokens}")
    found.figure("steps of each", len(ours.seconds))
    found.figure("a step here (median)", 1000 * times[0], "ms")
    found.figure("a step of plain TRL (median)", 1000 * times[1], "ms")
    if bench.on_gpu:
        found.at_most("ratio", times[0] / times[1], MOST_RATIO)
    else:
        found.figure("ratio", times[0] / times[1], "", "none on a CPU")
    losses = [float("nan") if side.first_loss is None else side.first_loss for side in (ours, theirs)]
    found.figure("loss of the first step here", losses[0], "nats")
    found.at_most("its distance from plain TRL's, as a share", abs(losses[0] / losses[1] - 1), FIRST_LOSS)


def _our_turn(bench: Bench, side: Side, settings: Mapping[str, Any]) -> None:
    clock = _Clock(bench.folder / "clock.json", "train")
    record = train(bench, side.model.train(), settings, clock)
    first = record.loss_curve[0].loss
    side.add(clock.moments, float("nan") if first is None else first)


def _their_turn(bench: Bench, side: Side, settings: Mapping[str, Any]) -> None:
    rows = train_rows(bench)
    dataset = Dataset.from_dict({"input_ids": [row.input_ids for row in rows], "labels": [row.labels for row in rows]})
    clock = _ClockCallback()
    trainer = SFTTrainer(
        model=side.model.train(),
        args=SFTConfig(
            **settings,
            output_dir=str(bench.folder / "trl"),
            use_cpu=not bench.on_gpu,
            bf16=bench.expected_dtype == "bfloat16",
            max_length=None,
            disable_tqdm=True,
        ),
        train_dataset=dataset,
        processing_class=bench.tokenizer,
        callbacks=[clock],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    side.add(clock.moments, next(entry["loss"] for entry in trainer.state.log_history if "loss" in entry))


class _Clock(Progress):
    """The heartbeat as a stage writes it, which also keeps when each step was over."""

    def __init__(self, path: Path, stage: str) -> None:
        super().__init__(path, stage)
        self._seen: dict[int, float] = {}

    def __call__(self, step: int, total: int, loss: float | None = None) -> None:
        """Called at least once in each step."""
        super().__call__(step, total, loss)
        self._seen.setdefault(step, time.perf_counter())

    @property
    def moments(self) -> list[float]:
        """Of the steps from the first one on."""
        return [moment for step, moment in self._seen.items() if step > 0]


class _ClockCallback(TrainerCallback):
    """Keeps when each step was over."""

    def __init__(self) -> None:
        self.moments: list[float] = []

    def on_step_end(self, *args: Any, **kwargs: Any) -> None:
        """A step is over."""
        self.moments.append(time.perf_counter())
