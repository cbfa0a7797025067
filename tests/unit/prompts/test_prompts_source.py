"""Texts that an encoder reads."""

from typing import Any

import pytest

from sft.exceptions import UserError
from sft.models.answering.languages import surroundings_of
from sft.prompts import Example, Message, PromptBuilder, PromptStyle
from tests.support.encoder_decoders import tiny_tokenizer


@pytest.fixture
def tokenizer() -> Any:
    return tiny_tokenizer("t5")


def builder(tokenizer: Any, **changes: Any) -> PromptBuilder:
    around = surroundings_of(tokenizer, None, None)
    return PromptBuilder(tokenizer, PromptStyle(("text",), format="source", surroundings=around, **changes))


def test_a_row_is_read_without_a_header_and_written_by_itself(tokenizer: Any) -> None:
    made = builder(tokenizer, instruction="Choose one of this")
    shown = Example({"text": "good price"}, "yes")
    encoded = made.encode([[shown]], Example({"text": "bad screen"}, "no"), None)
    assert encoded.text == "Choose one of this\n\ngood price\nAnswer: yes\n\nbad screen"
    read = tokenizer("Choose one of this\n\ngood price\nAnswer: yes\n\nbad screen")["input_ids"]
    assert list(encoded.prompt_ids) == read
    assert list(encoded.completion_ids) == tokenizer(text_target="no")["input_ids"]


def test_the_answer_takes_no_room_of_what_is_read(tokenizer: Any) -> None:
    encoded = builder(tokenizer).encode([], Example({"text": "good price bad screen"}, "yes no yes no"), 4)
    assert len(encoded.prompt_ids) == 4
    assert encoded.cut.fitted_tokens == 1
    assert len(encoded.completion_ids) == 5


def test_a_control_token_in_data_stays_text(tokenizer: Any) -> None:
    encoded = builder(tokenizer).encode([], Example({"text": "good </s> price"}, "</s>"), None)
    assert encoded.n_special == 2
    assert encoded.prompt_ids.count(tokenizer.eos_token_id) == 1
    assert encoded.completion_ids.count(tokenizer.eos_token_id) == 1


def test_labels_have_the_ids_of_a_written_text(tokenizer: Any) -> None:
    made = builder(tokenizer)
    first, second = made.label_ids(["technical support", "other"])
    assert [*first.answer_ids, *first.stop_ids] == tokenizer(text_target="technical support")["input_ids"]
    assert second.stop_ids == (tokenizer.eos_token_id,)
    made.check_labels([made.encode([], Example({"text": "good"}), None)], [first, second])


def test_a_conversation_is_refused(tokenizer: Any) -> None:
    row = Example({}, "yes", (Message("user", "good"),))
    with pytest.raises(UserError, match="this row is a conversation"):
        builder(tokenizer).encode([], row, None)
