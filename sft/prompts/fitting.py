"""What gives way, and in which order, when a prompt is over its limit."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from sft.prompts.rendering import Rendered
from sft.prompts.style import TooLong
from sft.prompts.tokens import Tokens

Render = Callable[[int, Mapping[str, str]], Rendered]
"""Renders a prompt without its first N rounds and with these texts in its columns."""


class Fitted(NamedTuple):
    """A prompt that fits."""

    rendered: Rendered
    rounds: int
    """Rounds left out from the front."""

    tokens: int
    """Tokens taken off the longest column."""


def fit(render: Render, n_rounds: int, columns: Mapping[str, str], tokens: Tokens, limit: int | None) -> Fitted:
    """Leave out whole rounds from the front, then cut the end of the longest column; frame and answer stay.

    Args:
        render: renders the prompt without its first rounds and with these columns.
        n_rounds: rounds of in-context examples there are.
        columns: input columns of the row.
        tokens: measures and cuts columns.
        limit: tokens of prompt and completion; None is no limit.

    Raises:
        TooLong: over the limit even so; one token of the longest column is kept.
    """
    whole = render(0, columns)
    if limit is None or whole.length <= limit:
        return Fitted(whole, 0, 0)
    low, high, last = 0, n_rounds, whole if not n_rounds else render(n_rounds, columns)
    if last.length > limit:
        return _cut_longest(render, n_rounds, columns, tokens, limit)
    while high - low > 1:
        middle = (low + high) // 2
        tried = render(middle, columns)
        if tried.length <= limit:
            high, last = middle, tried
        else:
            low = middle
    return Fitted(last, high, 0)


def _cut_longest(render: Render, dropped: int, columns: Mapping[str, str], tokens: Tokens, limit: int) -> Fitted:
    sizes = {column: tokens.count(text) for column, text in columns.items()}
    longest = max(sizes, key=lambda column: sizes[column])
    kept = sizes[longest]
    rendered = render(dropped, columns)
    while rendered.length > limit:
        if kept <= 1:
            raise TooLong(
                f"{rendered.length} tokens without in-context examples and with one token of its longest input column "
                f"({longest}), the limit is {limit}; raise the limit, or shorten the instruction or the other columns"
            )
        start = tokens.cut(columns[longest], max(1, kept - (rendered.length - limit)))
        kept = start.tokens
        rendered = render(dropped, {**columns, longest: start.text})
    return Fitted(rendered, dropped, sizes[longest] - kept)
