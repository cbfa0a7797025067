"""Ours: `our_side.py trainer|loop MODEL_FOLDER`; the trainer of a stage, or a loop of nothing but what a step needs.

The loop runs the same trees of tokens and the same output layer, without a trainer: forward, backward, clipping, a
fused AdamW, a linear schedule.
"""

import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import cross_entropy, linear
from trl import SFTConfig
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from benchmarks.training.answering import answer_requests
from benchmarks.training.trl_side import LORA
from sft.adapters.attach import attach_adapter
from sft.models.loading import ModelSource, load_model
from sft.models.tokenizers import load_tokenizer
from sft.objectives.causal_lm import OBJECTIVE as CAUSAL_LM
from sft.prompts.train_row import TrainRow
from sft.runs.progress import Progress
from sft.training import label_places
from sft.training.checkpoints import CheckpointFolder
from sft.training.options import effective_trainer_args
from sft.training.trainer import TrainerSettings, train_model
from sft.training.tree_models import trees_of


class _Clock(Progress):
    """The heartbeat as a stage writes it, which also says when each step is over."""

    def __init__(self, path: Path, step_done: Callable[[], None]) -> None:
        super().__init__(path, "train")
        self._step_done = step_done
        self._last = 0

    def __call__(self, step: int, total: int, loss: float | None = None) -> None:
        """Called at least once in each step."""
        super().__call__(step, total, loss)
        if step > self._last:
            self._step_done()
        self._last = step


def main(kind: str, folder: str) -> None:
    """Answer requests until there are no more."""
    source = ModelSource(folder, Path(), None, None, {"dtype": "float32"})
    model = attach_adapter(load_model(source, CAUSAL_LM), "lora", {"task_type": "CAUSAL_LM", **LORA}, Path(), 13)
    tokenizer = load_tokenizer(folder, Path())
    with tempfile.TemporaryDirectory() as work:
        train = _trainer(model, tokenizer, Path(work)) if kind == "trainer" else _loop(model)
        answer_requests(model, train)


def _trainer(model: Any, tokenizer: Any, work: Path) -> Callable[..., list[float]]:
    def train(request: dict[str, Any], step_done: Callable[[], None]) -> list[float]:
        written = {
            "per_device_train_batch_size": request["batch_size"],
            "max_steps": request["steps"],
            "learning_rate": request["rate"],
            "train_sampling_strategy": "sequential",
        }
        rows = [TrainRow(tuple(row["input_ids"]), tuple(row["labels"])) for row in request["rows"]]
        settings = TrainerSettings(effective_trainer_args(written, "lora"), 13, CheckpointFolder(work / "checkpoints"))
        model.train()
        record = train_model(model, tokenizer, rows, None, settings, _Clock(work / "progress.json", step_done))
        return [float("nan") if point.loss is None else point.loss for point in record.loss_curve]

    return train


def _loop(model: Any) -> Callable[..., list[float]]:
    base = model.get_base_model()
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    trees = trees_of(model, SFTConfig(use_cpu=True, bf16=False), 0)
    collate = label_places.PlacingCollator(DataCollatorForLanguageModeling(pad_token_id=0), trees)

    def loss_of(rows: Sequence[dict[str, Any]]) -> torch.Tensor:
        batch = collate(rows)
        scored = batch[label_places.SCORED]
        if "ids" in scored and trees is not None:
            inputs = label_places._tree_inputs(scored, trees.masks)
        else:
            inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
        states = base.model(**inputs, use_cache=False).last_hidden_state.flatten(0, 1)[scored["places"]]
        return cross_entropy(linear(states, base.lm_head.weight), scored["labels"])

    def train(request: dict[str, Any], step_done: Callable[[], None]) -> list[float]:
        model.train()
        optimizer = torch.optim.AdamW(trained, lr=request["rate"], weight_decay=0.0, fused=True)
        losses, size, steps = [], request["batch_size"], request["steps"]
        for step in range(steps):
            for group in optimizer.param_groups:
                group["lr"] = request["rate"] * (1 - step / steps)
            loss = loss_of(request["rows"][step * size : (step + 1) * size])
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            optimizer.zero_grad()
            losses.append(float(loss.detach()))
            step_done()
        return losses

    return train


if __name__ == "__main__":
    main(*sys.argv[1:])
