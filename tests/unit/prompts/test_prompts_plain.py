"""The plain format."""

import pytest

from sft.exceptions import UserError
from sft.prompts import Example, PromptBuilder, PromptStyle

STYLE = PromptStyle(("text",), instruction="Be short.", format="plain")


def example(text, output=None):
    return Example({"text": text}, output)


def ids(tokenizer, text):
    return tuple(tokenizer(text, add_special_tokens=False)["input_ids"])


def test_blocks(bare):
    builder = PromptBuilder(bare, STYLE)
    encoded = builder.encode([[example("good", "yes"), example("bad", "no")]], example("the worst", "no"), None)
    assert encoded.text == ("Be short.\n\ngood\nAnswer: yes\n\nbad\nAnswer: no\n\nthe worst\nAnswer: no\n\n")
    stop = ids(bare, "yes\n\nText")[len(ids(bare, "yes")) : -len(ids(bare, "Text"))]
    assert bare.decode(stop) == "\n\n"
    assert encoded.stop_ids == builder.stop_ids == stop
    assert encoded.answer_ids == ids(bare, " no")
    blocks = ["Be short.", "good\nAnswer: yes", "bad\nAnswer: no"]
    expected = tuple(index for block in blocks for index in ids(bare, block) + stop) + ids(bare, "the worst\nAnswer:")
    assert encoded.prompt_ids == expected
    assert builder.encode([[example("good", "yes"), example("bad", "no")]], example("the worst"), None).prompt_ids == (
        encoded.prompt_ids
    )
    assert builder.stop_text == "\n\n"


def test_stop_is_what_stands_between_two_rows_not_at_an_end(build_tokenizer):
    """As in the demo model, where two newlines are one token only at the end of a text."""
    from tokenizers import Regex, pre_tokenizers

    tokenizer = build_tokenizer()
    pattern = Regex(r" ?\w+| ?[^\s\w]+|\s+(?!\S)|\s+")
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(pattern, "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.backend_tokenizer.model = _with_double_newline(tokenizer)
    assert len(ids(tokenizer, "yes\n\n")) - len(ids(tokenizer, "yes")) == 1
    newline = ids(tokenizer, "\n")
    builder = PromptBuilder(tokenizer, STYLE)
    assert builder.stop_ids == newline + newline
    encoded = builder.encode([[example("good", "yes")]], example("bad", "no"), None)
    blocks = ["Be short.", "good\nAnswer: yes", "bad\nAnswer: no"]
    expected = tuple(index for block in blocks for index in (*ids(tokenizer, block), *newline, *newline))
    assert encoded.prompt_ids + encoded.completion_ids == expected


def _with_double_newline(tokenizer):
    import json

    from tokenizers.models import BPE

    model = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    return BPE(vocab={**model["vocab"], "ĊĊ": 5000}, merges=[("Ċ", "Ċ"), *map(tuple, model["merges"])])


def test_own_bos_comes_once(build_tokenizer):
    tokenizer = build_tokenizer(bos=True)
    encoded = PromptBuilder(tokenizer, STYLE).encode([[example("good", "yes")]], example("bad", "no"), None)
    assert encoded.prompt_ids[0] == tokenizer.bos_token_id
    assert (encoded.prompt_ids + encoded.completion_ids).count(tokenizer.bos_token_id) == 1
    assert encoded.text.startswith("<bos>Be short.")


def test_no_bos_where_the_tokenizer_adds_none(bare):
    encoded = PromptBuilder(bare, STYLE).encode([], example("bad"), None)
    assert bare.bos_token_id not in encoded.prompt_ids


@pytest.mark.parametrize("output", ["a\n\nb", "a\r\n\r\nb", "\n\na"])
@pytest.mark.parametrize("place", ["answer", "example"])
def test_outputs_with_a_blank_line_are_refused(bare, output, place):
    builder = PromptBuilder(bare, STYLE)
    shown, answer = ([[example("x", output)]], "yes") if place == "example" else ([], output)
    with pytest.raises(UserError, match="holds a blank line") as caught:
        builder.encode(shown, example("x", answer), None)
    assert caught.value.kind == "data"
    assert repr(output) in str(caught.value)


def test_inputs_may_hold_a_blank_line(bare):
    encoded = PromptBuilder(bare, STYLE).encode([], example("a\n\nb", "one\nline"), None)
    assert encoded.text == "Be short.\n\na\n\nb\nAnswer: one\nline\n\n"


def test_no_instruction(bare):
    style = PromptStyle(("subject", "text"), format="plain")
    encoded = PromptBuilder(bare, style).encode([], Example({"subject": "food", "text": "good"}), None)
    assert encoded.text == "subject: food\ntext: good\nAnswer:"


def test_instruction_from_a_file_keeps_one_blank_line(bare):
    style = PromptStyle(("text",), instruction="Be short.\n", format="plain")
    assert PromptBuilder(bare, style).encode([], example("x"), None).text == "Be short.\n\nx\nAnswer:"


def test_control_tokens_in_data(build_tokenizer):
    tokenizer = build_tokenizer(bos=True)
    encoded = PromptBuilder(tokenizer, STYLE).encode([[example("a<eos>", "<bos>")]], example("<bos>", "<eos>b"), None)
    whole = encoded.prompt_ids + encoded.completion_ids
    assert encoded.n_special == 4
    assert whole.count(tokenizer.bos_token_id) == 1
    assert tokenizer.eos_token_id not in whole
    assert tokenizer.decode(whole) == encoded.text


def test_labels(bare):
    builder = PromptBuilder(bare, STYLE)
    labels = builder.label_ids(["1", "12"])
    prompt = builder.encode([], example("good"), None)
    builder.check_labels([prompt], labels)
    for label in labels:
        encoded = builder.encode([], example("good", label.word), None)
        assert encoded.prompt_ids == prompt.prompt_ids
        assert encoded.completion_ids == label.answer_ids + label.stop_ids


def test_tokenizer_without_ids_for_a_blank_line(build_tokenizer):
    from tokenizers import normalizers

    tokenizer = build_tokenizer()
    tokenizer.backend_tokenizer.normalizer = normalizers.Replace("\n", "")
    with pytest.raises(UserError, match=r"set prompting\.format to chat"):
        PromptBuilder(tokenizer, STYLE)
