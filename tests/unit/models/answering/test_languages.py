"""What stands around texts, as tokenizers of four families put it."""

from types import SimpleNamespace

import pytest

from sft.exceptions import UserError
from sft.models.answering.decoders import decoder_opening, require_places
from sft.models.answering.languages import language_codes, surroundings_of
from tests.support.encoder_decoders import tiny_pair


@pytest.mark.parametrize(
    ("family", "before", "after", "opening"),
    [
        ("t5", [], ["</s>"], ["<pad>"]),
        ("marian", [], ["</s>"], ["<pad>"]),
        ("bart", ["<s>"], ["</s>"], ["</s>", "<s>"]),
        ("mbart", [], ["</s>", "de_DE"], ["ro_RO"]),
    ],
)
def test_each_family_has_its_own(family: str, before: list[str], after: list[str], opening: list[str]) -> None:
    model, tokenizer = tiny_pair(family)
    languages = ("de_DE", "ro_RO") if family == "mbart" else (None, None)
    around = surroundings_of(tokenizer, *languages)
    names = tokenizer.convert_ids_to_tokens
    assert names(list(around.before)) == before
    assert names(list(around.after)) == after
    assert names(list(around.stop)) == ["</s>"]
    assert names(list(decoder_opening(model.config, tokenizer, around))) == opening


def test_a_language_before_the_text_follows_what_the_decoder_starts_from() -> None:
    """As the newer tokenizers of NLLB and mBART-50 have it."""
    from tokenizers import processors

    _, tokenizer = tiny_pair("t5")
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="good $A </s>", special_tokens=[("good", 34), ("</s>", 1)]
    )
    around = surroundings_of(tokenizer, None, None)
    config = SimpleNamespace(decoder_start_token_id=1, model_type="m2m_100")
    assert decoder_opening(config, tokenizer, around) == (1, 34)
    assert around.after == (1,)


def test_languages_are_known_or_refused() -> None:
    tokenizer = tiny_pair("mbart")[1]
    assert {"en_XX", "ro_RO"} <= set(language_codes(tokenizer))
    with pytest.raises(UserError, match=r"source_lang 'en_XY' is no language .*did you mean en_XX\?"):
        surroundings_of(tokenizer, "en_XY", "ro_RO")
    with pytest.raises(UserError, match=r"target_lang is missing: .* write one of its codes, such as"):
        surroundings_of(tokenizer, None, None)
    with pytest.raises(UserError, match="target_lang 'ro_RO': the tokenizer names no languages; leave it out"):
        surroundings_of(tiny_pair("t5")[1], None, "ro_RO")


def test_a_decoder_that_starts_from_nothing_is_refused() -> None:
    _, tokenizer = tiny_pair("t5")
    around = surroundings_of(tokenizer, None, None)
    config = SimpleNamespace(decoder_start_token_id=None, model_type="t5", get_text_config=lambda **_: object())
    assert decoder_opening(config, tokenizer, around) == (tokenizer.pad_token_id,)
    tokenizer.pad_token = None
    with pytest.raises(UserError, match="set decoder_start_token_id"):
        decoder_opening(config, tokenizer, around)


def test_what_a_decoder_has_no_places_for_is_refused() -> None:
    config = tiny_pair("bart")[0].config
    require_places(config, 2, 63, "the label 'a' has")
    with pytest.raises(UserError, match="the label 'a' has 64 tokens, and the decoder has places for 63"):
        require_places(config, 2, 64, "the label 'a' has")
    require_places(tiny_pair("t5")[0].config, 1, 10_000, "a text has")
