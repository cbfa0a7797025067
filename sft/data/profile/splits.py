"""The rows of each split, before and after `max_n_*`, by label."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sft.data.rows import Row, Split, Splits, alone, texts_of
from sft.data.selection import Selection, ValuesIn


@dataclass(frozen=True)
class SplitProfile:
    """The rows of one split: how many there are, and how many are used."""

    name: str
    """`train`, `dev` or `test`."""
    n_rows: int
    """Rows before `max_n_*`."""
    n_used: int
    """Rows after `max_n_*`; of train only those whose label is in the label set, before shots are drawn."""
    n_dropped: int
    """Rows that `on_missing: drop` left out before."""
    label_counts: dict[str, int] | None
    """Used rows by gold value, in the order of the label set; None without labels or gold."""
    label_counts_before: dict[str, int] | None
    """The same before `max_n_*`, also of values outside the label set, which come last."""


def split_profiles(
    splits: Splits,
    selection: Selection,
    output_column: str,
    label_values: Sequence[str] | None,
    values_in: ValuesIn = alone,
) -> tuple[SplitProfile, ...]:
    """The splits that are read, train first.

    Args:
        splits: the rows there are.
        selection: the rows that are used.
        output_column: column with the gold.
        label_values: gold values of the label set; None = not a classification.
        values_in: the gold values of a row.
    """
    pairs = ((splits.train, selection.train), (splits.dev, selection.dev), (splits.test, selection.test))
    return tuple(
        _profile(split, used or (), output_column, label_values, values_in)
        for split, used in pairs
        if split is not None
    )


def _profile(
    split: Split, used: Sequence[Row], output_column: str, label_values: Sequence[str] | None, values_in: ValuesIn
) -> SplitProfile:
    before = after = None
    if label_values is not None and output_column in split.columns:
        before = _counts(texts_of(split.rows, output_column), label_values, values_in)
        found = before if used is split.rows else _counts(texts_of(used, output_column), label_values, values_in)
        after = {value: found[value] for value in label_values}
    return SplitProfile(split.name, len(split.rows), len(used), split.n_dropped, after, before)


def _counts(texts: Sequence[str], label_values: Sequence[str], values_in: ValuesIn) -> dict[str, int]:
    found = Counter(value for text in texts for value in values_in(text))
    others = sorted(set(found).difference(label_values))
    return {value: found[value] for value in (*label_values, *others)}
