"""How long texts are, and how many of them a limit cuts."""

from collections.abc import Sequence
from dataclasses import dataclass

from sft.data.cells.conversations import Conversation
from sft.data.profile.remark import Remark
from sft.data.rows import Row, texts_of

SAMPLED = 2000
"""Rows whose texts are measured; of more, that many evenly, and the longest of all."""

LONGEST = 20
"""Texts, the longest by characters, that are measured beside the sample."""

WORTH_TELLING = 0.05
"""Share of cut rows from which on a limit is worth a remark of its own."""

ROUND_TO = 16


@dataclass(frozen=True)
class TextSample:
    """Texts of one column that stand for all of them."""

    column: str | None
    """None for whole prompts."""
    n_rows: int
    """Texts that there are."""
    texts: tuple[str, ...]
    """All, or evenly spread ones."""
    longest: tuple[str, ...]
    """The longest by characters, of all."""


@dataclass(frozen=True)
class LengthProfile:
    """The lengths of the texts of one column, in tokens of a model or in words."""

    column: str | None
    """None for whole prompts, whose lengths are estimates."""
    unit: str
    """`tokens` or `words`."""
    n_rows: int
    """Texts that there are."""
    n_measured: int
    """Texts that median, 95 % and shares are of: all, or evenly spread ones."""
    median: int
    p95: int
    longest: int
    cuts: tuple["Cut", ...] = ()
    models: tuple[str, ...] = ()
    """Whose tokens they are; empty for words."""
    examples: int = 0
    """In-context examples of each whole prompt."""


@dataclass(frozen=True)
class Cut:
    """What a limit does to the texts of a column."""

    limit: str
    """Dotted key of the limit."""
    at: int
    """Its value."""
    share: float
    """Part of the measured texts that are longer."""


def text_sample(rows: Sequence[Sequence[Row]], column: str) -> TextSample | None:
    """The texts to measure of a column of several splits; None where no row has it."""
    there = [part for part in rows if part and column in part[0].values]
    texts = [text for part in there for text in _texts(part, column)]
    return sample_of(column, texts) if texts else None


def _texts(rows: Sequence[Row], column: str) -> Sequence[str]:
    """The cells as text; of conversations all that is before the answer, which is most of them."""
    if not isinstance(rows[0].values[column], Conversation):
        return texts_of(rows, column)
    return [row.input_text(column) for row in rows]


def sample_of(column: str, texts: Sequence[str]) -> TextSample:
    """The texts to measure, of a column that has at least one."""
    step = max(1, -(-len(texts) // SAMPLED))
    by_length = sorted(range(len(texts)), key=lambda position: -len(texts[position]))[:LONGEST]
    return TextSample(column, len(texts), tuple(texts[::step]), tuple(texts[position] for position in by_length))


def word_counts(texts: Sequence[str]) -> list[int]:
    """The words of each text, as white space parts them."""
    return [len(text.split()) for text in texts]


def length_profile(
    sample: TextSample,
    counts: Sequence[int],
    longest: Sequence[int],
    unit: str,
    limits: Sequence[tuple[str, int]] = (),
) -> LengthProfile:
    """The lengths of a column.

    Args:
        sample: the texts that were measured.
        counts: length of each of its `texts`.
        longest: length of each of its `longest`.
        unit: `tokens` or `words`.
        limits: dotted keys and values of what cuts the column.
    """
    ordered = sorted(counts)
    cuts = tuple(Cut(key, at, sum(count > at for count in counts) / len(counts)) for key, at in limits)
    return LengthProfile(
        column=sample.column,
        unit=unit,
        n_rows=sample.n_rows,
        n_measured=len(ordered),
        median=ordered[(len(ordered) - 1) // 2],
        p95=ordered[max(0, -(-len(ordered) * 95 // 100) - 1)],
        longest=max([*ordered[-1:], *longest]),
        cuts=cuts,
    )


def cut_remarks(profile: LengthProfile) -> list[Remark]:
    """A remark for each limit that cuts many rows, with the limit that would spare 95 % of them."""
    found = []
    for cut in profile.cuts:
        if cut.share >= WORTH_TELLING:
            text = f"{cut.limit} {cut.at} cuts {share_text(cut.share)} of the texts of {profile.column!r}"
            most = f"95 % of them have at most {profile.p95} {profile.unit}"
            found.append(Remark("cut_texts", f"{text}; {most}", f"{cut.limit}: {rounded_up(profile.p95)}"))
    return found


def rounded_up(length: int) -> int:
    """A length that is easy to write, and no shorter."""
    return -(-length // ROUND_TO) * ROUND_TO


def share_text(share: float) -> str:
    """A share in whole percent."""
    return "more than 99 %" if share > 0.99 else f"{100 * share:.0f} %"
