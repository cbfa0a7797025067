"""The labels of a classification: gold values as text, and the words the model reads and writes for them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sft.config.canonical import json_text
from sft.errors import DataError, UserError

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
) -> LabelSet:
    """The label set: a list as written, ClassLabel as declared, a map or the train split's by gold value as text.

    Args:
        written: `dataset.labels`.
        train_values: cells of the output column in the train split; None where there is no train split.
        class_names: names of the output column where it is a ClassLabel.

    Raises:
        UserError: no label at all or one only, an empty one, one twice, or two words that are equal after trimming.
    """
    if isinstance(written, Mapping):
        values = sorted(written)
        labels = LabelSet(tuple(values), tuple(written[value] for value in values))
    else:
        labels = _own_words(_values(written, train_values, class_names))
    _check(labels)
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
    shown = ", ".join(f"row {index}: {value!r}" for index, value in outside[:5])
    more = f", and {len(outside) - 5} more" if len(outside) > 5 else ""
    raise DataError(
        f'split "{split}": gold labels outside the label set ({shown}{more}; rows counted from 0); '
        f"{_listed(labels.values)}; correct the data or add them to dataset.labels"
    )


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


def _own_words(values: Sequence[str]) -> LabelSet:
    return LabelSet(tuple(values), tuple(values))


def _check(labels: LabelSet) -> None:
    if not labels.values:
        raise UserError("the label set is empty; write dataset.labels, or a train split with at least one label")
    if len(set(labels.values)) < len(labels.values):
        twice = sorted({value for value in labels.values if labels.values.count(value) > 1})
        raise UserError(f"dataset.labels: written more than once: {', '.join(map(repr, twice))}")
    first: dict[str, str] = {}
    for value, word in zip(labels.values, labels.words, strict=True):
        trimmed = word.strip()
        if not trimmed:
            raise UserError(f"dataset.labels: the label {value!r} has an empty word {word!r}; a label must have text")
        if trimmed in first:
            raise UserError(
                f"dataset.labels: the labels {first[trimmed]!r} and {value!r} are equal after trimming ({trimmed!r}); "
                "give them different words with a map: dataset.labels: {gold value: word}"
            )
        first[trimmed] = value
    if len(labels.values) == 1:
        raise UserError(
            f"dataset.labels: there is one label only, {labels.values[0]!r}, and nothing to choose between; write the "
            "others, or take a train split that has them"
        )


def _listed(values: Sequence[str]) -> str:
    more = f", ... ({len(values)} in all)" if len(values) > SHOWN else ""
    return f"labels are: {', '.join(values[:SHOWN])}{more}"
