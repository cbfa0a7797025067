import dataclasses
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sft.inference.label_scoring import cached_model
from sft.inference.label_scoring.grouping import PassLimits
from sft.inference.label_scoring.label_plan import LabelPlan
from sft.inference.label_scoring.scoring import LabelScores, score_labels
from sft.models.attention import masks
from sft.prompts import Example, PromptBuilder, PromptStyle

STOP = (3, 4)
LABELS = [
    ((11,), STOP),
    ((11, 12), STOP),
    ((11, 12, 13, 14), STOP),
    ((20, 21), STOP),
    ((30,), STOP),
]
SDPA = ["llama", "qwen2", "qwen3", "mistral", "gemma3", "phi3", "gpt2"]
KINDS = [(name, "sdpa") for name in SDPA] + [(name, "eager") for name in (*SDPA, "gemma2")]
LIMITS = [PassLimits(*pair) for pair in itertools.product([1, 8, 20, 64, 1000], [None, 1, 3])]
TOLERANCE = 1e-4


def make_prompts(lengths: tuple[int, ...] = (5, 17, 1, 9, 12, 17, 3), shared: int = 0) -> list[list[int]]:
    draw = np.random.default_rng(0)
    beginning = draw.integers(5, 97, size=shared).tolist()
    return [beginning + draw.integers(5, 97, size=length).tolist() for length in lengths]


def assert_equal_scores(scores: LabelScores, expected: tuple[Any, Any], tolerance: float = TOLERANCE) -> None:
    np.testing.assert_allclose(scores.answer_logprobs, expected[0], rtol=0, atol=tolerance)
    np.testing.assert_allclose(scores.stop_logprobs, expected[1], rtol=0, atol=tolerance)


@pytest.mark.parametrize("architecture", ["llama", "gemma3"])
@pytest.mark.parametrize("limits", [PassLimits(1), PassLimits(40, 3), PassLimits(1000)])
def test_equals_one_sequence_at_a_time(tiny_model: Callable, oracle: Callable, architecture: str, limits: PassLimits):
    model, prompts = tiny_model(architecture), make_prompts(shared=6)
    scores = score_labels(model, prompts, LABELS, limits)
    assert scores.slow_reason is None
    assert_equal_scores(scores, oracle(model, prompts, LABELS))


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "lora"), list(itertools.product(KINDS, [False, True])))
def test_equals_one_sequence_at_a_time_everywhere(tiny_model: Callable, oracle: Callable, kind: Any, lora: bool):
    """Windows of 8 tokens are exceeded by most prompts here, shared beginnings or not."""
    model = tiny_model(*kind, lora=lora)
    for prompts in (make_prompts(), make_prompts(shared=9), make_prompts(shared=9) + make_prompts()):
        expected = oracle(model, prompts, LABELS)
        for limits in LIMITS:
            scores = score_labels(model, prompts, LABELS, limits)
            assert scores.slow_reason is None
            assert_equal_scores(scores, expected)


@pytest.mark.parametrize(
    ("architecture", "spoiled"),
    [
        *itertools.product(["llama", "gemma2", "mistral", "gpt2"], ["mask", "positions"]),
        ("gemma2", "window"),
        ("mistral", "window"),
    ],
)
def test_a_wrong_mask_or_position_shows(
    tiny_model: Callable, oracle: Callable, architecture: str, spoiled: str, monkeypatch: pytest.MonkeyPatch
):
    """The oracle is worth something only if it goes red: with the mask dropped, positions off by one, no window."""
    model, prompts = tiny_model(architecture, "eager"), make_prompts(shared=6)
    true_of = masks.MaskRule.of

    def false_of(self: Any, visible: Any, depths: Any, cached: int, device: Any) -> Any:
        if spoiled == "window":
            return true_of(masks.MaskRule(self.dtype), visible, depths, cached, device)
        everything = torch.ones_like(visible) if spoiled == "mask" else visible
        return true_of(self, everything, depths, cached, device)

    monkeypatch.setattr(masks.MaskRule, "of", false_of)
    if spoiled == "positions":
        run = cached_model.CachedModel.run
        monkeypatch.setattr(
            cached_model.CachedModel,
            "run",
            lambda self, context, tokens: run(
                self, context, _with_depths(tokens, tokens.depths + (tokens.depths > 0))
            ),
        )
    scores = score_labels(model, prompts, LABELS, PassLimits(1000))
    apart = np.abs(scores.answer_logprobs + scores.stop_logprobs - sum(oracle(model, prompts, LABELS))).max()
    assert apart > 100 * TOLERANCE


def _with_depths(tokens: Any, depths: Any) -> Any:
    return dataclasses.replace(tokens, depths=depths)


TOKENS = st.integers(5, 30)
SEQUENCES = st.lists(TOKENS, min_size=1, max_size=20).map(tuple)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    labels=st.lists(SEQUENCES, min_size=2, max_size=8, unique=True),
    stop=st.sampled_from([(), (3,), (3, 4)]),
    tokens=st.integers(1, 200),
    shared=st.integers(0, 12),
)
def test_any_label_set(oracle: Callable, tiny_model: Callable, labels: Any, stop: Any, tokens: int, shared: int):
    """Labels of 1 to 20 tokens that begin with each other or share tokens, under any limit."""
    model = _remembered(tiny_model)
    written = [(label, stop) for label in labels]
    prompts = make_prompts((4, 9, 1), shared)
    assert_equal_scores(score_labels(model, prompts, written, PassLimits(tokens)), oracle(model, prompts, written))


WORDS = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1, max_size=5)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=st.lists(WORDS.filter(str.strip), min_size=2, max_size=6, unique_by=str.strip), column=WORDS)
def test_any_words(oracle: Callable, tiny_model: Callable, tokenizer: Any, words: list[str], column: str):
    """Words in any script, as a prompt builder spells them in bytes, up to 20 tokens each."""
    builder = PromptBuilder(tokenizer, PromptStyle(input_columns=("text",), instruction="Say.", format="plain"))
    labels = [(label.answer_ids, label.stop_ids) for label in builder.label_ids(words)]
    prompts = [builder.encode([], Example({"text": text}), None).prompt_ids for text in (column, "ok")]
    model = _remembered(tiny_model, vocab_size=len(tokenizer))
    scores = score_labels(model, prompts, labels, PassLimits(64))
    assert_equal_scores(scores, oracle(model, prompts, labels))


_MODELS: dict[str, Any] = {}


def _remembered(tiny_model: Callable, **config: Any) -> Any:
    key = str(config)
    if key not in _MODELS:
        _MODELS[key] = tiny_model("llama", max_position_embeddings=256, **config)
    return _MODELS[key]


def test_a_nested_config_has_its_window_too(oracle: Callable):
    """As AutoModelForCausalLM gives for the larger Gemma 3: what counts stands in `text_config`."""
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration

    torch.manual_seed(7)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    text = {
        **sizes,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "vocab_size": 97,
        "max_position_embeddings": 64,
        "sliding_window": 8,
        "layer_types": ["sliding_attention", "full_attention"],
        "initializer_range": 0.5,
    }
    vision = {**sizes, "image_size": 28, "patch_size": 14}
    config = Gemma3Config(text_config=text, vision_config=vision, mm_tokens_per_image=4, image_token_index=96)
    model = Gemma3ForConditionalGeneration._from_config(config, attn_implementation="sdpa").eval()
    rule = masks.mask_rule(model)
    assert isinstance(rule, masks.MaskRule)
    assert rule.window == 8
    prompts = [[token % 90 for token in prompt] for prompt in make_prompts((4, 30, 40))]
    assert_equal_scores(score_labels(model, prompts, LABELS, PassLimits(64)), oracle(model, prompts, LABELS))


@pytest.mark.parametrize("architecture", ["bloom", "mamba"])
def test_configs_without_a_longest_position(tiny_model: Callable, architecture: str):
    model = tiny_model(architecture, "eager")
    del model.config.max_position_embeddings
    assert masks.stretched_positions(model, 10_000) is None


def test_a_label_that_cannot_be_spoils_no_other() -> None:
    plan = LabelPlan.of([((5, 6), (2,)), ((7,), ()), ((), (8, 9))], 10)
    logprobs = np.full((1, len(plan.trie)), -1.0)
    logprobs[0, plan.trie.paths[0][0]] = -np.inf
    answer, stop = plan.sums(logprobs)
    assert answer.tolist() == [[-np.inf, -1.0, 0.0]]
    assert stop.tolist() == [[-1.0, 0.0, -2.0]]


def test_equal_prompts_run_once_also_where_the_labels_alone_fill_a_pass(
    tiny_model: Callable, oracle: Callable, monkeypatch: pytest.MonkeyPatch
):
    passes: list[int] = []
    run = cached_model.CachedModel.run
    monkeypatch.setattr(cached_model.CachedModel, "run", lambda self, *rest: passes.append(1) or run(self, *rest))
    model, (prompt,) = tiny_model("llama"), make_prompts((9,))
    one = score_labels(model, [prompt], LABELS, PassLimits(4))
    alone = len(passes)
    five = score_labels(model, [prompt] * 5, LABELS, PassLimits(4))
    assert len(passes) == 2 * alone
    np.testing.assert_array_equal(five.answer_logprobs, one.answer_logprobs.repeat(5, axis=0))


def test_lora_takes_part(tiny_model: Callable, oracle: Callable):
    model, prompts = tiny_model("llama", lora=True), make_prompts()
    scores = score_labels(model, prompts, LABELS, PassLimits(64))
    assert_equal_scores(scores, oracle(model, prompts, LABELS))
    with model.disable_adapter():
        plain = score_labels(model, prompts, LABELS, PassLimits(64))
    assert np.abs(plain.answer_logprobs - scores.answer_logprobs).max() > 0.1


@pytest.mark.parametrize(
    "labels",
    [
        [((11,), ()), ((12,), ())],
        [((11,), (3,)), ((12,), (3,))],
        [((11,), ()), ((11, 12, 13), (3,)), ((), (3, 4))],
    ],
    ids=["one token, no stop", "one token, one stop", "mixed"],
)
def test_every_split_of_answer_and_stop(tiny_model: Callable, oracle: Callable, labels: list):
    model, prompts = tiny_model("llama"), make_prompts()
    scores = score_labels(model, prompts, labels, PassLimits(64))
    assert_equal_scores(scores, oracle(model, prompts, labels))
    assert scores.answer_tokens.tolist() == [len(answer) for answer, _ in labels]
    assert scores.stop_tokens.tolist() == [len(stop) for _, stop in labels]


def test_scores_are_in_the_order_of_rows_and_labels(tiny_model: Callable):
    model, prompts = tiny_model("llama"), make_prompts()
    scores = score_labels(model, prompts, LABELS, PassLimits(30))
    turned = score_labels(model, prompts[::-1], LABELS[::-1], PassLimits(30))
    np.testing.assert_allclose(turned.answer_logprobs, scores.answer_logprobs[::-1, ::-1], rtol=0, atol=TOLERANCE)


def test_equal_prompts_and_prompts_within_prompts(tiny_model: Callable, oracle: Callable):
    prompts = make_prompts((9, 4))
    prompts = [*prompts, prompts[0], prompts[0][:5], [*prompts[0], *LABELS[3][0], 7], prompts[0]]
    model = tiny_model("llama")
    for limits in LIMITS:
        assert_equal_scores(score_labels(model, prompts, LABELS, limits), oracle(model, prompts, LABELS))


def test_a_prompt_may_fill_the_context_up_to_the_longest_label(tiny_model: Callable, oracle: Callable):
    model = tiny_model("gpt2")
    prompts = make_prompts((64 - 5, 2, 30))
    labels = [((11,), ()), ((11, 12, 13, 14), (3,))]
    assert_equal_scores(score_labels(model, prompts, labels, PassLimits(64)), oracle(model, prompts, labels))


def test_the_model_is_scored_in_eval_mode(tiny_model: Callable):
    model = tiny_model("llama", attention_dropout=0.5)
    expected = score_labels(model, make_prompts(), LABELS, PassLimits(64))
    again = score_labels(model.train(), make_prompts(), LABELS, PassLimits(64))
    np.testing.assert_array_equal(again.answer_logprobs, expected.answer_logprobs)


def test_softmax_is_in_fp32_for_a_bf16_model(tiny_model: Callable):
    model, prompts = tiny_model("llama").to(torch.bfloat16), make_prompts((4, 4))
    labels = [((token,), ()) for token in range(97)]
    scores = score_labels(model, prompts, labels, PassLimits(64))
    np.testing.assert_allclose(np.exp(scores.answer_logprobs).sum(axis=1), 1.0, atol=1e-5)


def test_bf16_scores_differ_by_rounding_alone(tiny_model: Callable, oracle: Callable):
    """Logits of a standard deviation around 3 are rounded to 8 bits: up to 0.03 a token, and layers add to it."""
    model, prompts = tiny_model("llama", initializer_range=0.1).to(torch.bfloat16), make_prompts(shared=5)
    expected = oracle(model, prompts, LABELS)
    assert_equal_scores(score_labels(model, prompts, LABELS, PassLimits(64)), expected, tolerance=0.1)


def test_progress_counts_rows(tiny_model: Callable):
    calls: list[tuple[int, int]] = []
    score_labels(tiny_model("llama"), make_prompts(), LABELS, PassLimits(1000, 3), lambda *done: calls.append(done))
    assert calls == [(3, 7), (6, 7), (7, 7)]


def test_no_rows_give_no_scores(tiny_model: Callable):
    assert score_labels(tiny_model("llama"), [], LABELS, PassLimits(64)).answer_logprobs.shape == (0, 5)


def test_an_empty_prompt_is_a_bug_of_the_caller(tiny_model: Callable):
    with pytest.raises(ValueError, match="without tokens"):
        score_labels(tiny_model("llama"), [[5, 6], []], LABELS, PassLimits(64))


def test_a_large_label_set_runs_in_bounded_passes(tiny_model: Callable, monkeypatch: pytest.MonkeyPatch):
    sizes: list[int] = []
    run = cached_model.CachedModel.run

    def measured(self: Any, context: Any, tokens: Any) -> Any:
        sizes.append(tokens.ids.size)
        return run(self, context, tokens)

    monkeypatch.setattr(cached_model.CachedModel, "run", measured)
    draw = np.random.default_rng(1)
    labels = [(tuple(draw.integers(5, 97, size=3).tolist()), STOP) for _ in range(1000)]
    model, prompts = tiny_model("llama"), make_prompts((6, 3), shared=3)
    small = score_labels(model, prompts, labels, PassLimits(128))
    assert len(sizes) > 20
    assert max(sizes) <= 128 + 2 * 5
    whole = score_labels(model, prompts, labels, PassLimits(10_000))
    assert_equal_scores(small, (whole.answer_logprobs, whole.stop_logprobs))


@pytest.mark.parametrize("architecture", ["bloom", "mamba"])
def test_a_model_that_takes_no_mask_is_scored_the_slow_way(
    tiny_model: Callable, oracle: Callable, architecture: str, caplog: pytest.LogCaptureFixture
):
    model, prompts = tiny_model(architecture, "eager"), make_prompts()
    calls: list[tuple[int, int]] = []
    scores = score_labels(model, prompts, LABELS, PassLimits(40), lambda *done: calls.append(done))
    assert "takes no positions" in (scores.slow_reason or "")
    assert "slow way" in caplog.text
    assert calls[-1] == (7, 7)
    assert_equal_scores(scores, oracle(model, prompts, LABELS))


def test_an_untried_model_is_tried_on_its_first_row(
    tiny_model: Callable, oracle: Callable, monkeypatch: pytest.MonkeyPatch
):
    model, prompts = tiny_model("gptneox"), make_prompts(shared=4)
    good = score_labels(model, prompts, LABELS, PassLimits(64))
    assert good.slow_reason is None
    assert_equal_scores(good, oracle(model, prompts, LABELS))
    true_of = masks.MaskRule.of
    monkeypatch.setattr(
        masks.MaskRule,
        "of",
        lambda self, visible, *rest: true_of(self, torch.ones_like(visible), *rest),
    )
    spoiled = score_labels(model, prompts, LABELS, PassLimits(64))
    assert "nats off" in (spoiled.slow_reason or "")
    assert_equal_scores(spoiled, oracle(model, prompts, LABELS))


def test_an_untried_model_that_refuses_a_mask_is_scored_the_slow_way(
    tiny_model: Callable, monkeypatch: pytest.MonkeyPatch
):
    def refused(*_: Any) -> Any:
        raise RuntimeError("no such mask\nand more")

    monkeypatch.setattr(masks.MaskRule, "of", refused)
    scores = score_labels(tiny_model("gptneox"), make_prompts(), LABELS, PassLimits(64))
    assert "(RuntimeError: no such mask)" in (scores.slow_reason or "")


@pytest.mark.parametrize("lengths", [(5, 9), (5, 30, 41)], ids=["within", "beyond"])
def test_positions_that_depend_on_the_length_of_what_runs(tiny_model: Callable, oracle: Callable, lengths: Any):
    """Beyond 24 tokens all frequencies change, also those of what prompts share: then nothing may run by itself."""
    factors = {"short_factor": [1.0] * 4, "long_factor": [3.0] * 4, "original_max_position_embeddings": 24}
    rope = {"rope_type": "longrope", "rope_theta": 10000.0, "factor": 4.0, **factors}
    model = tiny_model("llama", rope_parameters=rope)
    prompts = make_prompts(lengths, shared=4)
    scores = score_labels(model, prompts, LABELS, PassLimits(64))
    assert (scores.slow_reason is None) is (max(lengths) < 10)
    assert_equal_scores(scores, oracle(model, prompts, LABELS))


def test_why_a_model_takes_no_mask(tiny_model: Callable):
    model = tiny_model("llama")
    assert isinstance(masks.mask_rule(model), masks.MaskRule)
    model.config._attn_implementation = "flash_attention_2"
    assert "flash_attention_2" in str(masks.mask_rule(model))
    model.config._attn_implementation = "sdpa"
    model.config.layer_types = ["full_attention", "linear_attention"]
    assert "linear_attention" in str(masks.mask_rule(model))
