"""The labels of a classification: gold values as text, and the words the model reads and writes for them."""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sft.config.canonical import json_text
from sft.exceptions import DataError, UserError
from sft.wording import as_seen, listed, normalised, quoted

SHOWN = 20


@dataclass(frozen=True)
class LabelSet:
    """Gold values and their words, in the order of the label set.

    Attributes:
        values: gold values as JSON text (`true`, `1`, `0.5`, text as it is).
        words: what stands in prompts; the values themselves unless a map was written.
    """

    values: tuple[str, ...]
    words: tuple[str, ...]

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {value: position for position, value in enumerate(self.values)}

    def __contains__(self, value: str) -> bool:
        return value in self._positions

    def index(self, value: str) -> int:
        """Position of a gold value.

        Raises:
            DataError: the value is outside the set.
        """
        try:
            return self._positions[value]
        except KeyError:
            raise DataError(f"label {value!r} is not in the label set; {_listed(self.values)}") from None

    def word(self, value: str) -> str:
        """The word of a gold value; raises as `index`."""
        return self.words[self.index(value)]


def resolve_labels(
    written: Sequence[Any] | Mapping[str, str] | None,
    train_values: Iterable[Any] | None,
    class_names: Sequence[str] | None,
    least: int = 2,
) -> LabelSet:
    """The label set: a list as written, ClassLabel as declared, a map or the train split's by gold value as text.

    Args:
        written: `dataset.labels`.
        train_values: cells of the output column in the train split; None where there is no train split.
        class_names: names of the output column where it is a ClassLabel.
        least: labels that there must be; 1 where a row may lack the one there is.

    Raises:
        UserError: no label at all or fewer than `least`, an empty one, one twice, or two words that are equal after
            trimming or in another Unicode form.
    """
    if isinstance(written, Mapping):
        values = sorted(written)
        labels = LabelSet(tuple(values), tuple(written[value] for value in values))
    else:
        words = tuple(_values(written, train_values, class_names))
        labels = LabelSet(words, words)
    _check(labels, written, least)
    return labels


def check_gold(labels: LabelSet, rows: Iterable[tuple[int, str]], split: str) -> None:
    """Every gold label of the rows is in the set.

    Args:
        labels: the label set.
        rows: (`source_index`, gold value as text).
        split: name of the split, for the message.

    Raises:
        DataError: names the rows and values outside the set.
    """
    outside = [(index, value) for index, value in rows if value not in labels]
    if not outside:
        return
    shown = ", ".join(f"row {index}: {quoted(value)}" for index, value in outside[:5])
    more = f", and {len(outside) - 5} more" if len(outside) > 5 else ""
    raise DataError(
        f'split "{split}": gold labels outside the label set ({shown}{more}; rows counted from 0); '
        f"{_listed(labels.values)}; {_remedy(labels, outside[0][1])}"
    )


def _remedy(labels: LabelSet, value: str) -> str:
    """What helps against a gold value outside the set: one that looks like a label is a slip, and no further label."""
    seen = normalised(as_seen(value))
    alike = next((label for label in labels.values if normalised(as_seen(label)) == seen), None)
    if alike is None:
        return "correct the data or add them to dataset.labels"
    return f"{value!a} looks like {alike!a} and is another text: write it so in the data"


def _values(
    written: Sequence[Any] | None, train_values: Iterable[Any] | None, class_names: Sequence[str] | None
) -> list[str]:
    if written is not None:
        return [json_text(value) for value in written]
    if class_names is not None:
        return list(class_names)
    if train_values is None:
        raise UserError("there is no train split to take the labels from; write them: dataset.labels: [...]")
    return sorted({json_text(value) for value in train_values})


def _check(labels: LabelSet, written: Sequence[Any] | Mapping[str, str] | None, least: int) -> None:
    if not labels.values:
        raise UserError("the label set is empty; write dataset.labels, or a train split with at least one label")
    if len(set(labels.values)) < len(labels.values):
        twice = sorted({value for value in labels.values if labels.values.count(value) > 1})
        where = "declared by the data" if written is None else "written"
        raise UserError(f"dataset.labels: {where} more than once: {', '.join(map(repr, twice))}")
    first: dict[str, tuple[str, str]] = {}
    for value, word in zip(labels.values, labels.words, strict=True):
        if not word.strip():
            raise UserError(f"dataset.labels: the label {value!r} has an empty word {word!r}; a label must have text")
        plain = _without_slips(word)
        if plain in first:
            raise UserError(_one_word_twice(first[plain], (value, word), written is not None))
        first[plain] = (value, word)
    if len(labels.values) < least:
        raise UserError(
            f"dataset.labels: there is one label only, {labels.values[0]!r}, and nothing to choose between; write the "
            "others, or take a train split that has them"
        )


def _without_slips(text: str) -> str:
    """The text without white space around it, accents joined to their letters: labels equal so are one label."""
    return unicodedata.normalize("NFC", text.strip())


def _one_word_twice(first: tuple[str, str], second: tuple[str, str], are_written: bool) -> str:
    """What is wrong with two labels (value, word) of one word: giving one label two words would make two of it."""
    (value, word), (other, other_word) = first, second
    how = "after trimming" if word.strip() == other_word.strip() else "but for their Unicode form"
    told = f"dataset.labels: the labels {quoted(value)} and {quoted(other)} are equal {how} "
    plain = _without_slips(value)
    if plain != _without_slips(other):
        return f"{told}({quoted(_without_slips(word))}); give them different words"
    keep = "keep one of them, and " if are_written else ""
    return f"{told}({quoted(plain)}); {keep}write {quoted(plain)} in all cells of the data, which is read as it stands"


def _listed(values: Sequence[str]) -> str:
    more = f", ... ({len(values)} in all)" if len(values) > SHOWN else ""
    return f"labels are: {listed(values[:SHOWN])}{more}"
