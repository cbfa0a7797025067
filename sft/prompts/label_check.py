"""Whether labels have the same ids after every prompt."""

from collections.abc import Sequence

from sft.exceptions import UserError
from sft.prompts.rendering import Format, Turn, joined
from sft.prompts.style import Encoded, LabelIds, Part
from sft.prompts.tokens import Tokens

# Merges reach no further than neighbouring words; this is many of them.
_SEEN_BEFORE_LABEL = 256
_PARTING_TOKENS = 2
"""Tokens of the frame between a row and its answer that keep the one from changing the ids of the other."""


class LabelCheck:
    """Compares the ids of labels after a prompt with those that they have by themselves.

    Free where a control token stands between the row and its answer, as in nearly all chat templates; else each label
    is tokenised once more with the end of the prompt, once for all prompts that end alike: in tokens that the frame
    writes behind the row, or, where it writes next to none, in the last characters.
    """

    def __init__(self, prompt_format: Format, tokens: Tokens, labels: Sequence[LabelIds]) -> None:
        self._format = prompt_format
        self._tokens = tokens
        self._labels = labels
        self._free = prompt_format.render([Turn("x", "", 0, 0)], None).tail
        self._passed: set[object] = set()

    def __call__(self, prompt: Encoded) -> None:
        """
        Raises:
            UserError: kind tokenizer; a label's ids depend on the row.
        """
        if prompt.tail == self._free and not any(part.is_data for part in prompt.tail):
            return
        ending = self._ending(prompt)
        if ending not in self._passed:
            self._check(_last_characters(prompt.tail, _SEEN_BEFORE_LABEL))
            self._passed.add(ending)

    def _ending(self, prompt: Encoded) -> object:
        """What prompts have in common after which labels have the same ids."""
        frame = prompt.tail[-1]
        if not frame.is_data:
            # The first token of the frame may reach into the row.
            ids = self._tokens.ids([frame])[1:]
            if len(ids) >= _PARTING_TOKENS and prompt.prompt_ids[-len(ids) :] == ids:
                return frame, ids
        return _last_characters(prompt.tail, _SEEN_BEFORE_LABEL)

    def _check(self, tail: tuple[Part, ...]) -> None:
        before = self._format.prompt_ids(tail)
        for label in self._labels:
            whole = self._tokens.ids([*tail, self._format.answer_part(label.word)])
            if whole != before + label.answer_ids:
                raise UserError(
                    f"the ids of the label {label.word!r} depend on the text before it ({joined(tail)[-30:]!r}), so "
                    "labels cannot be compared; change the label words or prompting.format",
                    kind="tokenizer",
                )


def _last_characters(parts: Sequence[Part], count: int) -> tuple[Part, ...]:
    kept: list[Part] = []
    for part in reversed(parts):
        if count <= 0:
            break
        kept.insert(0, part._replace(text=part.text[-count:]))
        count -= len(part.text)
    return tuple(kept)
