"""The time of a training step beside plain TRL's: the same model, rows and settings, in turns within one run."""

import itertools
import math
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig, get_peft_model
from transformers import PrinterCallback, TrainerCallback
from trl import SFTConfig, SFTTrainer

from sft.config.model import QuantizationConfig
from sft.prompts.train_row import TrainRow
from sft.runs.progress import Progress
from tests.gpu.bench import Bench
from tests.gpu.in_process import LORA, adapted, loaded, train, train_rows
from tests.gpu.report import Findings

TURNS = 3
MIB = 1 << 20
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
    peak_mib: float = math.nan
    """On the GPU, of the last turn, beside what was taken before it."""

    def add(self, moments: list[float], loss: float) -> None:
        """A turn: when its steps were over, and the loss of its first one."""
        self.seconds += [after - before for before, after in itertools.pairwise(moments)]
        self.first_loss = loss if self.first_loss is None else self.first_loss


def run(bench: Bench, found: Findings) -> None:
    """Rows that have nothing in common."""
    compare_steps(bench, found, Comparison(train_rows(bench)))


@dataclass(frozen=True)
class Comparison:
    """What both sides train."""

    rows: Sequence[TrainRow]
    name: str = ""
    """Before the name of each figure."""

    quantization: QuantizationConfig | None = None
    most_ratio: float = MOST_RATIO
    most_memory: float | None = None
    """Of the most memory that a turn took on the GPU beside the models, ours to theirs; None: no figure."""


def compare_steps(bench: Bench, found: Findings, asked: Comparison) -> None:
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
    bases = [loaded(bench, quantization=asked.quantization) for _ in range(2)]
    ours = Side(adapted(bench, bases[0]))
    theirs = Side(get_peft_model(bases[1], LoraConfig(task_type="CAUSAL_LM", **LORA)))
    for turn in range(TURNS + 1):
        for side, turn_of in ((ours, _our_turn), (theirs, _their_turn)):
            taken = _begin_peak(bench)
            turn_of(bench, side, settings, asked.rows)
            side.peak_mib = torch.cuda.max_memory_allocated() / MIB - taken if bench.on_gpu else math.nan
            if turn == 0:
                side.seconds.clear()
    _compare(bench, ours, theirs, found, asked)


def _begin_peak(bench: Bench) -> float:
    """The MiB that tensors take on the GPU, the models among them; the most that are taken is watched from here on."""
    if not bench.on_gpu:
        return math.nan
    torch.cuda.reset_peak_memory_stats()
    return torch.cuda.memory_allocated() / MIB


def _compare(bench: Bench, ours: Side, theirs: Side, found: Findings, asked: Comparison) -> None:
    times = [statistics.median(side.seconds) for side in (ours, theirs)]
    tokens, before = sum(len(row.input_ids) for row in asked.rows), f"{asked.name}: " if asked.name else ""
    found.figure(f"{before}rows and tokens of a step", f"{len(asked.rows)} x {tokens // len(asked.rows)}")
    found.figure(f"{before}steps of each", len(ours.seconds))
    for name, seconds in zip(("here", "of plain TRL"), times, strict=True):
        found.figure(f"{before}a step {name} (median)", 1000 * seconds, "ms")
        found.figure(f"{before}tokens in a second {name}", tokens / seconds)
    ratio = f"{before}ratio"
    if bench.on_gpu:
        found.at_most(ratio, times[0] / times[1], asked.most_ratio)
    else:
        found.figure(ratio, times[0] / times[1], "", "none on a CPU")
    if asked.most_memory is not None and bench.on_gpu:
        found.figure(f"{before}most memory of a turn here, beside the models", ours.peak_mib, "MiB")
        found.at_most(f"{before}memory ratio", ours.peak_mib / theirs.peak_mib, asked.most_memory)
    losses = [float("nan") if side.first_loss is None else side.first_loss for side in (ours, theirs)]
    found.figure(f"{before}loss of the first step here", losses[0], "nats")
    found.at_most(f"{before}its distance from plain TRL's, as a share", abs(losses[0] / losses[1] - 1), FIRST_LOSS)


def _our_turn(bench: Bench, side: Side, settings: Mapping[str, Any], rows: Sequence[TrainRow]) -> None:
    clock = _Clock(bench.folder / "clock.json", "train")
    record = train(bench, side.model.train(), settings, clock, rows)
    first = record.loss_curve[0].loss
    side.add(clock.moments, float("nan") if first is None else first)


def _their_turn(bench: Bench, side: Side, settings: Mapping[str, Any], rows: Sequence[TrainRow]) -> None:
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
