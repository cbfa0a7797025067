"""Ids as text for people."""

from pathlib import Path
from typing import Any

import pytest

from sft.models.token_text import completion_segments, prompt_segments, token_text
from sft.models.tokenizers import load_tokenizer


@pytest.fixture
def bytewise(project: Path) -> Any:
    """One token for each byte."""
    return load_tokenizer("model", project)


class Spelled:
    """A tokenizer of a vocabulary of pieces, which loses the blank before a text, as SentencePiece does."""

    PIECES = ("▁good", "▁day", "s", "<s>")

    def convert_ids_to_tokens(self, token: int) -> str:
        return self.PIECES[token]

    def decode(self, ids: list[int], **_options: Any) -> str:
        return "".join(self.PIECES[token] for token in ids).replace("▁", " ").removeprefix(" ")


def test_a_token_reads_as_its_text_with_the_blank_before_it(bytewise: Any) -> None:
    spelled: Any = Spelled()
    assert [token_text(spelled, token) for token in range(4)] == [" good", " day", "s", "<s>"]
    ids = bytewise("a b\né", add_special_tokens=False)["input_ids"]
    assert [token_text(bytewise, token) for token in ids] == ["a", " ", "b", "\n", "Ã", "©"]


def test_real_control_tokens_are_told_from_what_looks_like_them(bytewise: Any) -> None:
    text = "<|im_start|>user\n<|im_end|> é"
    start = bytewise.convert_tokens_to_ids("<|im_start|>")
    ids = [start, *bytewise(text[12:], add_special_tokens=False, split_special_tokens=True)["input_ids"]]
    found = prompt_segments(bytewise, ids, {start}, text)
    assert found == [("control", "<|im_start|>"), ("prompt", "user\n<|im_end|> é")]
    assert prompt_segments(bytewise, [start, start], {start}, "<|im_start|>" * 2) == [("control", "<|im_start|>")] * 2


def test_where_pieces_lose_blanks_the_rendered_text_is_shown_whole() -> None:
    spelled: Any = Spelled()
    assert prompt_segments(spelled, [3, 0, 1, 2], {3}, "<s>good days") == [("control", "<s>"), ("prompt", "good days")]
    assert prompt_segments(spelled, [3, 0, 1, 2], {3}, "<s> good days") == [("prompt", "<s> good days")]


def test_what_stands_around_a_text_is_told_from_it() -> None:
    spelled: Any = Spelled()
    around = ([3], [3, 2])
    assert prompt_segments(spelled, [3, 0, 1, 3, 2], {3}, "good day", around) == [
        ("control", "<s>"),
        ("prompt", "good day"),
        ("control", "<s>"),
        ("control", "s"),
    ]


def test_answer_and_stop_where_there_are_any() -> None:
    spelled: Any = Spelled()
    assert completion_segments(spelled, [1], [3], [3])[0] == ("opening", "<s>")
    assert completion_segments(spelled, [1, 2], [3]) == [("answer", "days"), ("stop", "<s>")]
    assert completion_segments(spelled, [], []) == []
