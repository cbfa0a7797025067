import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from sft.inference import prefix_cache
from sft.inference.batches import pad_left
from sft.inference.label_scoring.cached_model import Context
from sft.inference.prefix_cache import Beginning, cache_of_rows, run_beginning

DRAW = np.random.default_rng(3)
SHARED = DRAW.integers(5, 97, size=20).tolist()
PROMPTS = [SHARED + DRAW.integers(5, 97, size=length).tolist() for length in (4, 20, 30)]
ARGS = {"max_new_tokens": 4}


def context_of(beginning: Beginning | None) -> Context:
    assert beginning is not None
    return beginning.context


def logits_after(model: Any, context: Context, prompts: list[list[int]]) -> torch.Tensor:
    """The last logits of a batch that goes on from the context."""
    batch = pad_left(prompts, 0, model.device)
    with torch.inference_mode():
        logits: torch.Tensor = model(
            input_ids=batch.input_ids[:, context.length :],
            position_ids=batch.position_ids[:, context.length :],
            attention_mask=batch.attention_mask,
            past_key_values=cache_of_rows(context, batch.paddings),
        ).logits[:, -1]
    return logits


def test_rows_of_any_length_go_on_from_the_same_beginning(tiny_model: Callable):
    model = tiny_model("llama")
    context = context_of(run_beginning(model, PROMPTS, ARGS))
    assert context.length == len(SHARED)
    with torch.inference_mode():
        expected = torch.stack([model(torch.tensor([prompt])).logits[0, -1] for prompt in PROMPTS])
    torch.testing.assert_close(logits_after(model, context, PROMPTS), expected, rtol=0, atol=1e-4)
    assert context.states[0][0].shape[0] == 1


def test_padding_pushes_the_end_of_the_beginning_out_of_the_cache():
    states = torch.arange(4.0)[None, None, :, None].expand(1, 2, 4, 3)
    cache = cache_of_rows(Context(4, ((states, -states),)), [0, 1, 3])
    assert cache.layers[0].keys.shape == (3, 2, 4, 3)
    rows = cache.layers[0].keys[:, 1, :, 2].tolist()
    assert [row[padding:] for row, padding in zip(rows, (0, 1, 3), strict=True)] == [[0, 1, 2, 3], [0, 1, 2], [0]]
    torch.testing.assert_close(cache.layers[0].values, -cache.layers[0].keys)


def test_rows_without_padding_share_one_copy():
    states = torch.rand(1, 2, 4, 3)
    layer = cache_of_rows(Context(4, ((states, states),)), [0, 0, 0]).layers[0]
    assert layer.keys.shape == (3, 2, 4, 3)
    assert layer.keys.data_ptr() == states.data_ptr()


@pytest.mark.parametrize("prompts", [[PROMPTS[0]], [[1, 2, 3], [1, 2, 4]], [[1], [2]]])
def test_little_in_common_is_not_run_by_itself(tiny_model: Callable, prompts: list[list[int]]):
    assert context_of(run_beginning(tiny_model("llama"), prompts, ARGS)) == Context()


def test_one_token_of_each_prompt_is_left(tiny_model: Callable):
    context = context_of(run_beginning(tiny_model("llama"), [SHARED, SHARED, PROMPTS[0]], ARGS))
    assert context.length == len(SHARED) - 1


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({"cache_implementation": "static"}, "generation_args.cache_implementation decides on the cache"),
        ({"use_cache": False}, "generation_args.use_cache decides on the cache"),
        ({"guidance_scale": 2.0}, "generation_args.guidance_scale changes the prompts"),
    ],
)
def test_settings_that_do_not_go_with_it(
    tiny_model: Callable, caplog: pytest.LogCaptureFixture, args: dict[str, Any], words: str
):
    assert run_beginning(tiny_model("llama"), PROMPTS, ARGS | args) is None
    assert [record.getMessage().endswith(words) for record in caplog.records] == [True]


def test_positions_that_stretch_with_the_prompt(tiny_model: Callable, caplog: pytest.LogCaptureFixture):
    rope = {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10000.0}
    model = tiny_model("llama", max_position_embeddings=54, rope_parameters=rope)
    assert run_beginning(model, PROMPTS, ARGS) is not None
    assert run_beginning(model, PROMPTS, {"max_new_tokens": 5}) is None
    assert "positions depend on the length" in caplog.text


def test_what_prompts_share_runs_behind_virtual_tokens(tiny_model: Callable):
    from peft import PromptTuningConfig, get_peft_model

    model = get_peft_model(tiny_model("llama"), PromptTuningConfig(num_virtual_tokens=3, task_type="CAUSAL_LM"))
    context = context_of(run_beginning(model.eval(), PROMPTS, ARGS))
    assert (context.virtual, context.length) == (3, len(SHARED))
    assert context.states[0][0].shape[2] == 3 + len(SHARED)


@pytest.mark.parametrize("wrong", [False, True])
def test_an_untried_model_is_tried(
    tiny_model: Callable, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, wrong: bool
):
    model = tiny_model("llama")
    monkeypatch.setattr(prefix_cache, "is_tried", lambda _model: False)
    if wrong:
        model.register_forward_pre_hook(_counting_from_zero, with_kwargs=True)
    with caplog.at_level(logging.WARNING), torch.inference_mode():
        context = run_beginning(model, PROMPTS, ARGS)
    assert (context is None) is wrong
    assert ("nats off" in caplog.text) is wrong


def _counting_from_zero(_module: Any, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Positions as of a model that looks at nothing but what runs."""
    return args, kwargs | {"position_ids": torch.arange(kwargs["input_ids"].shape[1])[None]}
