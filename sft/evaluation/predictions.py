"""`predictions.jsonl` and `predictions.tsv`: what was predicted for each evaluated row, and for which row.

The JSONL file is the record. The TSV file shows the same to spreadsheets: one physical line per row, with the
characters that would break a line or a cell as backslash escapes, so that nothing is lost.
"""

import csv
import io
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sft.data.cells.conversations import Conversation, OpenConversation
from sft.data.rows import Row
from sft.evaluation.outputs import SplitOutput
from sft.labels.label_sets import members
from sft.runs.atomic import write_text

OUR_COLUMNS = (
    "icl_indices",
    "predictions",
    "index",
    "source_index",
    "label_logprobs",
    "probabilities",
    "label_mass",
)
"""What a record holds beside data columns, in this order."""

FOLD = "fold"
"""The same of records whose rows are of folds: elsewhere a data column may have this name."""

_BREAKS_A_LINE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_NEEDS_ESCAPE = re.compile("[\\\\\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_SHORT_ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
_ESCAPE = re.compile(r"\\(u[0-9a-f]{4}|.)")
_SHORT_MEANINGS = {"\\": "\\", "t": "\t", "n": "\n", "r": "\r"}


@dataclass(frozen=True)
class Prediction:
    """What is known of one evaluated row beside its data.

    Attributes:
        text: the predicted gold value, or the generated text; where rows have any number of labels the list of them.
        index: position among the evaluated rows of its split, from 0.
        source_index: row in its split as read, from 0.
        icl_indices: where each row has examples of its own (`random_icl`, `nearest`), those rows.
        label_logprobs: by label, raw sums of log-probabilities, in nats; where rows have any number of labels those of
            yes and no.
        probabilities: by label, normalised and calibrated; `text` is the argmax of these.
        label_mass: how much probability falls on any label: the sum over `label_logprobs` as probabilities.
    """

    text: str | Sequence[str]
    index: int
    source_index: int
    icl_indices: Sequence[int] | None = None
    label_logprobs: Mapping[str, Any] | None = None
    probabilities: Mapping[str, float] | None = None
    label_mass: float | None = None
    fold: int | None = None
    """The fold that the row was tested in, from 0; None without folds."""


def has_folds(config: Mapping[str, Any]) -> bool:
    """Whether the rows of an experiment are of folds, by its resolved config."""
    splits = (config.get("dataset") or {}).get("splits") or {}
    return splits.get("folds") is not None


def our_columns(*, of_folds: bool) -> tuple[str, ...]:
    """What a record may hold beside data columns, in this order.

    Args:
        of_folds: whether its rows are of folds.
    """
    return (*OUR_COLUMNS, FOLD) if of_folds else OUR_COLUMNS


def stored_name(column: str, *, of_folds: bool) -> str:
    """The name under which records keep a data column: its own, or `data.NAME` where that is one of ours."""
    return f"data.{column}" if column in our_columns(of_folds=of_folds) else column


def prompt_column(column: str) -> str:
    """The name under which a record has the turns before the answer of a conversation in this column."""
    return f"{column}.prompt"


def kept_columns(values: Mapping[str, Any], keep: Sequence[str] | None, output_column: str) -> dict[str, Any]:
    """The data columns of a row that its record keeps, in the order of the data.

    Args:
        values: the row.
        keep: `dataset.keep_columns`; None keeps all.
        output_column: kept in any case, where the row has it; of a conversation it is the answer, and all turns before
            it stand beside it under this name and `.prompt`.
    """
    kept = {name: value for name, value in values.items() if keep is None or name in keep or name == output_column}
    conversation = kept.get(output_column)
    if not isinstance(conversation, Conversation):
        return kept
    prompt = {prompt_column(output_column): conversation.prompt} if keep is None or output_column in keep else {}
    if isinstance(conversation, OpenConversation):
        del kept[output_column]
        return kept | prompt
    return kept | {output_column: conversation.answer} | prompt


def prediction_record(columns: Mapping[str, Any], prediction: Prediction) -> dict[str, Any]:
    """One line of the JSONL file: kept data columns, then ours; a data column named like ours is `data.<name>`."""
    ours = our_columns(of_folds=prediction.fold is not None)
    record = {_free_name(name, columns, ours): _plain(value) for name, value in columns.items()}
    if prediction.icl_indices is not None:
        record["icl_indices"] = [int(index) for index in prediction.icl_indices]
    record["predictions"] = prediction.text
    record["index"] = prediction.index
    record["source_index"] = prediction.source_index
    for name in ("label_logprobs", "probabilities"):
        by_label = getattr(prediction, name)
        if by_label is not None:
            record[name] = {label: _plain(number) for label, number in by_label.items()}
    if prediction.label_mass is not None:
        record["label_mass"] = _plain(float(prediction.label_mass))
    if prediction.fold is not None:
        record[FOLD] = prediction.fold
    return record


def prediction_records(
    rows: Sequence[Row],
    output: SplitOutput,
    keep: Sequence[str] | None,
    output_column: str,
    examples: Sequence[Sequence[int]] | None,
    first: int = 0,
) -> list[dict[str, Any]]:
    """The records of rows, in their order.

    Args:
        rows: evaluated rows.
        output: what was predicted for them.
        keep: as in `kept_columns`, as is `output_column`.
        output_column: with the gold.
        examples: `source_index` of the in-context examples of each row, where rows have examples of their own.
        first: position of the first row among those of its split.
    """
    records = []
    for place, row in enumerate(rows):
        text = output.predictions[place]
        prediction = Prediction(
            text=list(members(text)) if output.has_label_sets else text,
            index=first + place,
            source_index=row.source_index,
            icl_indices=None if examples is None else examples[place],
            label_logprobs=output.by_label(output.label_logprobs, place),
            probabilities=output.by_label(output.probabilities, place),
            label_mass=None if output.label_mass is None else float(output.label_mass[place]),
            fold=None if output.folds is None else output.folds[place],
        )
        records.append(prediction_record(kept_columns(row.values, keep, output_column), prediction))
    return records


def write_predictions(jsonl: Path, tsv: Path, rows: Iterable[Mapping[str, Any]], *, of_folds: bool = False) -> None:
    """Write the records of one split to both files, atomically each; `of_folds` where each says its fold."""
    records = list(rows)
    write_text(jsonl, "".join(f"{json_line(record)}\n" for record in records))
    write_text(tsv, _tsv_text(records, our_columns(of_folds=of_folds)))


def read_predictions(jsonl: Path) -> list[dict[str, Any]]:
    """The records of a JSONL file."""
    with jsonl.open(encoding="utf-8", newline="\n") as file:
        return [json.loads(line) for line in file]


def unescape(cell: str) -> str:
    """The text that a TSV cell or column name stands for."""
    return _ESCAPE.sub(_meaning, cell)


def _free_name(name: str, columns: Mapping[str, Any], ours: Sequence[str]) -> str:
    if name not in ours:
        return name
    free = f"data.{name}"
    while free in columns:
        free = f"data.{free}"
    return free


def _plain(value: Any) -> Any:
    """A value that JSON can hold: no non-finite number, no array, no date object."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def json_line(record: Mapping[str, Any]) -> str:
    """JSON in one physical line for every reader, also those that take U+0085 or U+2028 for a line's end."""
    text = json.dumps(record, ensure_ascii=False, allow_nan=False)
    return _BREAKS_A_LINE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _tsv_text(records: Sequence[Mapping[str, Any]], ours: Sequence[str]) -> str:
    present = dict.fromkeys(name for record in records for name in record)
    names = [name for name in present if name not in ours] + [name for name in ours if name in present]
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter="\t", lineterminator="\n")
    writer.writerow([_escaped(name) for name in names])
    writer.writerows([_cell(record.get(name)) for name in names] for record in records)
    return buffer.getvalue()


def _cell(value: Any) -> str:
    """A value as a cell: what is no text as JSON, so that a list or an object can be read back."""
    if value is None:
        return ""
    return _escaped(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, allow_nan=False))


def _escaped(text: str) -> str:
    return _NEEDS_ESCAPE.sub(lambda match: _SHORT_ESCAPES.get(match[0], f"\\u{ord(match[0]):04x}"), text)


def _meaning(match: re.Match[str]) -> str:
    code = match[1]
    return chr(int(code[1:], 16)) if len(code) == 5 else _SHORT_MEANINGS.get(code, match[0])
