"""A random two-layer model, a tokenizer in memory, and one call that trains on rows."""

import gc
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support.tiny_training import tiny_rows, tiny_tokenizer


@pytest.fixture
def tokenizer() -> Any:
    return tiny_tokenizer()


@pytest.fixture
def base() -> Any:
    """64 hidden units: the block of 4-bit quantisation is 64 wide."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    sizes = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2}
    config = LlamaConfig(vocab_size=64, num_attention_heads=4, num_key_value_heads=2, initializer_range=0.5, **sizes)
    return LlamaForCausalLM(config).eval()


@pytest.fixture
def adapted() -> Callable[..., Any]:
    """Attach LoRA to a base; B is not 0, so that every tensor has a gradient from the first step on."""

    def attach(base: Any, dropout: float = 0.0) -> Any:
        import torch
        from peft import LoraConfig, get_peft_model

        torch.manual_seed(1)
        options = {"target_modules": "all-linear", "init_lora_weights": False}
        return get_peft_model(base, LoraConfig(r=4, lora_alpha=4, lora_dropout=dropout, **options))

    return attach


@pytest.fixture
def rows() -> list[Any]:
    """12 rows with prompts of 3 to 6 tokens, an answer of one token and two stop tokens."""
    return tiny_rows()


@pytest.fixture
def train(tokenizer: Any, tmp_path: Path) -> Callable[..., Any]:
    """Train as the stage does, with our defaults over what is given."""

    def run(
        model: Any,
        rows: Sequence[Any],
        args: Mapping[str, Any],
        dev_rows: Sequence[Any] | None = None,
        seed: int = 13,
        own_loss: Any = None,
    ) -> Any:
        from sft.runs.progress import Progress
        from sft.training.checkpoints import CheckpointFolder
        from sft.training.options import effective_trainer_args
        from sft.training.trainer import TrainerSettings, train_model

        folder = CheckpointFolder(tmp_path / "work")
        settings = TrainerSettings(effective_trainer_args(args, "lora"), seed, folder, own_loss=own_loss)
        return train_model(model, tokenizer, rows, dev_rows, settings, Progress(tmp_path / "progress.json", "train"))

    return run


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    torch = sys.modules.get("torch")
    threads = None if torch is None else torch.get_num_threads()
    if torch is not None:
        torch.set_num_threads(1)
    if "trl" in sys.modules and not gc.get_freeze_count():
        gc.freeze()  # each training collects garbage, which takes longer than itself where all modules are looked at
    yield
    if torch is not None:
        torch.set_num_threads(threads)
