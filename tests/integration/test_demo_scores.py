"""The real model on real tweets; skipped where `make demo-data` has not run."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parents[2] / "data" / "demo"
MODEL = ROOT / "SmolLM2-135M-Instruct"
TWEETS = ROOT / "tweets" / "test.jsonl"
WORDS = ("negative", "neutral", "positive")
INSTRUCTION = "Is the mood of this tweet negative, neutral or positive? Answer with one word."

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (MODEL.is_dir() and TWEETS.is_file()), reason="needs make demo-data"),
]


@pytest.fixture(scope="module")
def demo() -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    return AutoModelForCausalLM.from_pretrained(MODEL, dtype="float32").eval(), AutoTokenizer.from_pretrained(MODEL)


def tweet_prompts(tokenizer: Any, count: int) -> list[list[int]]:
    with TWEETS.open(encoding="utf-8") as file:
        texts = [json.loads(line)["text"] for _, line in zip(range(count), file, strict=False)]
    turns = [[{"role": "system", "content": INSTRUCTION}, {"role": "user", "content": text}] for text in texts]
    rendered = [tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True) for turn in turns]
    return [tokenizer.encode(text, add_special_tokens=False) for text in rendered]


def label_tokens(tokenizer: Any) -> list[tuple[list[int], list[int]]]:
    stop = tokenizer.encode("<|im_end|>", add_special_tokens=False)
    return [(tokenizer.encode(word, add_special_tokens=False), stop) for word in WORDS]


def one_sequence(model: Any, prompt: list[int], answer: list[int], stop: list[int]) -> tuple[float, float]:
    import torch

    with torch.no_grad():
        ids = torch.tensor([[*prompt, *answer, *stop]])
        logprobs = model(input_ids=ids, use_cache=False).logits[0, :-1].log_softmax(-1)
    tokens = logprobs.gather(1, ids[0, 1:, None])[len(prompt) - 1 :, 0].double()
    return float(tokens[: len(answer)].sum()), float(tokens[len(answer) :].sum())


def test_scores_of_tweets_equal_one_sequence_at_a_time(demo: tuple[Any, Any]):
    from sft.inference.label_scoring.grouping import PassLimits
    from sft.inference.label_scoring.scoring import score_labels

    model, tokenizer = demo
    prompts, labels = tweet_prompts(tokenizer, 20), label_tokens(tokenizer)
    scores = score_labels(model, prompts, labels, PassLimits(512))
    expected = np.array([[one_sequence(model, prompt, *label) for label in labels] for prompt in prompts])
    np.testing.assert_allclose(scores.answer_logprobs, expected[:, :, 0], rtol=0, atol=1e-4)
    np.testing.assert_allclose(scores.stop_logprobs, expected[:, :, 1], rtol=0, atol=1e-4)


def test_texts_of_tweets_do_not_depend_on_the_batch(demo: tuple[Any, Any]):
    from sft.inference.generation import GenerationSettings, generate_texts

    model, tokenizer = demo
    prompts = tweet_prompts(tokenizer, 6)
    stop = tuple(tokenizer.encode("<|im_end|>", add_special_tokens=False))
    args = {"max_new_tokens": 12}
    together, alone = (
        generate_texts(model, tokenizer, prompts, GenerationSettings(args, stop, "<|im_end|>", size, 13))
        for size in (6, 1)
    )
    assert together == alone
    assert all(together)
