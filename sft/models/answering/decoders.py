"""What the decoder of an encoder-decoder begins with, and how much it can write."""

from typing import TYPE_CHECKING, Any

from sft.exceptions import UserError
from sft.models.answering.languages import language_codes
from sft.prompts.style import Surroundings

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

PLACES = "max_position_embeddings"
"""What a config calls the number of tokens that a decoder has places for; without it, places are relative."""
WRAPPED_START = "mbart"
"""Model type whose decoder starts from the language that ends its target texts."""
MOST_OPENING = 2
"""Tokens that a decoder begins with at most: what it starts from, and a language."""


def decoder_opening(model_config: Any, tokenizer: "PreTrainedTokenizerBase", around: Surroundings) -> tuple[int, ...]:
    """The ids that a decoder has before it writes the first token of a text.

    Args:
        model_config: of the model.
        tokenizer: of the model.
        around: what stands around its texts.

    Raises:
        UserError: kind model: nothing says what its decoder starts from.
    """
    start = getattr(model_config, "decoder_start_token_id", None)
    if start is None:
        start = getattr(model_config.get_text_config(decoder=True), "decoder_start_token_id", None)
    languages = set(tokenizer.convert_tokens_to_ids(language_codes(tokenizer)))
    if around.starts and (model_config.model_type == WRAPPED_START or start is None or start in languages):
        return around.opening
    if start is None:
        start = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.pad_token_id
    if start is None:
        text = "nothing says which token the decoder starts from"
        raise UserError(f"model: {text}; set decoder_start_token_id in its config.json", kind="model")
    return int(start), *around.opening


def require_places(model_config: Any, n_opening: int, n_written: int, written: str) -> None:
    """Refuse what a decoder has no places for.

    Args:
        model_config: of the model.
        n_opening: ids that the decoder begins with.
        n_written: ids that it writes, the last of which it does not read.
        written: what those are, in a message.

    Raises:
        UserError: kind model: it has fewer places.
    """
    places = getattr(model_config.get_text_config(decoder=True), PLACES, None)
    if isinstance(places, int) and n_opening + n_written - 1 > places:
        text = f"{written} {n_written} tokens, and the decoder has places for {places - n_opening + 1}"
        raise UserError(text, kind="model")
