import logging
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import PreTrainedTokenizerFast
from transformers.utils import logging as transformers_logging

from sft.errors import UserError
from sft.inference.generation import GenerationSettings, generate_texts
from sft.inference.options import effective_generation_args

END = "<|end|>"
PROMPTS = ["q: sky?\na:", "q: a much longer question, grass?\na:", "q: it?\na:"]
ANSWERS = [" blue", " green as grass", " no."]


@pytest.fixture
def model(tiny_model: Callable, tokenizer: PreTrainedTokenizerFast) -> Any:
    return random_model(tiny_model, tokenizer, "llama")


def random_model(tiny_model: Callable, tokenizer: PreTrainedTokenizerFast, name: str, **kwargs: Any) -> Any:
    built = tiny_model(name, vocab_size=len(tokenizer), max_position_embeddings=128, **kwargs)
    built.generation_config.eos_token_id = tokenizer.eos_token_id
    return built


def settings(stop_ids: tuple[int, ...], stop_text: str, **changes: Any) -> GenerationSettings:
    args = effective_generation_args(changes.pop("args", {}), changes.pop("length", 24))
    return GenerationSettings(args, stop_ids, stop_text, **{"batch_size": 2, "seed": 13, **changes})


def encoded(tokenizer: PreTrainedTokenizerFast, texts: list[str]) -> list[list[int]]:
    return [tokenizer.encode(text, add_special_tokens=False) for text in texts]


def overfit(model: Any, prompts: list[list[int]], completions: list[list[int]], steps: int = 30) -> Any:
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(steps):
        for prompt, completion in zip(prompts, completions, strict=True):
            labels = torch.tensor([[-100] * len(prompt) + completion])
            model(input_ids=torch.tensor([prompt + completion]), labels=labels).loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    return model.eval()


def greedy(model: Any, prompt: list[int], length: int, ends: set[int]) -> list[int]:
    """The slow truth: no cache, no padding, one token at a time."""
    written: list[int] = []
    with torch.no_grad():
        while len(written) < length and not ends & set(written):
            logits = model(input_ids=torch.tensor([prompt + written]), use_cache=False).logits
            written.append(int(logits[0, -1].argmax()))
    return written


@pytest.mark.parametrize("tail", [(), (198,)], ids=["end", "end and newline"])
def test_stops_at_a_trained_end_of_turn(model: Any, tokenizer: PreTrainedTokenizerFast, tail: tuple[int, ...]):
    end = tokenizer.convert_tokens_to_ids(END)
    prompts = encoded(tokenizer, PROMPTS)
    overfit(model, prompts, [[*ids, end, *tail] for ids in encoded(tokenizer, ANSWERS)])
    widths = widths_of(model)
    texts = generate_texts(model, tokenizer, prompts, settings((end, *tail), END, length=60))
    assert texts == [answer.strip() for answer in ANSWERS]
    assert widths == [longest_of(tokenizer, ANSWERS[:2]) + 1, longest_of(tokenizer, ANSWERS[2:]) + 1]


@pytest.mark.parametrize("spelling", ["one token", "two tokens"])
def test_stops_at_a_blank_line_however_it_is_spelled(model: Any, tokenizer: PreTrainedTokenizerFast, spelling: str):
    newline, blank = tokenizer.convert_tokens_to_ids(["Ċ", "ĊĊ"])
    written = [blank] if spelling == "one token" else [newline, newline]
    prompts = encoded(tokenizer, PROMPTS)
    overfit(model, prompts, [[*ids, *written] for ids in encoded(tokenizer, ANSWERS)])
    widths = widths_of(model)
    texts = generate_texts(model, tokenizer, prompts, settings((newline, newline), "\n\n", length=60))
    assert texts == [answer.strip() for answer in ANSWERS]
    assert max(widths) <= longest_of(tokenizer, ANSWERS) + 2


def test_stops_at_a_blank_line_inside_a_token(model: Any, tokenizer: PreTrainedTokenizerFast):
    newline = tokenizer.convert_tokens_to_ids("Ċ")
    prompts, texts = encoded(tokenizer, PROMPTS), [" yes.\n\nq: more", " yes, sure.\n\nq: mo", " n.\n\n"]
    overfit(model, prompts, encoded(tokenizer, texts))
    written = generate_texts(model, tokenizer, prompts, settings((newline, newline), "\n\n"))
    assert written == ["yes.", "yes, sure.", "n."]


def widths_of(model: Any) -> list[int]:
    """Filled with how many tokens each later batch generates."""
    widths: list[int] = []
    generate = model.generate

    def counted(**kwargs: Any) -> torch.Tensor:
        output: torch.Tensor = generate(**kwargs)
        widths.append(output.shape[1] - kwargs["input_ids"].shape[1])
        return output

    model.generate = counted
    return widths


def longest_of(tokenizer: PreTrainedTokenizerFast, texts: list[str]) -> int:
    return max(map(len, encoded(tokenizer, texts)))


@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize(
    ("name", "lora"),
    [
        ("llama", False),
        pytest.param("llama", True, marks=pytest.mark.slow),
        *[pytest.param(name, False, marks=pytest.mark.slow) for name in ("qwen2", "qwen3", "gemma3", "gpt2")],
    ],
)
def test_equals_a_naive_greedy_loop(
    tiny_model: Callable, tokenizer: PreTrainedTokenizerFast, name: str, lora: bool, batch_size: int
):
    model = random_model(tiny_model, tokenizer, name, lora=lora)
    prompts = encoded(tokenizer, [*PROMPTS, "x", "four words are here"])
    ends = {tokenizer.eos_token_id}
    expected = [greedy(model, prompt, 24, ends) for prompt in prompts]
    texts = generate_texts(model, tokenizer, prompts, settings((), "", batch_size=batch_size))
    assert texts == [tokenizer.decode(ids, skip_special_tokens=True).strip() for ids in expected]
    assert len(set(texts)) > 1


def test_sampling_depends_on_seed_and_batch_alone(model: Any, tokenizer: PreTrainedTokenizerFast):
    prompts = encoded(tokenizer, ["same"] * 4)
    sampled = {"do_sample": True, "temperature": 2.0}
    first = generate_texts(model, tokenizer, prompts, settings((), "", args=sampled))
    torch.rand(5)
    assert generate_texts(model, tokenizer, prompts, settings((), "", args=sampled)) == first
    assert generate_texts(model, tokenizer, prompts, settings((), "", args=sampled, seed=14)) != first
    assert first[:2] != first[2:]


def test_the_models_own_settings_are_not_used_and_nothing_is_warned_of(
    model: Any, tokenizer: PreTrainedTokenizerFast, caplog: pytest.LogCaptureFixture
):
    prompts = encoded(tokenizer, PROMPTS)
    plain = generate_texts(model, tokenizer, prompts, settings((), ""))
    own = {"do_sample": True, "temperature": 0.1, "top_p": 0.5, "repetition_penalty": 5.0, "max_length": 12}
    model.generation_config.update(**own)
    transformers_logging.enable_propagation()
    with warnings.catch_warnings(), caplog.at_level(logging.WARNING):
        warnings.simplefilter("error")
        assert generate_texts(model, tokenizer, prompts, settings((), "")) == plain
    assert caplog.records == []
    assert model.generation_config.temperature == 0.1


def test_the_models_own_end_stops_too(model: Any, tokenizer: PreTrainedTokenizerFast):
    prompts = encoded(tokenizer, PROMPTS)
    overfit(model, prompts, [[*ids, tokenizer.eos_token_id] for ids in encoded(tokenizer, ANSWERS)])
    end = tokenizer.convert_tokens_to_ids(END)
    assert generate_texts(model, tokenizer, prompts, settings((end,), END)) == [answer.strip() for answer in ANSWERS]


def test_beams_stop_at_the_text_too(model: Any, tokenizer: PreTrainedTokenizerFast):
    newline = tokenizer.convert_tokens_to_ids("Ċ")
    prompts = encoded(tokenizer, PROMPTS)
    overfit(model, prompts, [[*ids, newline, newline] for ids in encoded(tokenizer, ANSWERS)])
    texts = generate_texts(model, tokenizer, prompts, settings((newline, newline), "\n\n", args={"num_beams": 2}))
    assert texts == [answer.strip() for answer in ANSWERS]


def test_a_value_that_transformers_refuses_is_the_users(model: Any, tokenizer: PreTrainedTokenizerFast):
    with pytest.raises(UserError, match=r"generation_args.*cache_implementation"):
        generate_texts(model, tokenizer, [[1]], settings((), "", args={"cache_implementation": "nope"}))


def test_progress_counts_rows(model: Any, tokenizer: PreTrainedTokenizerFast):
    calls: list[tuple[int, int]] = []
    prompts = encoded(tokenizer, PROMPTS)
    generate_texts(model, tokenizer, prompts, settings((), ""), lambda done, total: calls.append((done, total)))
    assert calls == [(2, 3), (3, 3)]
