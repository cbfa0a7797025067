"""The chat format, on the template of SmolLM2 and on small templates of one trait each."""

from datetime import datetime

import pytest

from sft.exceptions import UserError
from sft.prompts import Example, PromptBuilder, PromptStyle, resolve_format

TURNS = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
IM = ("<|im_start|>", "<|im_end|>")


def example(text, output=None):
    return Example({"text": text}, output)


def style(**changes):
    return PromptStyle(**{"input_columns": ("text",), "instruction": "Be short.", **changes})


def oracle(tokenizer, messages):
    return tuple(tokenizer.apply_chat_template(messages, tokenize=True, return_dict=False))


def messages(*texts, system="Be short."):
    turns = [{"role": ("user", "assistant")[place % 2], "content": text} for place, text in enumerate(texts)]
    return [{"role": "system", "content": system}, *turns] if system else turns


def test_ids_are_those_of_the_tokenizer(smollm2):
    builder = PromptBuilder(smollm2, style())
    rounds = [[example("good food", "positive")], [example("bad film", "negative")]]
    encoded = builder.encode(rounds, example("the worst", "negative"), None)
    whole = oracle(smollm2, messages("good food", "positive", "bad film", "negative", "the worst", "negative"))
    newline = smollm2("\n", add_special_tokens=False)["input_ids"]
    assert encoded.prompt_ids + encoded.completion_ids == whole[: -len(newline)]
    assert smollm2.decode(encoded.answer_ids) == "negative"
    assert encoded.stop_ids == (smollm2.convert_tokens_to_ids("<|im_end|>"),)
    assert encoded.text == smollm2.decode(encoded.prompt_ids + encoded.completion_ids)
    assert not encoded.cut.any
    assert encoded.n_special == 0


def test_prompt_is_the_same_with_and_without_an_answer(smollm2):
    builder = PromptBuilder(smollm2, style())
    with_answer = builder.encode([], example("good food", "yes"), None)
    without = builder.encode([], example("good food"), None)
    assert with_answer.prompt_ids == without.prompt_ids
    assert without.completion_ids == ()
    assert smollm2.decode(without.prompt_ids) == without.text
    assert without.text.endswith("<|im_start|>assistant\n")


def test_no_instruction_leaves_the_default_system_turn_of_the_template(smollm2):
    encoded = PromptBuilder(smollm2, style(instruction=None)).encode([], example("good"), None)
    prompt = smollm2.apply_chat_template(messages("good", system=None), tokenize=False, add_generation_prompt=True)
    assert encoded.text == prompt
    assert "named SmolLM" in encoded.text


def test_prompt_may_be_more_than_the_generation_prompt(build_tokenizer):
    template = (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n"
        "{% if loop.last and m.role == 'assistant' %}<think>\n\n</think>\n\n{% endif %}{{ m.content }}<|im_end|>\n"
        "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    builder = PromptBuilder(build_tokenizer(template, IM, ("<think>", "</think>")), style())
    encoded = builder.encode([[example("good", "yes")]], example("bad"), None)
    assert encoded.text.endswith("assistant\n<think>\n\n</think>\n\n")
    assert encoded.text.count("<think>") == 1


@pytest.mark.parametrize(
    "template",
    [
        "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}" + TURNS,
        TURNS.replace("{% for m in messages %}", "{% for m in messages if m.role != 'system' %}"),
    ],
    ids=["refused", "dropped in silence"],
)
def test_instruction_moves_into_the_first_question(build_tokenizer, template):
    builder = PromptBuilder(build_tokenizer(template, IM), style())
    encoded = builder.encode([[example("good", "yes")]], example("bad"), None)
    assert encoded.text.startswith("<|im_start|>user\nBe short.\n\ngood<|im_end|>")
    assert encoded.text.count("Be short.") == 1


def test_template_with_content_parts(build_tokenizer):
    template = TURNS.replace("{{ m.content }}", "{% for part in m.content %}{{ part['text'] }}{% endfor %}")
    encoded = PromptBuilder(build_tokenizer(template, IM), style()).encode([], example("good", "yes"), None)
    turns = ("system\nBe short.", "user\ngood", "assistant\nyes")
    assert encoded.text == "\n".join(f"<|im_start|>{turn}<|im_end|>" for turn in turns)


def test_template_that_loses_the_question_is_refused(build_tokenizer):
    template = TURNS.replace("{{ m.content }}", "{% if m.role != 'user' %}{{ m.content }}{% endif %}")
    with pytest.raises(UserError, match=r"set prompting.format to plain") as caught:
        PromptBuilder(build_tokenizer(template, IM), style())
    assert caught.value.kind == "tokenizer"


def test_template_that_writes_half_a_character_is_refused(build_tokenizer):
    template = TURNS.replace("{{ m.content }}", "{{ m.content ~ '\\ud83d' }}")
    with pytest.raises(UserError, match=r"it writes \\ud83d, half of a character .*set prompting.format to plain"):
        PromptBuilder(build_tokenizer(template, IM), style())


def test_no_template_is_refused(bare):
    with pytest.raises(UserError, match=r"no chat template; set prompting.format to plain") as caught:
        PromptBuilder(bare, style())
    assert caught.value.kind == "tokenizer"


@pytest.mark.parametrize("trims", [True, False])
@pytest.mark.parametrize("answer", ["yes", " yes", "yes \n", "\n yes", "", " "])
def test_blanks_around_texts_are_what_the_template_makes_of_them(build_tokenizer, trims, answer):
    template = TURNS.replace("m.content }}", "m.content | trim }}") if trims else TURNS
    tokenizer = build_tokenizer(template, IM)
    builder = PromptBuilder(tokenizer, style())
    texts = [" good\n", " yes", "\tbad  "]
    encoded = builder.encode([[example(*texts[:2])]], example(texts[2], answer), None)
    assert encoded.text + "\n" == tokenizer.apply_chat_template(messages(*texts, answer), tokenize=False)
    assert encoded.prompt_ids == builder.encode([[example(*texts[:2])]], example(texts[2]), None).prompt_ids


def test_answer_that_merges_with_the_frame_is_refused(build_tokenizer):
    tokenizer = build_tokenizer(TURNS.replace("\n{{ m.content", "A{{ m.content"), IM, split=False)
    tokenizer.backend_tokenizer.model = _with_merge(tokenizer, "A", "n")
    builder = PromptBuilder(tokenizer, style())
    assert builder.encode([], example("x", "yes"), None).answer_ids
    with pytest.raises(UserError, match="merges the answer 'nope' with the text around it") as caught:
        builder.encode([], example("x", "nope"), None)
    assert caught.value.kind == "tokenizer"


def _with_merge(tokenizer, left, right):
    import json

    from tokenizers.models import BPE

    model = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    vocabulary = {**model["vocab"], left + right: 5000}
    return BPE(vocab=vocabulary, merges=[(left, right), *map(tuple, model["merges"])])


def test_blank_that_joins_the_answer_belongs_to_it(build_tokenizer):
    template = "{% for m in messages %}{{ m.role }}: {{ m.content }}<|im_end|>{% endfor %}"
    tokenizer = build_tokenizer(template, IM)
    encoded = PromptBuilder(tokenizer, style()).encode([], example("good", "yes"), None)
    assert tokenizer.decode(encoded.prompt_ids).endswith("assistant:")
    assert tokenizer.decode(encoded.answer_ids) == " yes"
    assert encoded.prompt_ids + encoded.completion_ids == oracle(tokenizer, messages("good", "yes"))


def test_template_without_a_stop_gets_eos(build_tokenizer):
    template = "{% for m in messages %}\n{{ m.role }}\n{{ m.content }}{% endfor %}"
    tokenizer = build_tokenizer(template)
    builder = PromptBuilder(tokenizer, style())
    encoded = builder.encode([], example("good", "yes"), None)
    assert encoded.stop_ids == builder.stop_ids == (tokenizer.eos_token_id,)
    assert encoded.text.endswith("assistant\nyes<eos>")
    assert tokenizer.decode(encoded.answer_ids) == "yes"


def test_stop_reaches_to_the_first_control_token(build_tokenizer):
    template = TURNS.replace("<|im_end|>\n", " .<|im_end|>\n<eos>")
    tokenizer = build_tokenizer(template, IM)
    builder = PromptBuilder(tokenizer, style())
    assert builder.stop_text == " .<|im_end|>"
    encoded = builder.encode([], example("good", "yes"), None)
    assert tokenizer.decode(encoded.answer_ids) == "yes"
    assert tokenizer.decode(encoded.stop_ids) == " .<|im_end|>"


def test_clock_stands_still(build_tokenizer):
    template = "{{ strftime_now('%d %b %Y') }}" + TURNS
    encoded = PromptBuilder(build_tokenizer(template, IM), style()).encode([], example("good"), None)
    assert encoded.text.startswith("26 Jul 2024<|im_start|>")
    assert datetime.now().strftime("%d %b %Y") not in encoded.text


@pytest.mark.parametrize(
    "directives",
    [
        "%d %b %Y",
        "%A, %-d. %B %Y, %e %H:%M:%S %p %j",
        "100%% %%d %%%d%%",
        "%F %T %D %c|%x|%X|%Z%z|%U %u %y %f",
        "",
        "%n",
    ],
)
def test_every_directive_of_a_clock_is_told(build_tokenizer, directives):
    template = "{% set form = '" + directives + "' %}\n {{ strftime_now(form) }}|" + TURNS
    encoded = PromptBuilder(build_tokenizer(template, IM), style()).encode([], example("good"), None)
    assert encoded.text.startswith(" " + datetime(2024, 7, 26).strftime(directives) + "|<|im_start|>")


def test_a_directive_that_no_clock_knows_is_refused_in_one_line(build_tokenizer):
    template = "{{ strftime_now('%Y %!') }}" + TURNS
    with pytest.raises(UserError, match="strftime_now knows no directive %!") as caught:
        PromptBuilder(build_tokenizer(template, IM), style())
    assert "\n" not in str(caught.value)


def test_template_arguments_are_passed_on(build_tokenizer):
    template = "{% if enable_thinking is defined and not enable_thinking %}/off {% endif %}" + TURNS
    tokenizer = build_tokenizer(template, IM)
    on, off = style(), style(chat_template_args={"enable_thinking": False})
    assert PromptBuilder(tokenizer, off).encode([], example("x"), None).text.startswith("/off ")
    assert PromptBuilder(tokenizer, on).encode([], example("x"), None).text.startswith("<|im_start|>")


def test_written_template_replaces_the_tokenizers_own(smollm2):
    encoded = PromptBuilder(smollm2, style(chat_template="!" + TURNS)).encode([], example("x"), None)
    assert encoded.text.startswith("!<|im_start|>")


@pytest.mark.parametrize(
    ("written", "has_template", "format"),
    [("auto", True, "chat"), ("auto", False, "plain"), ("plain", True, "plain"), ("chat", False, "chat")],
)
def test_format(written, has_template, format):
    assert resolve_format(written, has_template) == format


def test_several_columns(smollm2):
    row = Example({"subject": "food", "body": "good"})
    lines = PromptBuilder(smollm2, style(input_columns=("subject", "body"))).encode([], row, None)
    assert "user\nsubject: food\nbody: good<|im_end|>" in lines.text
    template = '{body} {{"a": 1}} about {subject}; {body}'
    filled = PromptBuilder(smollm2, style(input_columns=("subject", "body"), input_template=template))
    assert 'user\ngood {"a": 1} about food; good<|im_end|>' in filled.encode([], row, None).text


@pytest.mark.parametrize(("template", "line"), [("{txt}", "names {txt}"), ("none", "shows no column")])
def test_input_template_with_unknown_fields(smollm2, template, line):
    with pytest.raises(UserError, match=line):
        PromptBuilder(smollm2, style(input_template=template))


def test_labels(smollm2):
    builder = PromptBuilder(smollm2, style())
    labels = builder.label_ids(["1", "12", "positive"])
    for label in labels:
        encoded = builder.encode([[example("good", "1")]], example("bad", label.word), None)
        assert (encoded.answer_ids, encoded.stop_ids) == (label.answer_ids, label.stop_ids)
        assert label.stop_ids == builder.stop_ids
    assert len({label.answer_ids + label.stop_ids for label in labels}) == 3
    builder.check_labels([builder.encode([], example("bad"), None)], labels)


def test_labels_equal_after_tokenisation(build_tokenizer):
    tokenizer = build_tokenizer(TURNS.replace("m.content }}", "m.content | trim }}"), IM)
    with pytest.raises(UserError, match="'yes' and 'yes ' are the same tokens") as caught:
        PromptBuilder(tokenizer, style()).label_ids(["yes", "no", "yes "])
    assert caught.value.kind == "tokenizer"


def test_label_without_tokens(smollm2):
    with pytest.raises(UserError, match="'' has no tokens"):
        PromptBuilder(smollm2, style()).label_ids([""])


def test_labels_whose_ids_depend_on_the_row(build_tokenizer):
    template = "{% for m in messages %}{{ m.content }}{% if m.role == 'assistant' %}<|im_end|>{% endif %}{% endfor %}"
    tokenizer = build_tokenizer(template, IM, split=False)
    builder = PromptBuilder(tokenizer, style(instruction=None))
    labels = builder.label_ids(["sitive", "gative"])
    builder.check_labels([builder.encode([], example("quick "), None)], labels)
    with pytest.raises(UserError, match="ids of the label 'sitive' depend on the text before it"):
        builder.check_labels([builder.encode([], example("po"), None)], labels)
