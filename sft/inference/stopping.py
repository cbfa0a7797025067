"""Where a generated answer ends: at the stop that was trained, or at an end that the model itself knows."""

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase, StoppingCriteria

_BYTES_PER_CHARACTER = 4


@dataclass(frozen=True)
class StopRule:
    """What ends an answer.

    Attributes:
        end_ids: ids each of which ends it: the model's own and, where the stop holds a control token or is a single
            id, that one.
        text: text that ends it however it is spelled in tokens; None where an id says it all.
        before_control: text of a stop before its control token; no part of an answer that ends there.
    """

    end_ids: tuple[int, ...]
    text: str | None
    before_control: str = ""

    @staticmethod
    def of(
        tokenizer: PreTrainedTokenizerBase,
        stop_ids: Sequence[int],
        stop_text: str,
        control_ids: Container[int],
        model_ends: Iterable[int],
    ) -> "StopRule":
        """The rule for a trained stop.

        A stop with a control token (such as an end-of-turn) in it ends there, since no answer can hold that token.
        Any other stop is ordinary text, also where tokens were added for it (runs of line breaks in Gemma's
        vocabulary), which a model may spell in other tokens than the trained ones: a blank line comes as one id, as
        two, or at the end of a token with a full stop in it.
        """
        place = next((place for place, token in enumerate(stop_ids) if token in control_ids), None)
        if place is not None:
            before = decoded(tokenizer, list(stop_ids[:place]))
            return StopRule(tuple(sorted({stop_ids[place], *model_ends})), None, before)
        own = [stop_ids[0]] if len(stop_ids) == 1 else []
        return StopRule(tuple(sorted({*own, *model_ends})), stop_text or None)

    def is_in(self, tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> bool:
        """Whether the text of generated ids holds the stop's text."""
        return self.text is not None and self.text in decoded(tokenizer, list(ids))

    def cut(self, tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> str:
        """The answer in generated ids: what stands before the stop, without special tokens and outer whitespace."""
        ends = [number for number, token in enumerate(ids) if token in self.end_ids]
        text = decoded(tokenizer, list(ids[: ends[0]] if ends else ids))
        if ends:
            text = text.removesuffix(self.before_control)
        return (text.partition(self.text)[0] if self.text else text).strip()


class StopTextReached(StoppingCriteria):  # type: ignore[misc]
    """Ends each row as soon as the text that it generated holds the stop's text."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, text: str, prompt_width: int) -> None:
        self._tokenizer = tokenizer
        self._text = text
        self._prompt_width = prompt_width
        self._window = _BYTES_PER_CHARACTER * (len(text) + 1)

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        """(rows,) whether the newest tokens complete the stop; enough of them are decoded for any spelling of it."""
        start = max(self._prompt_width, input_ids.shape[1] - self._window)
        ended = [self._text in decoded(self._tokenizer, ids) for ids in input_ids[:, start:].tolist()]
        return torch.tensor(ended, device=input_ids.device)


def decoded(tokenizer: PreTrainedTokenizerBase, ids: list[int]) -> str:
    """The text of the ids as it is, special tokens skipped."""
    text: str = tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return text
