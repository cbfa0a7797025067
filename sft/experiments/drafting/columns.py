"""Which columns are read and which is predicted: what is written is checked, and what is not is suggested."""

import shlex
from collections.abc import Sequence

from sft.data.cells.conversations import ConversationColumn
from sft.data.cells.derived import DerivedTable
from sft.data.profile.lengths import word_counts
from sft.exceptions import UserError
from sft.experiments.drafting.reading import BroughtData, present
from sft.wording import listed, quoted

USUAL_LABELS = ("label", "labels", "category", "class", "intent", "sentiment", "topic", "target", "answer", "output")
MOST_VALUES = 50
A_TEXT_HAS_WORDS = 3
A_LABEL_HAS_WORDS = 5
A_LABEL_HAS_ROWS = 5


def parted(data: BroughtData, written: Sequence[str]) -> list[str]:
    """Columns that are written one by one or with commas between them; a column's own comma parts nothing."""
    found = [[text] if text in data.columns else text.split(",") for text in written]
    return list(dict.fromkeys(name if name in data.columns else name.strip() for part in found for name in part))


def check_columns(data: BroughtData, inputs: Sequence[str], label: str | None, *, is_whole: bool) -> str:
    """Make sure that the columns are written, are there and hold something; the label's.

    Args:
        data: what was brought.
        inputs: the columns that the model reads.
        label: the column that is predicted, or learned whole; None = not written.
        is_whole: whether it is learned whole, so that the one column there is need not be written.

    Raises:
        UserError: they are not, with the columns that there are and a command that would do; or there is no row.
    """
    if not any(table.n_rows for table in data.tables.values()):
        raise UserError(f"{data.path}: there are no rows, only the columns {listed(data.columns)}")
    if is_whole:
        label = _whole_column(data, inputs, label)
    elif label is None:
        meant = "--inputs must say which columns are read, and --label which is predicted"
        meant = "--label must say which column is predicted" if inputs else meant
        raise UserError(f"{data.path}: {meant}; {_columns(data)}")
    elif not inputs:
        whole = "or --task text, which learns that column whole"
        raise UserError(f"{data.path}: --inputs must say which columns are read, {whole}; {_columns(data)}")
    for column in dict.fromkeys([*inputs, label]):
        if column not in data.columns:
            raise UserError(f"column {quoted(column)} not found in {data.path}; {_columns(data)}")
        if not any(present(data.texts(split, column)) for split in data.tables):
            raise UserError(f"column {quoted(column)} of {data.path} is empty in every row; {_columns(data)}")
    if label in inputs and not (len(inputs) == 1 and is_conversation(data, label)):
        raise UserError(
            f"--label {label} is also among --inputs, so the prompt would hold the answer; leave it out there"
        )
    return label


def _whole_column(data: BroughtData, inputs: Sequence[str], label: str | None) -> str:
    if inputs:
        raise UserError(f"--inputs {','.join(inputs)}: a text is learned whole, with nothing before it; leave it out")
    if label is None and len(data.columns) > 1:
        columns = listed(data.columns)
        raise UserError(f"{data.path}: --label must say which column is learned whole; columns are: {columns}")
    return data.columns[0] if label is None else label


def _columns(data: BroughtData) -> str:
    command = shlex.join(_suggested(data))
    return f"columns are: {listed(data.columns)}; for example: {command}"


def _suggested(data: BroughtData) -> list[str]:
    """The command that a person most likely means."""
    split = max(data.tables, key=lambda name: data.tables[name].n_rows)
    cells = {column: present(data.texts(split, column)) for column in data.columns}
    n_values = {column: len(set(texts)) for column, texts in cells.items()}
    few = [
        column
        for column, number in n_values.items()
        if 2 <= number <= MOST_VALUES and 2 * number <= len(cells[column])
    ]
    usual = [column for name in USUAL_LABELS for column in data.columns if column.lower() == name]
    label = next(iter([*usual, *sorted(few, key=lambda column: n_values[column])]), data.columns[-1])
    words = {column: sum(word_counts(texts)) / max(1, len(texts)) for column, texts in cells.items()}
    others = [column for column in data.columns if column != label]
    texts = [column for column in others if words[column] >= A_TEXT_HAS_WORDS]
    inputs = texts or sorted(others, key=lambda column: -words[column])[:1] or [label]
    if turns := data.turns():
        inputs, label = [turns[0]], turns[0]
    named = [",".join(inputs)] if not any("," in column for column in inputs) else inputs
    return ["sft", "new", data.path, *(part for name in named for part in ("--inputs", name)), "--label", label]


def is_conversation(data: BroughtData, label: str) -> bool:
    """Whether a used column holds turns, of which the last of the assistant is predicted."""
    return any(
        isinstance(table, DerivedTable) and isinstance(table.column(label), ConversationColumn)
        for table in data.tables.values()
        if table.has(label)
    )


def column_texts(data: BroughtData, column: str) -> list[str]:
    """The cells of a column that hold something, of all splits."""
    return [text for split in data.tables for text in present(data.texts(split, column))]


def free_text(data: BroughtData, label: str) -> tuple[bool, str]:
    """Whether a column holds free text and not labels, and why it is thought so."""
    if is_conversation(data, label):
        return True, "the last turn of the assistant is the output"
    texts = column_texts(data, label)
    return not are_labels(texts), f"{quoted(label)} has {len(set(texts)):,} different values in {len(texts):,} rows"


def are_labels(texts: Sequence[str]) -> bool:
    """Whether texts are labels, of which each comes again and again; where there are many they are short, too."""
    values = set(texts)
    is_long_list = len(values) > MOST_VALUES and (
        sum(word_counts(list(values))) > A_LABEL_HAS_WORDS * len(values) or A_LABEL_HAS_ROWS * len(values) > len(texts)
    )
    return 2 * len(values) <= len(texts) and not is_long_list
