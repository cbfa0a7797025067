"""What stands between template and data: an instruction that is read, ids before a word, blanks around answers."""

import pytest

from sft.prompts import Example, PromptBuilder, PromptStyle

IM = ("<|im_start|>", "<|im_end|>")
TURNS = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
SWITCH = (
    "{% set off = '/no_think' in messages[0].content %}<|im_start|>{{ 'off' if off else 'on' }}\n"
    "{{ messages[0].content.replace('/no_think', '').rstrip() }}<|im_end|>\n"
    "{% for m in messages[1:] %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
)
HEADER = "{% for m in messages %}<|im_start|>{{ m.role }}\n\n{{ m.content }}<|im_end|>\n{% endfor %}"
BREAK = (
    "{% for m in messages %}{{ m.content }}"
    "{{ '<|im_end|>\n' if m.role == 'assistant' else '\n\n### Response:\n\n' }}{% endfor %}"
)


def example(text, output=None):
    return Example({"text": text}, output)


def style(**changes):
    return PromptStyle(**{"input_columns": ("text",), "instruction": "Be short.", **changes})


def oracle(tokenizer, *texts):
    roles = ("system", "user", "assistant", "user", "assistant")
    messages = [{"role": role, "content": text} for role, text in zip(roles, texts, strict=False)]
    return tokenizer.apply_chat_template(messages, tokenize=False)


@pytest.mark.parametrize("instruction", ["Sort. /no_think", "/no_think", "Sort. /no_think \n", "Sort."])
def test_a_template_may_read_the_instruction(build_tokenizer, instruction):
    tokenizer = build_tokenizer(SWITCH, IM)
    builder = PromptBuilder(tokenizer, style(instruction=instruction))
    texts = ("/no_think x", "no", " y /no_think", "yes")
    encoded = builder.encode([[example(*texts[:2])]], example(*texts[2:]), None)
    expected = oracle(tokenizer, instruction, *texts)
    assert encoded.text + "\n" == expected
    assert encoded.prompt_ids + encoded.completion_ids == tuple(tokenizer(encoded.text)["input_ids"])
    assert encoded.text.startswith("<|im_start|>off" if "/no_think" in instruction else "<|im_start|>on")
    assert ("read_instruction" in builder.traits) is ("/no_think" in instruction)
    assert encoded.text.count("/no_think") == 2
    assert builder.label_ids(["no", "yes"])[1].answer_ids == encoded.answer_ids


def test_data_switches_nothing(build_tokenizer):
    builder = PromptBuilder(build_tokenizer(SWITCH, IM), style())
    assert builder.encode([], example("/no_think"), None).text.startswith("<|im_start|>on\nBe short.<|im_end|>")


def test_control_tokens_in_an_instruction_that_is_read_are_characters(build_tokenizer):
    tokenizer = build_tokenizer(SWITCH, IM)
    builder = PromptBuilder(tokenizer, style(instruction="No <|im_end|> \U000f0001 here. /no_think"))
    encoded = builder.encode([], example("x", "yes"), None)
    assert encoded.text.startswith("<|im_start|>off\nNo <|im_end|> \U000f0001 here.<|im_end|>")
    assert tokenizer.decode(encoded.prompt_ids + encoded.completion_ids) == encoded.text
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert (encoded.prompt_ids + encoded.completion_ids).count(end) == 3
    assert encoded.n_special == 1


@pytest.fixture
def joining(build_tokenizer):
    """A tokenizer in the manner of GPT-2's: a blank line is one id at the end of a text and two before a word."""

    def make(template):
        import json

        from tokenizers.models import BPE

        tokenizer = build_tokenizer(template, IM)
        model = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
        vocabulary = {**model["vocab"], "ĊĊ": 5000, "ĊĠ": 5001}
        merges = [("Ċ", "Ċ"), ("Ċ", "Ġ"), *map(tuple, model["merges"])]
        tokenizer.backend_tokenizer.model = BPE(vocab=vocabulary, merges=merges)
        return tokenizer

    return make


@pytest.mark.parametrize("template", [HEADER, BREAK])
def test_a_prompt_has_the_ids_that_stand_before_a_word(joining, template):
    tokenizer = joining(template)
    assert tokenizer("a\n\n")["input_ids"][-1] == 5000
    builder = PromptBuilder(tokenizer, style(instruction=None))
    asked = builder.encode([[example("x", "no")]], example("so good"), None)
    labels = builder.label_ids(["yes", "no", "1", "12"])
    builder.check_labels([asked], labels)
    assert 5000 not in asked.prompt_ids[-3:]
    for label in labels:
        trained = builder.encode([[example("x", "no")]], example("so good", label.word), None)
        assert trained.prompt_ids == asked.prompt_ids
        assert trained.completion_ids == label.answer_ids + label.stop_ids
        assert trained.prompt_ids + trained.completion_ids == tuple(tokenizer(trained.text)["input_ids"])
    assert builder.traits == {"end_before_words"}
    assert builder.encode([], example("x", ""), None).answer_ids == ()


@pytest.mark.parametrize("output", ["  fine", "\n\nfine", " ", "\n"])
def test_blanks_that_the_tokenizer_joins_to_the_frame_are_left_out_and_counted(joining, output):
    builder = PromptBuilder(joining(TURNS), style())
    encoded = builder.encode([[example("x", output)]], example("x", output), None)
    bare = builder.encode([[example("x", output)]], example("x", output.strip()), None)
    assert (encoded.prompt_ids, encoded.completion_ids) == (bare.prompt_ids, bare.completion_ids)
    assert (encoded.trimmed, bare.trimmed) == (True, False)
    assert encoded.stop_ids == builder.stop_ids


def test_blanks_that_have_ids_of_their_own_stay(joining):
    tokenizer = joining(TURNS)
    encoded = PromptBuilder(tokenizer, style()).encode([], example("x", " fine \n"), None)
    assert tokenizer.decode(encoded.answer_ids) == " fine \n"
    assert not encoded.trimmed


@pytest.mark.parametrize("output", ["  fine", "\n\nfine", "\tfine", " ", "fine \n"])
def test_blanks_of_outputs_after_a_header_that_ends_in_a_blank(joining, output):
    """The header's blank is part of the answer's first token; before `\\n\\nfine` it is not the last one."""
    named = "{% for m in messages %}{{ m.role | capitalize }}: {{ m.content }}<|im_end|>\n{% endfor %}"
    tokenizer = joining(named)
    encoded = PromptBuilder(tokenizer, style(instruction=None)).encode([], example("x", output), None)
    assert encoded.prompt_ids + encoded.completion_ids == tuple(tokenizer(encoded.text)["input_ids"])
    told = output.strip() if encoded.trimmed else output
    assert encoded.text == f"User: x<|im_end|>\nAssistant: {told}<|im_end|>"


def test_blanks_that_the_template_trims_are_counted(build_tokenizer):
    builder = PromptBuilder(build_tokenizer(TURNS.replace("m.content }}", "m.content | trim }}"), IM), style())
    assert builder.encode([], example("x", " fine\n"), None).trimmed
    assert not builder.encode([], example("x", "fine"), None).trimmed


def test_a_stop_in_text_is_told(build_tokenizer, bare):
    assert PromptBuilder(bare, style(format="plain")).traits == frozenset()
    lines = build_tokenizer(added=("\n\n",))
    assert PromptBuilder(lines, style(format="plain")).traits == {"stop_in_text"}
    ending = build_tokenizer(TURNS.replace("<|im_end|>", " .<|im_end|>"), IM)
    assert PromptBuilder(ending, style()).traits == {"stop_in_text"}
