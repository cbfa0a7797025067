"""Labels are tokenised again once for each way in which prompts end, not for each prompt."""

from typing import Any

import pytest

from sft.exceptions import UserError
from sft.prompts import Example, PromptBuilder, PromptStyle
from sft.prompts.tokens import Tokens

IM = ("<|im_start|>", "<|im_end|>")
NAKED = "{% for m in messages %}{{ m.content }}{% if m.role == 'assistant' %}<|im_end|>{% endif %}{% endfor %}"
SIGNED = NAKED.replace("{{ m.content }}", "{{ m.content }}{% if m.role == 'user' %}\nAnswer:{% endif %}")
TEXTS = ["good", "bad film", "12", "good!", "the\n", "x \n"]
WORDS = ["yes", "no", "mixed"]


def encoded(builder: PromptBuilder, texts: list[str]) -> list[Any]:
    return [builder.encode([], Example({"text": text}), None) for text in texts]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is tokenised with a label behind it, from now on."""
    seen: list[str] = []
    true_ids = Tokens.ids

    def seeing(self: Tokens, parts: Any) -> tuple[int, ...]:
        text = "".join(part.text for part in parts)
        if text.endswith(tuple(WORDS)):
            seen.append(text)
        return true_ids(self, parts)

    monkeypatch.setattr(Tokens, "ids", seeing)
    return seen


def test_rows_with_a_frame_behind_them_end_alike(bare: Any, asked: list[str]) -> None:
    builder = PromptBuilder(bare, PromptStyle(("text",), format="plain"))
    labels = builder.label_ids(WORDS)
    prompts = encoded(builder, TEXTS)
    asked.clear()
    builder.check_labels(prompts, labels)
    assert len(asked) == len(WORDS)


def test_a_frame_that_is_tokenised_with_the_row_is_looked_at_again(build_tokenizer: Any, asked: list[str]) -> None:
    builder = PromptBuilder(build_tokenizer(NAKED, IM), PromptStyle(("text",)))
    labels = builder.label_ids(WORDS)
    prompts = encoded(builder, [*TEXTS[:3], *TEXTS[:3]])
    asked.clear()
    builder.check_labels(prompts, labels)
    assert len(asked) == 3 * len(WORDS)


def test_a_row_that_changes_a_label_is_found_behind_rows_that_do_not(build_tokenizer: Any) -> None:
    builder = PromptBuilder(build_tokenizer(NAKED, IM, split=False), PromptStyle(("text",)))
    labels = builder.label_ids(["sitive", "gative"])
    builder.check_labels(encoded(builder, ["quick ", "quick"]), labels)
    with pytest.raises(UserError, match="ids of the label 'sitive' depend on the text before it"):
        builder.check_labels(encoded(builder, ["quick ", "quick", "po"]), labels)


def test_a_label_that_merges_with_the_frame_is_found(build_tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    builder = PromptBuilder(build_tokenizer(SIGNED, IM), PromptStyle(("text",)))
    labels = builder.label_ids(WORDS)
    prompts = encoded(builder, TEXTS)
    builder.check_labels(prompts, labels)
    with pytest.raises(UserError, match="ids of the label 'no' depend"):
        builder.check_labels(prompts, [labels[0], labels[1].__class__("no", (1, 2), labels[1].stop_ids)])
