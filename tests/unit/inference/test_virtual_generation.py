"""Texts written behind virtual tokens: as a loop without cache, padding and batch writes them."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from sft.exceptions import UserError
from sft.inference.generation import GenerationSettings, generate_texts
from sft.inference.options import effective_generation_args
from tests.support.virtual_models import KINDS, truth, with_virtual_tokens

SHARED = "q: one?\na: 1.\nq: two?\na: 2.\nq: "
APART = ["q: sky?\na:", "q: a much longer question, grass?\na:", "x", "q: it?\na:"]
ALIKE = [SHARED + rest for rest in ("three?\na:", "x", "a much longer question, four?\na:", "no?\na:")]


def settings(batch_size: int, **args: Any) -> GenerationSettings:
    written = effective_generation_args({"max_new_tokens": 24, **args}, None)
    return GenerationSettings(written, (), "", batch_size, seed=13)


def greedy(logits_of: Callable[[Sequence[int]], torch.Tensor], prompt: list[int], end: int) -> list[int]:
    written: list[int] = []
    with torch.no_grad():
        while len(written) < 24 and end not in written:
            written.append(int(logits_of([*prompt, *written])[-1].argmax()))
    return written


def model_of(tiny_model: Callable, tokenizer: PreTrainedTokenizerFast, name: str, kind: str) -> Any:
    base = tiny_model(name, vocab_size=len(tokenizer), max_position_embeddings=128)
    base.generation_config.eos_token_id = tokenizer.eos_token_id
    return with_virtual_tokens(base, kind)


def assert_texts_are_true(model: Any, tokenizer: PreTrainedTokenizerFast, given: GenerationSettings) -> None:
    for texts in (APART, ALIKE):
        prompts = [tokenizer.encode(text, add_special_tokens=False) for text in texts]
        expected = [greedy(truth(model), prompt, tokenizer.eos_token_id) for prompt in prompts]
        written = generate_texts(model, tokenizer, prompts, given)
        assert written == [tokenizer.decode(ids, skip_special_tokens=True).strip() for ids in expected]
        assert len(set(written)) > 1


@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("mistral", "prompt_tuning"),
        *(
            pytest.param(*pair, marks=pytest.mark.slow)
            for pair in itertools.product(["llama", "gpt2", "qwen2", "gemma3", "mistral"], KINDS)
        ),
    ],
)
def test_equals_a_naive_greedy_loop(
    tiny_model: Callable, tokenizer: PreTrainedTokenizerFast, name: str, kind: str, batch_size: int
):
    """Windows of 8 tokens end inside the virtual tokens and behind them; rows are padded unless they run alone."""
    assert_texts_are_true(model_of(tiny_model, tokenizer, name, kind), tokenizer, settings(batch_size))


def test_without_masks_of_ones_own_rows_run_one_at_a_time(
    tiny_model: Callable, tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch
):
    model = model_of(tiny_model, tokenizer, "llama", "prompt_tuning")
    monkeypatch.setattr("sft.inference.prefix_cache.mask_rule", lambda _model: "it takes no mask")
    assert_texts_are_true(model, tokenizer, settings(3))


@pytest.mark.parametrize(
    ("args", "key"),
    [({"use_cache": False}, "use_cache"), ({"cache_implementation": "static"}, "cache_implementation")],
)
def test_a_cache_of_the_models_own_is_refused(
    tiny_model: Callable, tokenizer: PreTrainedTokenizerFast, args: dict[str, Any], key: str
):
    """PEFT raises what no user understands."""
    model = model_of(tiny_model, tokenizer, "llama", "prefix_tuning")
    with pytest.raises(UserError, match=rf"inference\.generation_args\.{key} decides on the cache.*virtual tokens"):
        assert_texts_are_true(model, tokenizer, settings(3, **args))


def test_beams_of_a_batch_are_those_of_a_row_alone(tiny_model: Callable, tokenizer: PreTrainedTokenizerFast):
    model = model_of(tiny_model, tokenizer, "llama", "prompt_tuning")
    prompts = [tokenizer.encode(text, add_special_tokens=False) for text in APART]
    together = generate_texts(model, tokenizer, prompts, settings(4, num_beams=3))
    assert together == [generate_texts(model, tokenizer, [prompt], settings(1, num_beams=3))[0] for prompt in prompts]
    assert len(set(together)) > 1


def test_the_own_generation_of_peft_is_not_used(
    tiny_model: Callable, tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch
):
    """It counts positions through the padding of a row."""
    model = model_of(tiny_model, tokenizer, "llama", "prompt_tuning")
    monkeypatch.setattr(type(model), "generate", None)
    assert_texts_are_true(model, tokenizer, settings(3))
