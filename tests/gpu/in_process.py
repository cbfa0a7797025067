"""Loading, training and scoring in this process, through the functions that the stages call."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from sft.adapters.attach import attach_adapter
from sft.config.model import QuantizationConfig
from sft.inference.label_scoring.grouping import PassLimits
from sft.inference.label_scoring.scoring import LabelScores, score_labels
from sft.models.loading import ModelSource, load_model
from sft.objectives.causal_lm import OBJECTIVE as CAUSAL_LM
from sft.prompts.train_row import IGNORED, TrainRow
from sft.runs.progress import Progress
from sft.training.checkpoints import CheckpointFolder
from sft.training.options import effective_trainer_args
from sft.training.trainer import TrainerSettings, TrainingRecord, train_model
from tests.gpu.bench import Bench

LORA = {"r": 8, "lora_alpha": 16, "target_modules": "all-linear"}
ANSWER_TOKENS = 8
BYTES = 256
"""Ids below are bytes in the tokenizer."""
LABEL_LENGTHS = (1, 2, 4, 4, 8)


def loaded(
    bench: Bench, model_args: Mapping[str, Any] | None = None, quantization: QuantizationConfig | None = None
) -> Any:
    """The base model as a stage loads it."""
    return load_model(ModelSource("model", bench.folder, None, quantization, model_args or {}), CAUSAL_LM)


def adapted(bench: Bench, model: Any) -> Any:
    """The model with a new LoRA adapter."""
    return attach_adapter(model, "lora", {"task_type": "CAUSAL_LM", **LORA}, bench.folder, 13)


def train_rows(bench: Bench, shared: int = 0) -> list[TrainRow]:
    """As many rows as a step takes, all of one length, so that every step sees the same tokens in whatever order.

    Args:
        bench: says how many, and how long they are.
        shared: tokens that all of them begin with.
    """
    chance = random.Random(1)
    beginning = tuple(chance.randrange(BYTES) for _ in range(shared))
    rows = []
    for _ in range(bench.sizes.batch):
        ids = beginning + tuple(chance.randrange(BYTES) for _ in range(bench.sizes.train_tokens - shared))
        answer = ids[-ANSWER_TOKENS:]
        rows.append(TrainRow(ids, (IGNORED,) * (len(ids) - len(answer)) + answer))
    return rows


def train(
    bench: Bench,
    model: Any,
    trainer_args: Mapping[str, Any],
    progress: Progress | None = None,
    rows: Sequence[TrainRow] | None = None,
) -> TrainingRecord:
    """Train as the stage does, with its defaults under the given arguments, on the bench's rows or on others."""
    work = bench.folder / "in-process"
    work.mkdir(exist_ok=True)
    settings = TrainerSettings(
        effective_trainer_args(trainer_args, "lora"), 13, CheckpointFolder(work / "checkpoints")
    )
    told = progress or Progress(work / "progress.json", "train")
    return train_model(model, bench.tokenizer, rows or train_rows(bench), None, settings, told)


def scored(bench: Bench, model: Any) -> LabelScores:
    """Labels of several lengths after random prompts."""
    chance = random.Random(2)
    shared = [chance.randrange(BYTES) for _ in range(bench.sizes.prompt_tokens // 2)]
    prompts = [
        shared + [chance.randrange(BYTES) for _ in range(bench.sizes.prompt_tokens // 2 - chance.randrange(8))]
        for _ in range(bench.sizes.prompts)
    ]
    labels = [([chance.randrange(BYTES) for _ in range(length)], [BYTES + 3]) for length in LABEL_LENGTHS]
    return score_labels(model, prompts, labels, PassLimits(tokens=4096))


def apart(first: LabelScores, second: LabelScores) -> float:
    """The largest difference of a label's score, in nats."""
    sums = [scores.answer_logprobs + scores.stop_logprobs for scores in (first, second)]
    difference = np.abs(sums[0] - sums[1])
    return float("nan") if np.isnan(difference).any() else float(difference.max())


def dtypes_of(tensors: Any) -> str:
    """The types of floating-point tensors, as one word where there is one."""
    return " ".join(sorted({str(tensor.dtype) for tensor in tensors if tensor.is_floating_point()})).replace(
        "torch.", ""
    )


def random_ids(bench: Bench) -> torch.Tensor:
    """A batch of two sequences, on the bench's device."""
    generator = torch.Generator().manual_seed(3)
    return torch.randint(BYTES, (2, bench.sizes.prompt_tokens), generator=generator).to(bench.device)
