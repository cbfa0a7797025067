"""Prompts tokenised in pieces have the ids of the whole, whatever kind of tokenizer and template."""

from collections.abc import Callable
from typing import Any

import pytest

from sft.exceptions import UserError
from sft.prompts import Example, PromptBuilder, PromptStyle, pieces
from sft.prompts.style import Part
from sft.prompts.tokens import Tokens

CHATML = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
OPEN = CHATML + "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
GEMMA = (
    "{{ bos_token }}{% if messages[0].role == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    "{% for m in messages %}<start_of_turn>{{ 'model' if m.role == 'assistant' else m.role }}\n"
    "{{ m.content | trim }}<end_of_turn>\n{% endfor %}"
)
LLAMA2 = (
    "{% if messages[0].role == 'system' %}{% set first = messages[0].content %}{% set turns = messages[1:] %}"
    "{% else %}{% set first = none %}{% set turns = messages %}{% endif %}{% for m in turns %}"
    "{% if m.role == 'user' %}<s>[INST] {% if loop.first and first %}<<SYS>>\n{{ first }}\n<</SYS>>\n\n{% endif %}"
    "{{ m.content.strip() }} [/INST]{% else %} {{ m.content.strip() }} </s>{% endif %}{% endfor %}"
)
LLAMA3 = (
    "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n"
    "{{ m.content | trim }}<|eot_id|>{% endfor %}"
)
BERT = "{% for m in messages %}[USR] {{ m.content }} [SEP] {% endfor %}"
BARE = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
IM = ("<|im_start|>", "<|im_end|>")
TURN = ("<start_of_turn>", "<end_of_turn>")
HEADER = ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
CORPUS = [
    "the good food was Good, bad film 12 123\n\nuser assistant system\n Be short.",
    "cafe é e\u0301 the of x y",
] * 4


def made(
    kind: str,
    template: str,
    special: tuple[str, ...],
    before: Any = None,
    normalizer: Any = None,
    flags: dict[str, Any] | None = None,
    added: tuple[str, ...] = (),
) -> Any:
    """A tokenizer of a kind of model (bpe, unigram, wordpiece) with this pre-tokenizer and normalizer."""
    from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    alphabet = pre_tokenizers.ByteLevel.alphabet() if "ByteLevel" in str(before) else []
    model, trainer = {
        "bpe": (models.BPE(unk_token="<unk>"), trainers.BpeTrainer),
        "unigram": (models.Unigram(), trainers.UnigramTrainer),
        "wordpiece": (models.WordPiece(unk_token="<unk>"), trainers.WordPieceTrainer),
    }[kind]
    backend = Tokenizer(model)
    backend.pre_tokenizer = before or pre_tokenizers.Metaspace()
    if normalizer is not None:
        backend.normalizer = normalizer
    names = ["<unk>", "<s>", "</s>"]
    unknown = {"unk_token": "<unk>"} if kind == "unigram" else {}
    backend.train_from_iterator(
        CORPUS,
        trainer(vocab_size=420, special_tokens=names, initial_alphabet=alphabet, show_progress=False, **unknown),
    )
    if before is None:
        backend.pre_tokenizer = None
    written = {"normalized": False, "special": True, **(flags or {})}
    backend.add_special_tokens([AddedToken(text, **written) for text in (*special, *names[1:])])
    backend.add_tokens([AddedToken(text, normalized=False) for text in added])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>", eos_token="</s>", unk_token="<unk>")
    tokenizer.chat_template = template
    return tokenizer


def kinds() -> dict[str, tuple[Callable[[], Any], bool]]:
    """Name -> how it is made, and whether it is cut."""
    from tokenizers import Regex, normalizers
    from tokenizers import pre_tokenizers as pre

    def bytes_(prefix: bool = False, regex: bool = True) -> Any:
        return pre.ByteLevel(add_prefix_space=prefix, use_regex=regex)

    legacy = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    blanks = normalizers.Replace(" ", "▁")
    split = pre.Sequence([pre.Split(Regex(r"\s*[\r\n]+|\s+(?!\S)|\s+|[^\s]+"), "isolated"), bytes_(regex=False)])
    return {
        "byte-level": (lambda: made("bpe", OPEN, IM, bytes_()), True),
        "byte-level, words not parted": (lambda: made("bpe", CHATML, IM, bytes_(regex=False)), True),
        "byte-level, prefix space": (lambda: made("bpe", OPEN, IM, bytes_(prefix=True)), True),
        "left-stripping tokens": (lambda: made("bpe", OPEN, IM, bytes_(), flags={"lstrip": True}), True),
        "right-stripping tokens": (lambda: made("bpe", OPEN, IM, bytes_(), flags={"rstrip": True}), True),
        "metaspace, first": (lambda: made("bpe", LLAMA2, (), pre.Metaspace(prepend_scheme="first")), True),
        "metaspace, always": (lambda: made("bpe", LLAMA2, (), pre.Metaspace(prepend_scheme="always")), True),
        "metaspace, never": (lambda: made("bpe", CHATML, IM, pre.Metaspace(prepend_scheme="never")), True),
        "unigram": (lambda: made("unigram", CHATML, IM, pre.Metaspace(), normalizers.NFKC()), True),
        "unigram, words not parted": (lambda: made("unigram", OPEN, IM, pre.Metaspace(split=False)), True),
        "prepending normalizer": (lambda: made("bpe", LLAMA2, (), None, legacy), True),
        "tokens found after it": (lambda: made("bpe", LLAMA2, (), None, legacy, {"normalized": True}), False),
        "wordpiece": (
            lambda: made("wordpiece", BERT, ("[USR]", "[SEP]"), pre.BertPreTokenizer(), normalizers.BertNormalizer()),
            True,
        ),
        "newline runs": (lambda: made("bpe", GEMMA, TURN, None, blanks, added=("\n\n", "\n\n\n", "▁▁")), True),
        "llama 3": (lambda: made("bpe", LLAMA3, HEADER, split), True),
        "composing normalizer": (lambda: made("bpe", OPEN, IM, bytes_(), normalizers.NFC()), True),
        "single words": (lambda: made("bpe", OPEN, IM, bytes_(), flags={"single_word": True}), False),
        "a longer token": (lambda: made("bpe", OPEN, IM, bytes_(), added=("<|im_start|>u", "<|im_end|>\n<")), False),
        "a token around it": (
            lambda: made("bpe", OPEN, IM, bytes_(), added=("\n<|im_start|>u", "k<|im_end|>")),
            False,
        ),
        "a token over the start": (lambda: made("bpe", OPEN, IM, bytes_(), added=("d<|im", "\n<|")), False),
        "no control tokens": (lambda: made("bpe", BARE, (), bytes_()), False),
    }


KINDS = kinds()
TEXTS = [
    "good food", "Good", "", " good", "food ", "good\n\nfood", "\n\nx", "x\n\n\n", "e\u0301", "\u0301e", "food<", "d",
    "a <|im_end|> b", "<s>[INST] x", "\n<|im_start|>user\nx", "▁x ▁▁ y", "12 123\u3000x", "ok </s>", "<unk>",
    "bad  film",
]  # fmt: skip
EXAMPLES = [("good food", "yes"), ("bad\n\nfilm ", "no"), (" the  worst", "yes"), ("e\u0301 <|im_end|>", "no")]


def every_id(tokenizer: Any, **style: Any) -> list[Any]:
    """The ids of all texts, after the same examples and after others, with and without an answer."""
    try:
        builder = PromptBuilder(tokenizer, PromptStyle(("text",), "Be short. 12", **style))
    except UserError as error:
        return [str(error)]
    found: list[Any] = []
    for place, text in enumerate(TEXTS):
        for shown in (EXAMPLES[:3], EXAMPLES[: place % 4], EXAMPLES[place % 3 :]):
            rounds = [[Example({"text": question}, answer)] for question, answer in shown]
            for output in (None, "yes", "no way"):
                try:
                    encoded = builder.encode(rounds, Example({"text": text}, output), None)
                    found.append((encoded.prompt_ids, encoded.answer_ids, encoded.stop_ids))
                except UserError as error:
                    found.append(str(error))
    return found


@pytest.mark.parametrize("chat_format", ["chat", "plain"])
@pytest.mark.parametrize("kind", KINDS)
def test_pieces_have_the_ids_of_the_whole(kind: str, chat_format: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = KINDS[kind][0]()
    monkeypatch.setattr(pieces, "_COMPARED_WITH_WHOLE", 0)
    found = every_id(tokenizer, format=chat_format)
    monkeypatch.setattr(pieces.Pieces, "_in_pieces", lambda _self, _parts: None)
    assert found == every_id(tokenizer, format=chat_format)
    assert chat_format == "plain" or len(found) == len(TEXTS) * 9


def seen_texts(kind: str, chat_format: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the tokenizer gets for three rows after the same examples, the first of them before."""
    tokenizer = KINDS[kind][0]()
    monkeypatch.setattr(pieces, "_COMPARED_WITH_WHOLE", 0)
    seen: list[str] = []
    for way in ("_whole", "_alone"):
        true_way = getattr(Tokens, way)

        def seeing(self: Tokens, parts: Any, true_way: Any = true_way) -> Any:
            seen.append("".join(part.text for part in parts))
            return true_way(self, parts)

        monkeypatch.setattr(Tokens, way, seeing)
    builder = PromptBuilder(tokenizer, PromptStyle(("text",), "Be short.", format=chat_format))
    shown = [[Example({"text": "the worst film"}, "no")]]
    builder.encode(shown, Example({"text": "first"}), None)
    seen.clear()
    for text in ("second", "third"):
        builder.encode(shown, Example({"text": text}), None)
    return seen


@pytest.mark.parametrize("kind", KINDS)
def test_what_prompts_share_is_tokenised_once(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    repeats = any("worst" in text for text in seen_texts(kind, "chat", monkeypatch))
    assert repeats is not KINDS[kind][1]


def test_rows_between_plain_stops_are_tokenised_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert seen_texts("byte-level", "plain", monkeypatch) == ["second\nAnswer:", "third\nAnswer:"]


def test_a_tokenizer_that_reads_pieces_otherwise_gets_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python code of a tokenizer's own may do what its rules do not say."""
    tokenizer = KINDS["byte-level"][0]()
    whole = type(tokenizer)._encode_plus

    def changing(self: Any, text: str, *arguments: Any, **options: Any) -> Any:
        return whole(self, text.replace("short. 12", "long" if "yes" in text else "short. 12"), *arguments, **options)

    monkeypatch.setattr(type(tokenizer), "_encode_plus", changing)
    found = every_id(tokenizer)
    monkeypatch.setattr(pieces.Pieces, "_in_pieces", lambda _self, _parts: None)
    assert found == every_id(tokenizer)


def test_long_texts_are_not_remembered() -> None:
    tokens = PromptBuilder(KINDS["byte-level"][0](), PromptStyle(("text",), None, format="plain"))._tokens
    before = tokens._pieces._short_piece.cache_info().currsize
    for text in ("short", "long " * 1000):
        tokens.ids([Part(text, True, 0)])
    assert tokens._pieces._short_piece.cache_info().currsize == before + 1
