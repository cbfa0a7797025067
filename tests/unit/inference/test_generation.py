import logging
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import PreTrainedTokenizerFast
from transformers.utils import logging as transformers_logging

from sft.exceptions import UserError
from sft.inference.generation import GenerationSettings, generate_texts
from sft.inference.options import effective_generation_args

END = "<|end|>"
PROMPTS = ["q: sky?\na:", "q: a much longer question, grass?\na:", "q: it?\na:"]
ANSWERS = [" blue", " green as grass", " no."]
SHARED = "q: one?\na: 1.\nq: two?\na: 2.\nq: "
LIKE_PROMPTS = [SHARED + rest for rest in ("three?\na:", "x", "a much longer question, four?\na:", "no?\na:")]


@pytest.fixture
def model(tiny_model: Callable, tokenizer: PreTrainedTokenizerFast) -> Any:
    return random_model(tiny_model, tokenizer, "llama")


def random_model(tiny_model: Callable, tokenizer: PreTrainedTokenizerFast, name: str, **kwargs: Any) -> Any:
    built = tiny_model(name, vocab_size=len(tokenizer), max_position_embeddings=128, **kwargs)
    built.generation_config.eos_token_id = tokenizer.eos_token_id
    return built


def settings(stop_ids: tuple[int, ...], stop_text: str, **changes: Any) -> GenerationSettings:
    args = effective_generation_args(changes.pop("args", {}), changes.pop("length", 24))
    control_ids = frozenset(stop_ids[:1] if stop_text.startswith(END) else ())
    changes = {"batch_size": 2, "seed": 13, "control_ids": control_ids, **changes}
    return GenerationSettings(args, stop_ids, stop_text, **changes)


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


def sizes_of_runs(model: Any) -> list[tuple[int, int]]:
    """Filled with the rows and columns of each later forward pass."""
    sizes: list[tuple[int, int]] = []
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    base.register_forward_pre_hook(
        lambda _module, _args, kwargs: sizes.append(tuple(kwargs["input_ids"].shape)), with_kwargs=True
    )
    return sizes


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


@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize(
    ("name", "attention", "lora"),
    [
        ("llama", "sdpa", False),
        ("gemma3", "sdpa", False),
        pytest.param("llama", "sdpa", True, marks=pytest.mark.slow),
        *[
            pytest.param(name, attention, False, marks=pytest.mark.slow)
            for name in ("llama", "qwen2", "qwen3", "mistral", "gemma2", "gemma3", "phi3", "gpt2")
            for attention in ("sdpa", "eager")
            if (name, attention) not in (("llama", "sdpa"), ("gemma3", "sdpa"), ("gemma2", "sdpa"))
        ],
    ],
)
def test_a_shared_beginning_runs_once_and_changes_nothing(
    tiny_model: Callable, tokenizer: PreTrainedTokenizerFast, name: str, attention: str, lora: bool, batch_size: int
):
    model = random_model(tiny_model, tokenizer, name, attention=attention, lora=lora)
    prompts = encoded(tokenizer, LIKE_PROMPTS)
    expected = [greedy(model, prompt, 40, {tokenizer.eos_token_id}) for prompt in prompts]
    sizes = sizes_of_runs(model)
    texts = generate_texts(model, tokenizer, prompts, settings((), "", batch_size=batch_size, length=40))
    assert texts == [tokenizer.decode(ids, skip_special_tokens=True).strip() for ids in expected]
    assert sizes[0] == (1, len(SHARED))
    assert max(rows for rows, _ in sizes) == batch_size
    assert max(width for _, width in sizes[1:]) == longest_of(tokenizer, LIKE_PROMPTS) - len(SHARED)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gptneox", "bloom", "mamba"])
def test_models_of_other_types_write_as_they_do_alone(
    tiny_model: Callable, tokenizer: PreTrainedTokenizerFast, name: str
):
    model = random_model(tiny_model, tokenizer, name, attention="eager")
    prompts = encoded(tokenizer, LIKE_PROMPTS)
    expected = [greedy(model, prompt, 20, {tokenizer.eos_token_id}) for prompt in prompts]
    texts = generate_texts(model, tokenizer, prompts, settings((), "", batch_size=3, length=20))
    assert texts == [tokenizer.decode(ids, skip_special_tokens=True).strip() for ids in expected]


@pytest.mark.parametrize(
    "args", [{"num_beams": 3}, {"do_sample": True, "temperature": 2.0}], ids=["beams", "sampling"]
)
def test_beams_and_draws_are_those_without_a_shared_beginning(
    model: Any, tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch, args: dict[str, Any]
):
    prompts = encoded(tokenizer, LIKE_PROMPTS)
    shared = generate_texts(model, tokenizer, prompts, settings((), "", args=args, batch_size=3))
    monkeypatch.setattr("sft.inference.generation.run_beginning", lambda *_arguments: None)
    sizes = sizes_of_runs(model)
    assert generate_texts(model, tokenizer, prompts, settings((), "", args=args, batch_size=3)) == shared
    assert max(width for _, width in sizes) > len(SHARED)


@pytest.mark.parametrize(("stop", "tokens"), [(END, [END]), ("\n\n", ["Ċ", "Ċ"])], ids=["end", "blank line"])
def test_ended_rows_leave_their_batch(model: Any, tokenizer: PreTrainedTokenizerFast, stop: str, tokens: list[str]):
    prompts, ids = encoded(tokenizer, PROMPTS), tokenizer.convert_tokens_to_ids(tokens)
    answers = [" short", " of some more length than that", " the longest of all, so it is alone at the end."]
    overfit(model, prompts, [[*answer, *ids] for answer in encoded(tokenizer, answers)], steps=60)
    sizes = sizes_of_runs(model)
    texts = generate_texts(model, tokenizer, prompts, settings(tuple(ids), stop, length=60, batch_size=3))
    assert texts == [answer.strip() for answer in answers]
    rows = [rows for rows, _ in sizes]
    assert rows == [3] * 16 + [2] * 16 + [1] * (longest_of(tokenizer, answers) + len(ids) - 32)


def test_settings_that_count_steps_keep_all_rows_to_the_end(model: Any, tokenizer: PreTrainedTokenizerFast):
    prompts = encoded(tokenizer, PROMPTS)
    overfit(model, prompts, [[*ids, tokenizer.eos_token_id] for ids in encoded(tokenizer, ANSWERS)])
    sizes = sizes_of_runs(model)
    args = {"min_new_tokens": 20}
    texts = generate_texts(model, tokenizer, prompts, settings((), "", args=args, length=40, batch_size=3))
    assert all(len(text) >= 15 for text in texts)
    assert {rows for rows, _ in sizes} == {3}


def test_without_a_cache_every_prompt_runs_whole_and_the_log_says_why(
    model: Any, tokenizer: PreTrainedTokenizerFast, caplog: pytest.LogCaptureFixture
):
    prompts = encoded(tokenizer, LIKE_PROMPTS)
    plain = generate_texts(model, tokenizer, prompts, settings((), ""))
    assert caplog.records == []
    assert generate_texts(model, tokenizer, prompts, settings((), "", args={"use_cache": False})) == plain
    [record] = caplog.records
    assert record.getMessage() == (
        f"the {len(SHARED)} tokens that all prompts begin with run again with every prompt: "
        "generation_args.use_cache decides on the cache"
    )


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
