"""A small project on disk (data, a tokenizer, a model's config) and configs over it; no heavy package is imported."""

import copy
import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sft.experiments.grids.loading import RawGrid
from sft.processes.cpus import usable_cpus
from tests.support.results import ResultsBuilder

# A shell that starts the tests in the background has them ignore these, and the commands under test with them.
for _number, _handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _handler)

# Threads of torch that wait in a loop make tests several times slower where the machine has other work.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
# Threads beyond the share of a process cost more than they bring: the other processes of the run need the cores.
if (_processes := os.environ.get("PYTEST_XDIST_WORKER_COUNT")) is not None:
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, usable_cpus() // int(_processes))))

LABELS = ("bad", "good", "mixed")
SIZES = {"train": 5, "dev": 2, "test": 3}
"""Rows per label."""

TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
MODEL_CONFIG = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "vocab_size": 300,
}


LONGEST = (
    "integration/test_examples_run.py",
    "integration/test_stored_bases.py",
    "faults/test_state.py",
    "integration/test_lm_eval_interop.py",
    "gpu/test_script.py",
)
"""Files that start first, the longest of all before the others: what starts last must not take minutes."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Has `--no-loadscope-reorder` begin with the longest files; without it, those with most tests come first."""
    turns = {Path(__file__).parent / name: turn for turn, name in enumerate(LONGEST)}
    items.sort(key=lambda item: turns.get(item.path, len(turns)))


def rows_of(split: str) -> list[dict[str, Any]]:
    return [
        {"id": f"{split}-{number}-{label}", "text": f"{split} text {number} is {label}", "label": label}
        for number in range(SIZES[split])
        for label in LABELS
    ]


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def write_tokenizer(folder: Path) -> None:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {text: number for number, text in enumerate(alphabet)}
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens(["<s>", "</s>", "<|im_start|>", "<|im_end|>"])
    folder.mkdir(parents=True, exist_ok=True)
    backend.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | {"chat_template": TEMPLATE}))


def merged(base: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """`patch` over `base`, deeply; a key whose value is `...` is taken away."""
    result = dict(base)
    for key, value in patch.items():
        if value is ...:
            result.pop(key, None)
        elif isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merged(result[key], value)
        else:
            result[key] = value
    return result


CLASSIFICATION = {
    "dataset": {"path": "data", "task_type": "classification", "shots": 2},
    "model": {"name": "model"},
    "lora": {"r": 2},
    "prompting": {"instruction": "One of {labels}.", "input_columns": ["text"], "output_column": "label"},
    "training": {"trainer_args": {"learning_rate": 0.001, "num_train_epochs": 1}},
}
ZERO_SHOT = {"dataset": {"shots": 0}, "lora": ..., "training": ...}
GENERATION = {"dataset": {"task_type": "generation"}, "prompting": {"instruction": "Answer."}}


@pytest.fixture(autouse=True)
def _environment_as_it_was() -> Iterator[None]:
    """Libraries set variables (accelerate those of FSDP), which the next tests of this process must not find."""
    before = dict(os.environ)
    yield
    for name in {*os.environ, *before} - {"PYTEST_CURRENT_TEST"}:
        if name not in before:
            del os.environ[name]
        elif os.environ.get(name) != before[name]:
            os.environ[name] = before[name]


@pytest.fixture(autouse=True)
def hub_asked_anew() -> Iterator[None]:
    """A hub that was silent in one test is asked again in the next."""
    from sft.runs.hub_contact import asked_anew

    with asked_anew():
        yield


@pytest.fixture(autouse=True)
def _no_unknown_library_warnings(request: pytest.FixtureRequest) -> Iterator[None]:
    """What a library warns of while it loads something must be judged in `sft/models/library_warnings.py`."""
    from sft.models.library_warnings import forget_warnings, noted_warnings

    forget_warnings()
    yield
    if request.node.get_closest_marker("unknown_library_warnings") is None:
        assert noted_warnings() == []


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with `data/{train,dev,test}.jsonl` and `model/` (tokenizer, config, weights of no tensor)."""
    for split in SIZES:
        write_rows(tmp_path / "data" / f"{split}.jsonl", rows_of(split))
    write_tokenizer(tmp_path / "model")
    (tmp_path / "model" / "config.json").write_text(json.dumps(MODEL_CONFIG))
    (tmp_path / "model" / "model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    return tmp_path


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ResultsBuilder:
    """A results folder made by hand: `results` of the working directory."""
    monkeypatch.chdir(tmp_path)
    return ResultsBuilder(tmp_path / "results")


@pytest.fixture
def raw() -> Callable[..., dict[str, Any]]:
    """A config over `project` that trains LoRA on two shots per label, with patches merged over it."""

    def build(*patches: dict[str, Any]) -> dict[str, Any]:
        config = copy.deepcopy(CLASSIFICATION)
        for patch in patches:
            config = merged(config, patch)
        return config

    return build


@pytest.fixture
def zero_shot() -> dict[str, Any]:
    """The patch that trains nothing."""
    return copy.deepcopy(ZERO_SHOT)


@pytest.fixture
def generation() -> dict[str, Any]:
    """The patch that makes the config a generation."""
    return copy.deepcopy(GENERATION)


@pytest.fixture
def rewrite() -> Callable[..., None]:
    """Writes a split's rows of `project`, changed by a function."""

    def write(folder: Path, split: str, change: Callable[[list[dict[str, Any]]], Any]) -> None:
        rows = rows_of(split)
        write_rows(folder / "data" / f"{split}.jsonl", change(rows) or rows)

    return write


@pytest.fixture
def no_tokenizer_child(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plans without asking a tokenizer in a child process: nothing is wrong, and nothing is known."""
    from sft.experiments.planning import planning
    from sft.experiments.planning.checks.tokenizers import TokenizerAnswer

    monkeypatch.setattr(planning, "ask", lambda questions: [TokenizerAnswer() for _ in questions])


@pytest.fixture
def plan_of(no_tokenizer_child: None) -> Callable[..., Any]:
    """Plans `name -> raw config` in a folder."""
    from sft.experiments.planning import planning

    def plan(folder: Path, **configs: dict[str, Any]) -> Any:
        return planning.plan_grid(RawGrid(configs, "grid.json", folder), {})

    return plan
