"""A tiny random model, small data, and the command line in a folder of its own."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.forked_commands import can_fork, run_forked
from tests.support.preloading import OFFLINE

TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
INSTRUCTION = "Which team answers this? Choose one of: {labels}."
LABELS = ("billing", "technical support", "other")
WORDS = {
    "billing": ("invoice", "refund", "card", "payment", "price"),
    "technical support": ("crash", "error", "screen", "update", "login"),
    "other": ("office", "job", "address", "event", "thanks"),
}
SIZES = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
N_ROWS = 60


def tickets(seed: int) -> list[dict[str, Any]]:
    """Rows to classify; the labels take turns."""
    chance = random.Random(seed)
    rows = []
    for number in range(N_ROWS):
        label = LABELS[number % len(LABELS)]
        words = " ".join(chance.sample(WORDS[label], 3))
        rows.append({"text": f"about my {words}, case {seed}-{number}", "label": label, "ticket": number})
    return rows


def questions(seed: int) -> list[dict[str, Any]]:
    """Rows to answer with a text."""
    chance = random.Random(seed)
    words = [word for label in LABELS for word in WORDS[label]]
    picks = [chance.sample(words, 3) for _ in range(N_ROWS)]
    return [
        {"question": f"say {' '.join(pick)} {number}", "answer": " ".join(reversed(pick))}
        for number, pick in enumerate(picks)
    ]


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")


def _tokenizer(texts: list[str]) -> Any:
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, special_tokens=["<pad>"])
    backend.train_from_iterator(texts, trainer)
    marks = ("<|im_start|>", "<|im_end|>")
    backend.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in marks])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="<pad>", eos_token="<|im_end|>")
    tokenizer.chat_template = TEMPLATE
    return tokenizer


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `model` (a random Llama), `tickets` (classification) and `questions` (generation)."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("tiny")
    for number, name in enumerate(("train", "test", "dev")):
        write_rows(folder / "tickets" / f"{name}.jsonl", tickets(number))
        write_rows(folder / "questions" / f"{name}.jsonl", questions(number))
    tokenizer = _tokenizer([f"{row['text']} {row['label']}" for row in tickets(0)])
    torch.manual_seed(0)
    places = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id, "bos_token_id": None}
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        num_key_value_heads=2,
        max_position_embeddings=512,
        initializer_range=0.5,
        **SIZES,
        **places,
    )
    LlamaForCausalLM(config).save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    return folder


@dataclass(frozen=True)
class Place:
    """A folder with configs and results, in which commands are run."""

    folder: Path
    tiny: Path
    forks: bool = True
    """Whether commands are forked where that is the same; otherwise each is a new interpreter."""

    def classification(self, **sections: Any) -> dict[str, Any]:
        """A zero-shot config of 12 test rows; sections are merged over it, key by key."""
        base: dict[str, Any] = {
            "dataset": {
                "path": str(self.tiny / "tickets"),
                "task_type": "classification",
                "shots": 0,
                "max_n_test": 12,
                "labels": list(LABELS),
                "splits": {"test": "test"},
            },
            "model": {"name": str(self.tiny / "model")},
            "prompting": {"instruction": INSTRUCTION, "input_columns": ["text"], "output_column": "label"},
        }
        return merged(base, sections)

    def trained(self, **sections: Any) -> dict[str, Any]:
        """The same with a LoRA adapter trained on 4 shots per label in 2 epochs."""
        arguments = {"num_train_epochs": 2, "per_device_train_batch_size": 6, "learning_rate": 0.01}
        training = {"dataset": {"shots": 4}, "lora": {"r": 4}, "training": {"trainer_args": arguments}}
        return self.classification(**merged(training, sections))

    def generation(self, **sections: Any) -> dict[str, Any]:
        """A config that generates at most 8 tokens for each of 6 rows."""
        base: dict[str, Any] = {
            "dataset": {
                "path": str(self.tiny / "questions"),
                "task_type": "generation",
                "shots": 0,
                "max_n_test": 6,
            },
            "model": {"name": str(self.tiny / "model")},
            "prompting": {"input_columns": ["question"], "output_column": "answer", "max_output_length": 8},
        }
        return merged(base, sections)

    def sft(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `python -m sft.cli ...` here, on the CPU with one thread and no network."""
        environment = os.environ | OFFLINE
        if self.forks and can_fork(environment):
            ended = run_forked(arguments, self.folder, environment)
        else:
            command = [sys.executable, "-m", "sft.cli", *arguments]
            ended = subprocess.run(
                command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False
            )
        for name in ("training.json", "inference.json"):
            for file in self.folder.glob(f"*/stages/*/*/{name}"):
                told = json.loads(file.read_text("utf-8"))["environment"]["library_warnings"]
                assert told == [], f"warnings that nobody has judged: {file}"
        return ended

    def run(self, command: str, config: dict[str, Any], *arguments: str, expected: int = 0) -> str:
        """Write `config.json` and run a command on it; return what it printed to both streams."""
        path = self.folder / "config.json"
        path.write_text(json.dumps(config), "utf-8")
        ended = self.sft(command, path.name, *arguments)
        assert ended.returncode == expected, f"{command}: exit {ended.returncode}\n{ended.stdout}\n{ended.stderr}"
        return ended.stdout + ended.stderr

    def json(self, *parts: str) -> Any:
        """A JSON file under this folder."""
        return json.loads(self.folder.joinpath(*parts).read_text("utf-8"))

    def experiment(self, results: str = "results", name: str = "config") -> Path:
        """The folder of the one experiment whose folder begins with a name."""
        (found,) = (self.folder / results / "experiments").glob(f"{name}*")
        return found

    def metrics(self, results: str = "results", name: str = "config") -> Any:
        """Its `metrics.json`."""
        return json.loads((self.experiment(results, name) / "result" / "metrics.json").read_text("utf-8"))

    def lines(self, results: str = "results", name: str = "config", file: str = "predictions.jsonl") -> list[Any]:
        """The records of one of its JSONL files."""
        text = (self.experiment(results, name) / "result" / file).read_text("utf-8")
        return [json.loads(line) for line in text.splitlines()]

    def events(self, results: str = "results") -> list[Any]:
        """The state changes of a results folder, oldest first."""
        return [json.loads(line) for line in (self.folder / results / "events.jsonl").read_text("utf-8").splitlines()]


def merged(base: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """Maps merge deeply, anything else replaces."""
    result = dict(base)
    for key, value in patch.items():
        known = result.get(key)
        result[key] = merged(known, value) if isinstance(value, dict) and isinstance(known, dict) else value
    return result


@pytest.fixture
def place(tmp_path: Path, tiny: Path) -> Place:
    return Place(tmp_path, tiny)


@pytest.fixture(scope="session")
def make_place(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Callable[[str], Place]:
    """For fixtures that several tests share."""

    def make(name: str, forks: bool = True) -> Place:
        return Place(tmp_path_factory.mktemp(name), tiny, forks)

    return make
