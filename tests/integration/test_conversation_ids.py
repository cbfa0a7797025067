"""Conversations on the demo model's own tokenizer: their ids are those of its chat template."""

import random
from pathlib import Path
from typing import Any

import pytest

from sft.prompts import Example, Message, PromptBuilder, PromptStyle

MODEL = Path(__file__).resolve().parents[2] / "data" / "demo" / "SmolLM2-135M-Instruct"
TEXTS = ("hi", " lead", "trail ", "several\nlines\n\nand paragraphs", "été 🙂", "1", "tab\tin", "Answer: yes")
N_CONVERSATIONS = 60

pytestmark = pytest.mark.skipif(not MODEL.is_dir(), reason="needs make demo-data")


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(MODEL)


def test_prompt_and_completion_have_the_ids_of_the_template(tokenizer: Any) -> None:
    rng = random.Random(3)
    builder = PromptBuilder(tokenizer, PromptStyle(("messages",), train_turns="all"))
    for _ in range(N_CONVERSATIONS):
        turns = [Message("system", rng.choice(TEXTS))] if rng.random() < 0.5 else []
        for _ in range(rng.randint(1, 4)):
            turns += [Message("user", rng.choice(TEXTS)), Message("assistant", rng.choice(TEXTS))]
        messages = [{"role": turn.role, "content": turn.text} for turn in turns]
        encoded = builder.encode([], Example({}, turns[-1].text, tuple(turns[:-1])), None)
        ids = [*encoded.prompt_ids, *encoded.completion_ids]
        assert list(encoded.prompt_ids) == _ids(tokenizer, messages[:-1], add_generation_prompt=True)
        whole = _ids(tokenizer, messages)
        assert ids == whole[: len(ids)]
        assert tokenizer.decode(whole[len(ids) :]) == "\n"
        trained = [tokenizer.decode(encoded.prompt_ids[start:end]).strip() for start, end in encoded.trained]
        assert trained == [f"{turn.text}<|im_end|>".strip() for turn in turns[:-1] if turn.role == "assistant"]


def _ids(tokenizer: Any, messages: list[dict[str, str]], **options: Any) -> list[int]:
    return list(tokenizer.apply_chat_template(messages, tokenize=True, return_dict=False, **options))
