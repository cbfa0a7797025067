"""Rows as the model will see them, on the terminal."""

from collections.abc import Mapping
from typing import Any


def inspection_text(found: Mapping[str, Any]) -> str:
    """Each row's text, with the answer marked, its ids, what was cut, then the ids of the labels."""
    lines: list[str] = []
    for row in found["rows"]:
        lines += [*_row_lines(row), ""]
    if found["label_ids"]:
        lines.append("Label tokens, with those of the stop:")
        lines += [f"  {label!r}: {ids}" for label, ids in found["label_ids"].items()]
    return "\n".join(lines)


def _row_lines(row: Mapping[str, Any]) -> list[str]:
    n_prompt, n_completion = len(row["prompt_ids"]), len(row["completion_ids"])
    title = (
        f"{row['split']} {row['index']} (row {row['source_index']}): {n_prompt} prompt + {n_completion} answer tokens"
    )
    notes = []
    if row["cut"]:
        notes.append("cut: " + ", ".join(f"{name} {count}" for name, count in row["cut"].items() if count))
    if row["n_special"]:
        notes.append(f"{row['n_special']} control-token strings in the data, read as ordinary text")
    text = [f"  | {line}" for line in row["text"].splitlines()]
    return [title, *(f"  {note}" for note in notes), *text, f"  answer ids (trained, scored): {row['completion_ids']}"]
