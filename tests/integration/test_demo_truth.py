"""What the product says of the real model on real tweets, beside a scorer that shares no code with it.

The scorer renders with the tokenizer's own template, runs one whole sequence per label through the untouched model
(or plain PEFT on it), and adds up log-probabilities.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2] / "data" / "demo"
MODEL = ROOT / "SmolLM2-135M-Instruct"
TWEETS = ROOT / "tweets"
LABELS = ("negative", "neutral", "positive")
INSTRUCTION = "Is the mood of this tweet negative, neutral or positive? Answer with one word."
N_TWEETS = 15
STOP = "<|im_end|>"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (MODEL / "model.safetensors").is_file() or not (TWEETS / "test.jsonl").is_file(),
        reason=f"NOT TESTED: the demo model and tweets are not in {ROOT}; make them with `make demo-data`",
    ),
]


def demo_grid() -> dict[str, Any]:
    dataset = {"path": str(TWEETS), "task_type": "classification", "shots": 0, "labels": list(LABELS)}
    prompting = {"instruction": INSTRUCTION, "input_columns": ["text"], "output_column": "label"}
    base = {"dataset": dataset | {"max_n_test": N_TWEETS}, "model": {"name": str(MODEL)}, "prompting": prompting}
    trainer_args = {"learning_rate": 3e-4, "max_steps": 3, "per_device_train_batch_size": 4}
    trained = {
        "dataset": {**base["dataset"], "shots": 4, "max_n_test": 8},
        "lora": {"r": 4, "lora_alpha": 8, "init_lora_weights": "pissa", "target_modules": ["q_proj", "v_proj"]},
        "training": {"trainer_args": trainer_args},
    }
    return {"configs": {"zero": base, "pissa": {**base, **trained}}}


class DemoRun:
    """A results folder of the demo grid."""

    def __init__(self, folder: Path) -> None:
        self.results = folder / "results"
        (folder / "grid.json").write_text(json.dumps(demo_grid()), "utf-8")
        command = [sys.executable, "-m", "sft.cli", "run-experiments", "grid.json"]
        settings = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
        ended = subprocess.run(
            command, cwd=folder, env=os.environ | settings, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stderr

    def _result(self, name: str, file: str) -> Path:
        (folder,) = (self.results / "experiments").glob(f"{name}-*")
        return folder / "result" / file

    def lines(self, name: str) -> list[Any]:
        """The predictions of an experiment."""
        return [json.loads(line) for line in self._result(name, "predictions.jsonl").read_text("utf-8").splitlines()]

    def accuracy(self, name: str) -> float:
        """The accuracy that the product reports."""
        value: float = json.loads(self._result(name, "metrics.json").read_text("utf-8"))["results"]["accuracy"]
        return value

    @property
    def adapter(self) -> Path:
        """The one adapter there is."""
        (folder,) = (self.results / "stages" / "train").glob("*/adapter")
        return folder


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> DemoRun:
    return DemoRun(tmp_path_factory.mktemp("demo"))


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(MODEL)


def untouched_base() -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(MODEL, dtype="float32").eval()


def naive_scores(model: Any, tokenizer: Any, tweet: str) -> dict[str, float]:
    """Log-probability of each label with the end of the turn, in nats."""
    turns = [{"role": "system", "content": INSTRUCTION}, {"role": "user", "content": tweet}]
    asked = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    n_asked = len(tokenizer(asked, add_special_tokens=False)["input_ids"])
    scores = {}
    for label in LABELS:
        answer = [*turns, {"role": "assistant", "content": label}]
        text = tokenizer.apply_chat_template(answer, tokenize=False)
        whole = text[: text.rindex(STOP) + len(STOP)]
        scores[label] = sequence_score(model, tokenizer(whole, add_special_tokens=False)["input_ids"], n_asked)
    return scores


def sequence_score(model: Any, ids: Sequence[int], start: int) -> float:
    import torch

    with torch.no_grad():
        logits = model(torch.tensor([ids]), use_cache=False).logits[0]
    logprobs = torch.log_softmax(logits.float(), dim=-1)
    return float(sum(logprobs[position - 1, ids[position]].double() for position in range(start, len(ids))))


def test_zero_shot_accuracy_equals_a_naive_scorer(demo: DemoRun, tokenizer: Any):
    lines, model = demo.lines("zero"), untouched_base()
    assert len(lines) == N_TWEETS
    scores = [naive_scores(model, tokenizer, line["text"]) for line in lines]
    for line, expected in zip(lines, scores, strict=True):
        assert line["label_logprobs"] == pytest.approx(expected, abs=1e-4)
    right = sum(max(one, key=one.__getitem__) == line["label"] for one, line in zip(scores, lines, strict=True))
    assert demo.accuracy("zero") == pytest.approx(right / N_TWEETS)


def test_plain_peft_loads_the_adapter_and_gives_the_same_scores(demo: DemoRun, tokenizer: Any):
    from peft import PeftModel

    config = json.loads((demo.adapter / "adapter_config.json").read_text("utf-8"))
    assert config["r"] == 8, "the rank of 4 and what pissa took off the base"
    base = untouched_base()
    lines = demo.lines("pissa")
    before = naive_scores(base, tokenizer, lines[0]["text"])
    model = PeftModel.from_pretrained(base, str(demo.adapter)).eval()
    for line in lines:
        assert line["label_logprobs"] == pytest.approx(naive_scores(model, tokenizer, line["text"]), abs=1e-4)
    assert max(abs(lines[0]["label_logprobs"][label] - before[label]) for label in LABELS) > 0.01
