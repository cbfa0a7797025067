from collections.abc import Callable, Sequence
from typing import Any

import pytest

VOCABULARY = 97
NAMES = {
    "llama": "Llama",
    "qwen2": "Qwen2",
    "qwen3": "Qwen3",
    "mistral": "Mistral",
    "gemma2": "Gemma2",
    "gemma3": "Gemma3",
    "phi3": "Phi3",
    "gpt2": "GPT2",
    "gptneox": "GPTNeoX",
    "bloom": "Bloom",
    "mamba": "Mamba",
}
CONFIGS = {"gemma3": "Gemma3TextConfig"}


@pytest.fixture
def tiny_model() -> Callable[..., Any]:
    return build_tiny_model


def build_tiny_model(architecture: str, attention: str = "sdpa", lora: bool = False, **config: Any) -> Any:
    """Random two-layer model; weights so large that a wrong position or mask shows."""
    import torch
    import transformers

    torch.manual_seed(7)
    config_class = CONFIGS.get(architecture, f"{NAMES[architecture]}Config")
    class_name = "GPT2LMHeadModel" if architecture == "gpt2" else f"{NAMES[architecture]}ForCausalLM"
    written = {"vocab_size": VOCABULARY, "initializer_range": 0.5, **_shape(architecture), **config}
    ends = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    model = getattr(transformers, class_name)._from_config(
        getattr(transformers, config_class)(**written, **ends), attn_implementation=attention
    )
    return _with_lora(model.eval()) if lora else model.eval()


def _shape(architecture: str) -> dict[str, Any]:
    if architecture == "gpt2":
        return {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64}
    shape = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 64,
    }
    if architecture != "phi3":
        shape["head_dim"] = 8
    if architecture in ("mistral", "phi3", "gemma2", "gemma3"):
        shape["sliding_window"] = 8
    if architecture in ("gemma2", "gemma3"):
        shape["layer_types"] = ["sliding_attention", "full_attention"]
    if architecture in ("qwen2", "qwen3"):
        shape |= {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1}
    return shape


def _with_lora(model: Any) -> Any:
    import torch
    from peft import LoraConfig, get_peft_model

    targets = ["c_attn"] if model.config.model_type == "gpt2" else "all-linear"
    wrapped = get_peft_model(model, LoraConfig(r=4, target_modules=targets, task_type="CAUSAL_LM"))
    with torch.no_grad():
        for name, parameter in wrapped.named_parameters():
            if "lora_" in name:
                parameter.normal_(std=0.3)
    return wrapped.eval()


@pytest.fixture
def oracle() -> Callable[..., tuple[Any, Any]]:
    return one_by_one


def one_by_one(model: Any, prompts: Sequence[Sequence[int]], labels: Sequence[Any]) -> tuple[Any, Any]:
    """The slow truth: one whole sequence per row and label, alone, without padding, mask or cache."""
    import numpy as np
    import torch

    scores = np.zeros((2, len(prompts), len(labels)))
    with torch.no_grad():
        for row, prompt in enumerate(prompts):
            for column, (answer, stop) in enumerate(labels):
                sequence = torch.tensor([[*prompt, *answer, *stop]])
                logprobs = model(input_ids=sequence, use_cache=False).logits[0].double().log_softmax(-1)
                for offset, token in enumerate([*answer, *stop]):
                    part = 0 if offset < len(answer) else 1
                    scores[part, row, column] += float(logprobs[len(prompt) + offset - 1, token])
    return scores[0], scores[1]


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    """Bytes as tokens, a blank line also as one token, alone or after a full stop, and an end-of-turn."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merged = ["ĊĊ", ".ĊĊ"]
    vocabulary = {token: number for number, token in enumerate([*alphabet, *merged])}
    raw = Tokenizer(models.BPE(vocab=vocabulary, merges=[("Ċ", "Ċ"), (".", "ĊĊ")]))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    raw.decoder = decoders.ByteLevel()
    raw.add_special_tokens([AddedToken(text, special=True) for text in ("<pad>", "<eos>", "<|end|>")])
    return PreTrainedTokenizerFast(tokenizer_object=raw, pad_token="<pad>", eos_token="<eos>")
