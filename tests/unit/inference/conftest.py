from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tests.support.architectures import build_tiny_model


@pytest.fixture
def tiny_model() -> Callable[..., Any]:
    return build_tiny_model


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
