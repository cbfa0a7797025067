import pytest
import torch
from transformers import PreTrainedTokenizerFast

from sft.inference.stopping import StopRule, StopTextReached


def ids_of(tokenizer: PreTrainedTokenizerFast, *pieces: str) -> list[int]:
    return [token for piece in pieces for token in tokenizer.encode(piece, add_special_tokens=False)]


def spelled(tokenizer: PreTrainedTokenizerFast, text: str) -> list[int]:
    """One token per character, though the tokenizer would merge some."""
    return ids_of(tokenizer, *text)


@pytest.mark.parametrize("stop", ["\n\n", "###"])
def test_an_ordinary_stop_is_text(tokenizer: PreTrainedTokenizerFast, stop: str):
    rule = StopRule.of(tokenizer, spelled(tokenizer, stop), stop, (), [9])
    assert rule == StopRule((9,), stop)


def test_an_ordinary_stop_of_one_id_is_both(tokenizer: PreTrainedTokenizerFast):
    [blank] = ids_of(tokenizer, "\n\n")
    assert StopRule.of(tokenizer, [blank], "\n\n", (), [9]) == StopRule(tuple(sorted((9, blank))), "\n\n")


@pytest.mark.parametrize("rest", ["", "\n"])
@pytest.mark.parametrize("before", ["", "\n", " ."])
def test_a_control_token_stops_whatever_stands_around_it_in_the_stop(
    tokenizer: PreTrainedTokenizerFast, before: str, rest: str
):
    end, *_ = ids_of(tokenizer, "<|end|>")
    ids = ids_of(tokenizer, before, "<|end|>", rest)
    rule = StopRule.of(tokenizer, ids, f"{before}<|end|>{rest}", {end}, [])
    assert rule == StopRule((end,), None, before)
    assert rule.cut(tokenizer, ids_of(tokenizer, "so .", before, "<|end|>", "more")) == "so ."


def test_tokens_that_were_added_for_ordinary_text_are_text(tokenizer: PreTrainedTokenizerFast):
    tokenizer.add_tokens(["\n\n\n"])
    lines = ids_of(tokenizer, "\n\n\n")
    assert lines[0] in tokenizer.added_tokens_decoder
    [blank] = ids_of(tokenizer, "\n\n")
    assert StopRule.of(tokenizer, [*lines, blank], "\n\n\n\n\n", {0}, [9]) == StopRule((9,), "\n\n\n\n\n")
    rule = StopRule.of(tokenizer, lines, "\n\n\n", {0}, [9])
    assert rule == StopRule(tuple(sorted((9, *lines))), "\n\n\n")
    assert rule.cut(tokenizer, ids_of(tokenizer, "yes.", "\n\n", "\n", "Text: next")) == "yes."


def test_no_stop_leaves_the_models_own_ends(tokenizer: PreTrainedTokenizerFast):
    assert StopRule.of(tokenizer, [], "", {9}, [9, 3, 9]) == StopRule((3, 9), None)


def test_the_text_ends_at_the_first_stop(tokenizer: PreTrainedTokenizerFast):
    rule = StopRule((), "\n\n")
    assert rule.cut(tokenizer, ids_of(tokenizer, " one\ntwo.\n\n three\n\n")) == "one\ntwo."


def test_the_text_ends_at_the_first_end(tokenizer: PreTrainedTokenizerFast):
    rule = StopRule((tokenizer.eos_token_id,), None)
    assert rule.cut(tokenizer, ids_of(tokenizer, " one", "<eos>", " two", "<|end|>")) == "one"


def test_special_tokens_are_skipped(tokenizer: PreTrainedTokenizerFast):
    assert StopRule((), None).cut(tokenizer, ids_of(tokenizer, "<|end|>", "one", "<pad>")) == "one"


def test_rows_end_one_by_one_and_the_prompt_does_not_count(tokenizer: PreTrainedTokenizerFast):
    prompt = spelled(tokenizer, "a\n\nb\n")
    answers = [spelled(tokenizer, "\nx"), spelled(tokenizer, "\n\n"), spelled(tokenizer, "xy")]
    reached = StopTextReached(tokenizer, "\n\n", len(prompt))
    rows = torch.tensor([prompt + answer for answer in answers])
    assert reached(rows, None).tolist() == [False, True, False]


@pytest.mark.parametrize("text", ["\n\n", "é·é"])
def test_any_spelling_reaches_the_stop(tokenizer: PreTrainedTokenizerFast, text: str):
    reached = StopTextReached(tokenizer, text, 1)
    rows = torch.tensor([[0, *ids_of(tokenizer, "many other words before it "), *spelled(tokenizer, text)]])
    assert reached(rows, None).tolist() == [True]


@pytest.mark.parametrize(("text", "expected"), [("\n\n", True), ("###", False), (None, False)])
def test_a_stop_is_found_in_what_is_written(tokenizer: PreTrainedTokenizerFast, text: str | None, expected: bool):
    assert StopRule((), text).is_in(tokenizer, ids_of(tokenizer, "yes.\n\nno")) is expected
