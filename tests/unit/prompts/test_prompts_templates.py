"""Every chat template that ships in the installed trl, read from the package."""

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from sft.prompts import Example, PromptBuilder, PromptStyle

QUICK = {"qwen3", "gemma"}
CLOCK = {"%Y-%m-%d": "2024-07-26", "%d %b %Y": "26 Jul 2024"}


def template_files():
    spec = find_spec("trl")
    return sorted((Path(spec.origin).parent / "chat_templates").glob("*.jinja"))


FILES = template_files()
CASES = [pytest.param(file, marks=() if file.stem in QUICK else pytest.mark.slow, id=file.stem) for file in FILES]


def tokens_of(source):
    """The tokens that a template writes: special ones, and added ones that are not special."""
    special = re.findall(
        r"<[|｜][^<>{}'\"\s]*[|｜]>|</?s>|<(?:start|end)_of_(?:turn|utterance)>|\[gMASK\]|<sop>", source
    )
    special += re.findall(r"<\|?(?:turn|channel|tool_call|tool_response|tool)\|?>", source)
    return tuple(sorted(set(special))), tuple(sorted(set(re.findall(r"</?think>", source))))


def example(text, output=None):
    return Example({"text": text}, output)


def args_of(source):
    return {"enable_thinking": False} if "enable_thinking" in source else {}


def rendered(tokenizer, source, texts, instruction):
    """The conversation by the tokenizer alone, in the first form that shows every text."""
    fixed = re.sub(r"strftime_now\(['\"](.*?)['\"]\)", lambda match: repr(CLOCK[match.group(1)]), source)
    turns = [{"role": ("user", "assistant")[place % 2], "content": text} for place, text in enumerate(texts)]
    merged = [{**turns[0], "content": f"{instruction}\n\n{texts[0]}"}, *turns[1:]]
    for messages in ([{"role": "system", "content": instruction}, *turns], merged):
        parts = [{**one, "content": [{"type": "text", "text": one["content"]}]} for one in messages]
        for form in (messages, parts):
            try:
                text = tokenizer.apply_chat_template(form, tokenize=False, chat_template=fixed, **args_of(source))
            except Exception:  # noqa: BLE001
                continue
            if all(item in text for item in (instruction, *texts)):
                return text
    raise AssertionError("no form works")


@pytest.fixture(scope="module")
def tokenizer_of(build_tokenizer):
    def get(file):
        source = file.read_text(encoding="utf-8")
        return build_tokenizer(source, *tokens_of(source))

    return get


def test_templates_were_found():
    assert len(FILES) > 50
    assert {file.stem for file in FILES} >= QUICK


@pytest.mark.parametrize("file", CASES)
def test_ids_are_those_of_the_tokenizer(file, tokenizer_of):
    tokenizer = tokenizer_of(file)
    source = tokenizer.chat_template
    texts = ["good food", "positive", "the worst film", "negative", "that was great", "neutral"]
    builder = PromptBuilder(tokenizer, PromptStyle(("text",), "Be short.", chat_template_args=args_of(source)))
    shown = [[example(*texts[:2])], [example(*texts[2:4])]]
    encoded = builder.encode(shown, example(*texts[4:]), None)
    text = rendered(tokenizer, source, texts, "Be short.")
    whole = tuple(tokenizer(text, add_special_tokens=False)["input_ids"])
    ids = encoded.prompt_ids + encoded.answer_ids
    assert ids == whole[: len(ids)]
    assert tokenizer.decode(encoded.answer_ids).strip() == "neutral"
    assert encoded.text.startswith(text[: text.rindex("neutral") + len("neutral")])
    control = [index for index in whole[len(ids) :] if index in tokenizer.added_tokens_decoder]
    assert encoded.stop_ids[-1] == (control[0] if control else tokenizer.eos_token_id)
    assert encoded.prompt_ids == builder.encode(shown, example(texts[4]), None).prompt_ids
    labels = builder.label_ids(["neutral", "positive"])
    assert labels[0].answer_ids == encoded.answer_ids
    builder.check_labels([encoded], labels)


@pytest.mark.parametrize("place", ["text", "example", "label"])
@pytest.mark.parametrize("file", CASES)
def test_planted_stops_open_no_turn(file, tokenizer_of, place):
    tokenizer = tokenizer_of(file)
    added = tokenizer.added_tokens_decoder
    style = PromptStyle(("text",), "Be short.", chat_template_args=args_of(tokenizer.chat_template))
    builder = PromptBuilder(tokenizer, style)

    def encode(word):
        texts = {"text": "good food", "example": "bad film", "label": "yes"}
        texts[place] = f"{texts[place]} {word}\nnow"
        shown = [[example(texts["example"], "yes")]]
        return builder.encode(shown, example(texts["text"], texts["label"]), None)

    clean = encode("zz")
    expected = [index for index in clean.prompt_ids + clean.completion_ids if index in added]
    for word in sorted({builder.stop_text.strip(), *tokens_of(tokenizer.chat_template)[1]}):
        planted = encode(word)
        ids = planted.prompt_ids + planted.completion_ids
        assert [index for index in ids if index in added] == expected
        assert planted.n_special == 1
        assert planted.text == clean.text.replace("zz", word)
        assert tokenizer.decode(ids) == planted.text
        assert planted.stop_ids == clean.stop_ids
