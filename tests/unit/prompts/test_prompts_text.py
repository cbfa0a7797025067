"""Rows as their texts alone, for models with a head."""

from typing import Any

import pytest

from sft.exceptions import UserError
from sft.prompts import Example, PromptBuilder, PromptStyle
from sft.prompts.control import ControlTokens
from sft.prompts.style import Message
from sft.prompts.text import TextFormat
from sft.prompts.tokens import Tokens
from tests.unit.prompts.conftest import build

STYLE = PromptStyle(("text",), format="text")


def with_ends(tokenizer: Any) -> Any:
    """The tokenizer with its BOS before every text and its EOS after, as encoders have [CLS] and [SEP]."""
    from tokenizers import processors

    ids = {name: tokenizer.convert_tokens_to_ids(name) for name in ("<bos>", "<eos>")}
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<bos> $A <eos>", special_tokens=list(ids.items())
    )
    return tokenizer


def test_a_text_stands_between_the_tokens_that_the_tokenizer_puts_around_it() -> None:
    tokenizer = with_ends(build())
    encoded = PromptBuilder(tokenizer, STYLE).encode([], Example({"text": "the food was great"}, "yes"), None)
    assert list(encoded.prompt_ids) == tokenizer("the food was great")["input_ids"]
    assert encoded.prompt_ids[0] == tokenizer.bos_token_id
    assert encoded.prompt_ids[-1] == tokenizer.eos_token_id
    assert (encoded.text, encoded.completion_ids) == ("the food was great", ())


def test_what_looks_like_a_control_token_is_text() -> None:
    tokenizer = with_ends(build())
    encoded = PromptBuilder(tokenizer, STYLE).encode([], Example({"text": "a <eos> b"}, None), None)
    assert list(encoded.prompt_ids).count(tokenizer.eos_token_id) == 1
    assert encoded.n_special == 1


def test_a_long_text_is_cut_at_its_end_and_keeps_what_is_around_it() -> None:
    tokenizer = with_ends(build())
    text = "the service was good and the food was great"
    encoded = PromptBuilder(tokenizer, STYLE).encode([], Example({"text": text}, None), 6)
    assert len(encoded.prompt_ids) == 6
    assert encoded.prompt_ids[-1] == tokenizer.eos_token_id
    assert tokenizer(text)["input_ids"][:5] == list(encoded.prompt_ids[:5])
    assert encoded.cut.any


def test_an_empty_text_is_what_stands_around_it_and_must_be_something() -> None:
    encoded = PromptBuilder(with_ends(build()), STYLE).encode([], Example({"text": ""}, None), None)
    assert len(encoded.prompt_ids) == 2
    with pytest.raises(UserError, match="makes no tokens of the text '', and puts none around it"):
        PromptBuilder(build(), STYLE).encode([], Example({"text": ""}, None), None)


def test_a_conversation_is_no_text() -> None:
    tokenizer = build()
    control = ControlTokens(tokenizer, [])
    made = TextFormat(control, Tokens(tokenizer, control))
    with pytest.raises(UserError, match="a model with a head reads columns of text"):
        made.render_turns([Message("user", "hello")], None, with_earlier=False)
