"""Texts that stand more than once: with other labels, or on both sides of the line between training and measuring."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sft.data.leaks import normalised_inputs
from sft.data.profile.remark import Remark
from sft.data.rows import Split, Splits, indices_of, texts_of
from sft.wording import counted, quoted

AGAINST_REPEATS = "evaluation.strict_leaks: true"


@dataclass(frozen=True)
class SplitTexts:
    """The texts of one split, in its order."""

    name: str
    inputs: Sequence[str]
    """Normalised input of each row; empty where it has none."""
    labels: Sequence[str] | None
    """Gold of each row as text; None without gold, and in a generation, where an input may have many outputs."""
    indices: Sequence[int]
    """`source_index` of each row."""


def split_texts(splits: Splits, input_columns: Sequence[str], label_column: str | None) -> list[SplitTexts]:
    """The texts of the splits that are read, train first; `label_column` is None in a generation."""
    return [
        _texts(split, input_columns, label_column)
        for split in (splits.train, splits.dev, splits.test)
        if split is not None
    ]


def repeat_remarks(texts: Sequence[SplitTexts]) -> Iterator[Remark]:
    """What is worth knowing of texts that stand more than once; one pass over the rows."""
    yield from _contradictions(texts)
    yield from _across(texts)


def _texts(split: Split, input_columns: Sequence[str], label_column: str | None) -> SplitTexts:
    labels = None
    if label_column is not None and label_column in split.columns:
        labels = texts_of(split.rows, label_column)
    return SplitTexts(split.name, normalised_inputs(split.rows, input_columns), labels, indices_of(split.rows))


@dataclass(frozen=True)
class _Place:
    split: str
    index: int
    label: str

    def __str__(self) -> str:
        return f"{self.split} row {self.index} {quoted(self.label)}"


def _contradictions(texts: Sequence[SplitTexts]) -> Iterator[Remark]:
    """Equal texts with unlike labels, wherever they stand."""
    first: dict[str, _Place] = {}
    others: dict[str, list[_Place]] = {}
    for split in texts:
        for text, label, index in zip(
            split.inputs, split.labels or (), split.indices, strict=split.labels is not None
        ):
            if text and first.setdefault(text, place := _Place(split.name, index, label)) is not place:
                others.setdefault(text, []).append(place)
    unlike = {
        text: next(place for place in places if place.label != first[text].label)
        for text, places in others.items()
        if any(place.label != first[text].label for place in places)
    }
    if unlike:
        text, other = next(iter(unlike.items()))
        rows = sum(1 + len(others[text]) for text in unlike)
        found = f"{counted(len(unlike), 'text')} {'has' if len(unlike) == 1 else 'have'} unlike labels in {rows} rows"
        example = f"as {first[text]} and {other} (rows counted from 0)"
        yield Remark("unlike_labels", f"{found}, {example}: no model can get all of these right")


def _across(texts: Sequence[SplitTexts]) -> Iterator[Remark]:
    """Rows of a later split that have the text of an earlier one."""
    known: Mapping[str, set[str]] = {split.name: set(split.inputs) - {""} for split in texts}
    for number, split in enumerate(texts):
        for earlier in texts[:number]:
            repeated = sum(text in known[earlier.name] for text in split.inputs)
            if repeated:
                of = f"{repeated:,} of {len(split.inputs):,} {split.name} rows"
                text = f"{of} {'has' if repeated == 1 else 'have'} the text of a row of {earlier.name}"
                if earlier.name == "train":
                    yield Remark("repeated_text", f"{text}, which may be shown or trained on", AGAINST_REPEATS)
                else:
                    yield Remark("repeated_text", text)
