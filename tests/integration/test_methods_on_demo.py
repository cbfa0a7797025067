"""Each method trained on the real model: what plain PEFT makes of its folder scores the labels alike."""

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sft.adapters import adapter_registry
from sft.adapters.method import TASK_TYPE, adapter_method
from sft.adapters.peft.folder import CONFIG

ROOT = Path(__file__).parents[2] / "data" / "demo"
MODEL = ROOT / "SmolLM2-135M-Instruct"
TWEETS = ROOT / "tweets" / "test.jsonl"
WORDS = (" negative", " positive")
TEXT_TOKENS, STEPS, NATS = 12, 2, 1e-4
MOVED = 1e-3
"""Nats by which the training of a method must change a score at least, for its equality to mean something."""

RATES: Mapping[str, float] = {"unilora": 0.1}
"""Of methods whose own rate moves too little in so few steps."""

FEW_LAYERS = {"target_modules": ["q_proj"]}
OPTIONS: Mapping[str, Mapping[str, Any]] = dict.fromkeys(("boft", "hra", "osf", "tinylora"), FEW_LAYERS)
"""Of methods that need some, or that take long for each layer."""

METHODS = [name for name in adapter_registry if name not in ("none", "trainable_tokens")]
"""Tokens are not trained where the output head is the embedding, as in this model."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (MODEL.is_dir() and TWEETS.is_file()), reason="needs make demo-data"),
]


@pytest.fixture(scope="module")
def demo() -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from tests.support.tiny_training import keep_modules

    keep_modules()
    return AutoModelForCausalLM.from_pretrained(MODEL, dtype="float32").eval(), AutoTokenizer.from_pretrained(MODEL)


@pytest.fixture(scope="module")
def prompts(demo: tuple[Any, Any]) -> list[list[int]]:
    """Beginnings of tweets, and a question."""
    with TWEETS.open(encoding="utf-8") as file:
        texts = [json.loads(line)["text"] for _, line in zip(WORDS, file, strict=False)]
    question = demo[1].encode("\nMood:", add_special_tokens=False)
    return [[*demo[1].encode(text, add_special_tokens=False)[:TEXT_TOKENS], *question] for text in texts]


@pytest.fixture(scope="module")
def labels(demo: tuple[Any, Any]) -> list[tuple[list[int], list[int]]]:
    stop = demo[1].encode("<|im_end|>", add_special_tokens=False)
    return [(demo[1].encode(word, add_special_tokens=False), stop) for word in WORDS]


@pytest.fixture(scope="module")
def untrained(demo: tuple[Any, Any], prompts: list[list[int]], labels: Any) -> np.ndarray:
    return one_by_one(demo[0], prompts, labels)


def scores(model: Any, prompts: list[list[int]], labels: list[tuple[list[int], list[int]]]) -> np.ndarray:
    """As the infer stage scores."""
    from sft.inference.label_scoring.grouping import PassLimits
    from sft.inference.label_scoring.scoring import score_labels

    found: np.ndarray = score_labels(model, prompts, labels, PassLimits(512)).answer_logprobs
    return found


def one_by_one(model: Any, prompts: list[list[int]], labels: list[tuple[list[int], list[int]]]) -> np.ndarray:
    """The same of one sequence at a time; tokens that a method puts in front have logits too."""
    import torch

    found = np.zeros((len(prompts), len(labels)))
    for row, prompt in enumerate(prompts):
        for column, (answer, _) in enumerate(labels):
            ids = torch.tensor([[*prompt, *answer]])
            with torch.no_grad():
                logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0, -ids.shape[1] : -1]
            tokens = logits.log_softmax(-1).gather(1, ids[0, 1:, None])[len(prompt) - 1 :, 0]
            found[row, column] = float(tokens.double().sum())
    return found


def train(model: Any, method: str, tokenizer: Any, prompts: list[list[int]], labels: Any, folder: Path) -> None:
    from sft.prompts.train_row import IGNORED, TrainRow
    from sft.runs.progress import Progress
    from sft.training.checkpoints import CheckpointFolder
    from sft.training.options import effective_trainer_args
    from sft.training.trainer import TrainerSettings, train_model

    rows = []
    for prompt, (answer, stop) in zip(prompts, labels, strict=True):
        completion = (*answer, *stop)
        rows.append(TrainRow((*prompt, *completion), (IGNORED,) * len(prompt) + completion))
    rate = {"learning_rate": RATES[method]} if method in RATES else {}
    args = effective_trainer_args({"max_steps": STEPS, "per_device_train_batch_size": 2, **rate}, method)
    settings = TrainerSettings(
        args, 13, CheckpointFolder(folder / "work"), own_tensors=adapter_method(method).own_tensors
    )
    train_model(model, tokenizer, rows, None, settings, Progress(folder / "progress.json", "train"))


@pytest.mark.parametrize("method", METHODS)
def test_what_was_saved_is_what_was_trained(
    method: str, demo: tuple[Any, Any], prompts: list[list[int]], labels: Any, untrained: np.ndarray, tmp_path: Path
) -> None:
    from peft import PeftModel

    from sft.adapters.attach import attach_adapter
    from sft.adapters.saving import load_adapter, save_adapter

    base, tokenizer = demo
    options = {TASK_TYPE: "CAUSAL_LM", **OPTIONS.get(method, {})}
    trained = attach_adapter(copy.deepcopy(base), method, options, tmp_path, 7)
    train(trained, method, tokenizer, prompts, labels, tmp_path)
    save_adapter(trained, method, tmp_path / "adapter")
    measured = scores(trained, prompts, labels)
    del trained
    read = PeftModel.from_pretrained if (tmp_path / "adapter" / CONFIG).is_file() else load_adapter
    found = one_by_one(read(copy.deepcopy(base), tmp_path / "adapter").eval(), prompts, labels)
    np.testing.assert_allclose(measured, found, rtol=0, atol=NATS)
    assert np.abs(measured - untrained).max() > MOVED
