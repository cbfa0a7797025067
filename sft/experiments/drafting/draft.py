"""What a first grid says of brought data: every choice with its reason, before it is text."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sft.data.profile.labels import code_remarks
from sft.data.profile.lengths import LengthProfile, length_profile, sample_of, word_counts
from sft.data.selection import ValuesIn
from sft.exceptions import UserError
from sft.experiments.drafting.columns import check_columns, parted
from sft.experiments.drafting.reading import BroughtData, present
from sft.experiments.drafting.splits import DraftSplits, draft_splits, left_out, usable_rows
from sft.experiments.drafting.task_choice import TaskChoice, reads_whole, task_choice, written_task
from sft.tasks.task import Task
from sft.wording import counted, quoted, some

DEFAULT_MODEL = "Qwen/Qwen2.5-0.5B-Instruct"
SHOTS = 8
TEXTS_AS_SHOTS = 32
FEW_LABELS = 4
MOST_LABELS_IN_CONTEXT = 20
SHOWN_LABELS = 3
LONG_TEXT = 700
"""Words from which on a column is cut."""

CUT_LENGTH = 1024


@dataclass(frozen=True)
class Draft:
    """A first grid."""

    data: BroughtData
    splits: DraftSplits
    model: str | None
    """None = a default that is said to be one."""
    inputs: tuple[str, ...]
    """Empty where the label's column is learned whole."""
    label: str
    choice: TaskChoice
    labels: tuple[str, ...]
    """Gold values; empty where there is no closed set of them."""
    few: str
    """Labels that have too few rows for the shots, in words; empty = none."""
    left_out: str
    """Rows that must be left out, in words; empty = none."""
    lengths: tuple[LengthProfile, ...]
    """In words, by column; that of the label last, where it holds texts."""
    shots: int
    has_twice_the_shots: bool

    @property
    def is_conversation(self) -> bool:
        """Whether prompt and output are turns of one column."""
        return self.label in self.inputs

    @property
    def task(self) -> Task:
        """The task type."""
        return self.choice.task

    @property
    def are_codes(self) -> bool:
        """Whether the labels look like codes."""
        return any(code_remarks(dict(zip(self.labels, self.labels, strict=True))))

    @property
    def examples(self) -> int:
        """In-context examples, per label where they count so; 0 = too many labels to show, or nothing to answer."""
        if len(self.labels) > MOST_LABELS_IN_CONTEXT or self.is_conversation or not self.inputs:
            return 0
        return 1 if self.task.examples_per_label and len(self.labels) > FEW_LABELS else 2

    @property
    def max_input_length(self) -> int | None:
        """Tokens that are kept of a column that is read, where one has very long texts."""
        return CUT_LENGTH if any(length.longest > LONG_TEXT for length in self.lengths) else None

    @property
    def max_output_length(self) -> int:
        """Tokens of an output: twice the words of a long one, in steps of 16."""
        return -(-2 * self.lengths[-1].p95 // 16) * 16 + 16


def draft(data: BroughtData, inputs: Sequence[str], label: str | None, task: str | None, model: str | None) -> Draft:
    """Choose all that a first grid must say.

    Args:
        data: what was brought.
        inputs: columns that the model reads, one by one or with commas between them.
        label: column that is predicted.
        task: its type; None = by what the label's column holds.
        model: its name; None = a default.

    Raises:
        UserError: a column is not written, not there or empty, or there is nothing to choose between.
    """
    inputs = parted(data, inputs)
    data, gold, choice = _gold_read(data, inputs, label, written_task(task))
    values_in = choice.task.values_in if choice.task.uses("dataset.labels") else None
    read = inputs or [gold]
    splits = draft_splits(data, read, gold, values_in)
    labels = _labels(data, splits, gold, values_in) if values_in is not None else ()
    usable = usable_rows(data, splits.train, read, gold)
    pool = Counter(value for text in usable.gold.values() for value in choice.task.values_in(text))
    rows = {value: pool[value] for value in labels} or {"": len(usable.gold)}
    is_even = splits.train_share == 1 or not usable.loses_some
    kept = {value: int(number * splits.train_share) - (not is_even) for value, number in rows.items()}
    shots = SHOTS if labels else min(TEXTS_AS_SHOTS, max(1, kept[""]))
    few = [f"{quoted(value)} {pool[value]}" for value in labels if kept[value] < shots]
    return Draft(
        data=data,
        splits=splits,
        model=model,
        inputs=tuple(inputs),
        label=gold,
        choice=choice,
        labels=labels,
        few=some(few, SHOWN_LABELS),
        left_out=_left_out(data, splits, read, gold),
        lengths=_lengths(data, [*inputs, *([] if labels or gold in inputs else [gold])]),
        shots=shots,
        has_twice_the_shots=bool(few) or min(kept.values()) >= 2 * shots,
    )


def _gold_read(
    data: BroughtData, inputs: Sequence[str], label: str | None, written: Task | None
) -> tuple[BroughtData, str, TaskChoice]:
    """The data with its gold, the column of that, and the task type; as `draft`."""
    is_whole = reads_whole(data, inputs, written)
    data = data if label is None else data.with_used(inputs, label)
    gold = check_columns(data, inputs, label, is_whole=is_whole)
    choice = task_choice(data, gold, written, is_whole=is_whole)
    return choice.with_gold(data, gold), gold, choice


def _labels(data: BroughtData, splits: DraftSplits, label: str, values_in: ValuesIn) -> tuple[str, ...]:
    """Gold values of the split that shots come from and of those that are evaluated."""
    names = (splits.train, *splits.evaluated)
    texts = {text for name in names for text in present(data.texts(name, label))}
    found = sorted({value for text in texts for value in values_in(text)})
    if len(found) < 2:
        told = f"one value only, {quoted(found[0])}" if found else "no label"
        raise UserError(f"column {quoted(label)} of {data.path} has {told}")
    trimmed: dict[str, str] = {}
    for text in found:
        if (other := trimmed.setdefault(text.strip(), text)) != text:
            pair = f"{quoted(other)} and {quoted(text)}"
            raise UserError(
                f"column {quoted(label)} of {data.path}: {pair} differ in white space alone; mend the file"
            )
    return tuple(found)


def _lengths(data: BroughtData, columns: Sequence[str]) -> tuple[LengthProfile, ...]:
    samples = [
        sample_of(column, [text for name in data.tables for text in present(data.texts(name, column))])
        for column in columns
    ]
    return tuple(
        length_profile(sample, word_counts(sample.texts), word_counts(sample.longest), "words") for sample in samples
    )


def _left_out(data: BroughtData, splits: DraftSplits, inputs: Sequence[str], label: str) -> str:
    """What `on_missing: drop` leaves out where some rows cannot be used, in words."""
    without_label = without_input = with_hole = 0
    for name in (splits.train, *splits.evaluated):
        without_label += len(data.lacking(name, label))
        without_input += 0 if label in inputs else len(set.intersection(*(data.lacking(name, one) for one in inputs)))
        with_hole += len(left_out(data, name, inputs, label))
    parts = [(without_label, f"without {quoted(label)}"), (without_input, "without any input")]
    reasons = " and ".join(f"{number:,} {what}" for number, what in parts if number)
    return reasons and f"{counted(with_hole, 'row')} with an empty cell, {reasons}"
