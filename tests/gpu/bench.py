"""What all parts work on: a random Llama, a tokenizer made in memory, made-up rows, and the command line."""

import gc
import json
import os
import random
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from sft.processes import fault_injection

ROOT = Path(__file__).resolve().parents[2]
LABELS = ("billing", "technical support", "praise", "other")
WORDS = ("invoice", "refund", "card", "crash", "error", "login", "office", "address", "event", "thanks", "screen")
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
FIRST_WITH_BF16 = (8, 0)
"""Compute capability of the first GPUs whose tensor cores take bf16 (Ampere)."""
SPECIAL = ("<s>", "</s>", "<|im_start|>", "<|im_end|>")


@dataclass(frozen=True)
class Sizes:
    """How large everything is."""

    hidden: int
    intermediate: int
    layers: int
    heads: int
    vocabulary: int
    spread: float
    """Standard deviation of the weights."""

    words: int
    """Of a row's text; a byte is a token."""

    batch: int
    """Rows of a training step that is timed, or runs out of memory."""

    steps: int
    """Of each turn in which training steps are timed."""

    prompts: int
    """Whose labels are scored."""

    prompt_tokens: int

    train_tokens: int
    """Of a row in trainings in this process."""


FULL = Sizes(
    1024, 4096, 16, 16, 32768, 0.02, words=60, batch=16, steps=20, prompts=16, prompt_tokens=200, train_tokens=512
)
"""302 million parameters, the embeddings counted once, as the head shares them."""
TINY = Sizes(64, 128, 2, 4, 300, 0.2, words=4, batch=4, steps=5, prompts=4, prompt_tokens=40, train_tokens=40)


@dataclass(frozen=True)
class Bench:
    """A folder with `model` and `data`, in which commands are run."""

    folder: Path
    device: str
    sizes: Sizes

    @property
    def on_gpu(self) -> bool:
        """Whether there is a GPU to be used."""
        return self.device == "cuda"

    @property
    def expected_dtype(self) -> str:
        """The type that weights and products have where nothing is written."""
        has_units = self.on_gpu and torch.cuda.get_device_capability() >= FIRST_WITH_BF16
        return "bfloat16" if has_units else "float32"

    @cached_property
    def tokenizer(self) -> Any:
        """The tokenizer of the model's folder."""
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(self.folder / "model")

    def config(self, **trainer_args: Any) -> dict[str, Any]:
        """An experiment that trains LoRA for two steps and scores labels; trainer arguments go over its own."""
        arguments = {"max_steps": 2, "per_device_train_batch_size": 4, "learning_rate": 0.001}
        return {
            "dataset": {
                "path": str(self.folder / "data"),
                "task_type": "classification",
                "shots": 8,
                "max_n_test": 16,
                "labels": list(LABELS),
                "splits": {"test": "test"},
            },
            "model": {"name": str(self.folder / "model")},
            "lora": {"r": 8, "target_modules": "all-linear"},
            "prompting": {
                "instruction": "Which team answers this? Choose one of: {labels}.",
                "input_columns": ["text"],
                "output_column": "label",
            },
            "training": {"trainer_args": {**arguments, **trainer_args}},
        }

    def write(self, name: str, value: Mapping[str, Any]) -> Path:
        """A config or grid as a file."""
        path = self.folder / name
        path.write_text(json.dumps(value), "utf-8")
        return path

    def sft(self, *words: str, faults: Mapping[str, Any] | None = None) -> str:
        """Run a command of the project, which must succeed; what it printed to both streams.

        Raises:
            RuntimeError: it did not; with the end of what it printed.
        """
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(_import_places())}
        if faults is not None:
            environment[fault_injection.VARIABLE] = json.dumps(faults)
        command = [sys.executable, "-m", "sft.cli", *words]
        ended = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)
        said = ended.stdout + ended.stderr
        if ended.returncode != 0:
            raise RuntimeError(f"sft {' '.join(words)} ended with {ended.returncode}: {said[-3000:]}")
        return said

    def read(self, *parts: str) -> Any:
        """The one JSON file under the folder that a pattern finds."""
        (found,) = self.folder.glob("/".join(parts))
        return json.loads(found.read_text("utf-8"))

    def release(self) -> None:
        """Give back GPU memory that nothing in this process uses any more."""
        gc.collect()
        if self.on_gpu:
            torch.cuda.empty_cache()


def make_bench(folder: Path, device: str, sizes: Sizes) -> Bench:
    """Write model, tokenizer and rows into a folder."""
    from transformers import LlamaConfig, LlamaForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    _write_tokenizer(folder / "model")
    for number, split in enumerate(("train", "test")):
        _write_rows(folder / "data" / f"{split}.jsonl", random.Random(number), sizes.words)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=sizes.vocabulary,
        hidden_size=sizes.hidden,
        intermediate_size=sizes.intermediate,
        num_hidden_layers=sizes.layers,
        num_attention_heads=sizes.heads,
        max_position_embeddings=2048,
        initializer_range=sizes.spread,
        tie_word_embeddings=True,
        bos_token_id=256,
        eos_token_id=257,
    )
    with torch.device(device):  # drawing 300 million numbers takes a CPU core some seconds
        model = LlamaForCausalLM(config)
    model.to(torch.bfloat16).save_pretrained(folder / "model")
    return Bench(folder, device, sizes)


def _write_tokenizer(folder: Path) -> None:
    """Bytes as tokens, four special ones, and a chat template."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(models.BPE(vocab={text: number for number, text in enumerate(alphabet)}, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens(list(SPECIAL))
    folder.mkdir(parents=True)
    backend.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | {"chat_template": TEMPLATE}), "utf-8")


def _write_rows(path: Path, chance: random.Random, words: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [
        {"text": " ".join(chance.choices(WORDS, k=words)) + f" {number}", "label": LABELS[number % len(LABELS)]}
        for number in range(64)
    ]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")


def _import_places() -> list[str]:
    """The project itself, which need not be installed, and what this process was told."""
    told = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return [str(ROOT), *(place for place in told if place)]
