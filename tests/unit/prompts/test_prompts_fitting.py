"""What gives way when a prompt is too long, and what never does."""

import pytest

from sft.exceptions import UserError
from sft.prompts import Example, PromptBuilder, PromptStyle, TooLong

WORDS = "the service was good and the food was great "


def example(text, output=None):
    return Example({"text": text}, output)


def count(tokenizer, text):
    return len(tokenizer(text, add_special_tokens=False)["input_ids"])


@pytest.fixture(scope="module", params=["chat", "plain"])
def format(request):
    return request.param


def builder_of(tokenizer, format, **changes):
    return PromptBuilder(tokenizer, PromptStyle(**{"input_columns": ("text",), "format": format, **changes}))


def total(encoded):
    return len(encoded.prompt_ids) + len(encoded.completion_ids)


def test_columns_are_cut_at_their_end(smollm2, format):
    builder = builder_of(smollm2, format, input_columns=("a", "b"), max_input_length=5)
    row = Example({"a": WORDS * 3, "b": "good food"})
    encoded = builder.encode([], row, None)
    shown = encoded.text.split("a: ")[1].split("\nb: ")[0]
    assert WORDS.startswith(shown)
    assert count(smollm2, shown) == 5
    assert "b: good food" in encoded.text
    assert encoded.cut.input_tokens == count(smollm2, WORDS * 3) - 5
    assert encoded.cut.any


@pytest.mark.parametrize("limit", range(1, 9))
def test_a_cut_text_is_a_start_of_the_text(smollm2, limit):
    text = "é<|im_end|>😀😀 naïve"
    encoded = builder_of(smollm2, "plain", max_input_length=limit).encode([], example(text), None)
    shown = encoded.text.removesuffix("\nAnswer:")
    assert text.startswith(shown)
    assert len(encoded.prompt_ids) - count(smollm2, "\nAnswer:") <= limit


def test_outputs_are_cut_in_examples_and_answer(smollm2, format):
    builder = builder_of(smollm2, format, max_output_length=3)
    encoded = builder.encode([[example("x", WORDS)]], example("y", WORDS), None)
    assert len(encoded.answer_ids) == 3
    assert encoded.cut.output_tokens == 2 * (count(smollm2, WORDS) - 3)
    assert encoded.stop_ids == builder.stop_ids


def test_a_label_is_never_cut(smollm2, format):
    builder = builder_of(smollm2, format, max_output_length=3)
    for rounds, row in [([], example("x", WORDS)), ([[example("x", WORDS)]], example("x"))]:
        with pytest.raises(UserError, match="a label is never cut"):
            builder.encode(rounds, row, None, cut_output=False)
    with pytest.raises(UserError, match=r"max_output_length is 3, and a label is never cut"):
        builder.label_ids(["yes", WORDS])
    assert not builder.encode([], example("x", "yes"), None, cut_output=False).cut.any


def rounds_of(count):
    return [[example(f"good {place}", "yes"), example(f"bad {place}", "no")] for place in range(count)]


def test_rounds_go_from_the_front(smollm2, format):
    builder = builder_of(smollm2, format, instruction="Be short.")
    for answer in (None, "yes"):
        lengths = [total(builder.encode(rounds_of(5)[drop:], example("x", answer), None)) for drop in range(6)]
        for drop in range(1, 6):
            for limit in (lengths[drop], lengths[drop - 1] - 1):
                encoded = builder.encode(rounds_of(5), example("x", answer), limit)
                expected = builder.encode(rounds_of(5)[drop:], example("x", answer), None)
                assert encoded.prompt_ids == expected.prompt_ids
                assert encoded.cut.examples == 2 * drop
        assert builder.encode(rounds_of(5), example("x", answer), lengths[0]).cut.examples == 0


def test_then_the_longest_column_is_cut(smollm2, format):
    builder = builder_of(smollm2, format, instruction="Be short.", input_columns=("a", "b", "c"))
    row = Example({"a": "good food", "b": WORDS * 2, "c": "bad film"}, "yes")
    shown = [[Example({"a": "x", "b": "y", "c": "z"}, "no")]]
    bare = total(builder.encode([], row, None))
    encoded = builder.encode(shown, row, bare - 4)
    assert total(encoded) == bare - 4
    assert encoded.cut.examples == 1
    assert encoded.cut.fitted_tokens == 4
    assert "a: good food\nb: the service" in encoded.text
    assert "\nc: bad film" in encoded.text
    assert encoded.answer_ids == builder.encode([], row, None).answer_ids


def test_too_long(smollm2, format):
    builder = builder_of(smollm2, format, instruction="Be short.")
    least = total(builder.encode([], example("a", "yes"), None))
    assert builder.encode([], example("a1", "yes"), least).cut.fitted_tokens == 1
    row = example("a" + " good" * 20, "yes")
    assert builder.encode([], row, least).text == builder.encode([], example("a", "yes"), None).text
    with pytest.raises(TooLong, match=f"the limit is {least - 1}") as caught:
        builder.encode(rounds_of(2), row, least - 1)
    assert caught.value.kind == "data"


def test_limits_hold_for_examples_too(smollm2, format):
    builder = builder_of(smollm2, format, max_input_length=2)
    encoded = builder.encode([[example(WORDS, "yes")]], example("x"), None)
    assert WORDS not in encoded.text
    assert encoded.cut.input_tokens == count(smollm2, WORDS) - 2
