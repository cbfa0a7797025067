"""The columns of a board in a report for people: header and value of each, in order."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sft.evaluation.rows import DEV
from sft.leaderboard.board import Board, RankedRow, direction, uncalibrated
from sft.leaderboard.collect import ExperimentRecord
from sft.leaderboard.setting_differences import differing
from sft.leaderboard.settings import learning_rate, shared, trains
from sft.runs.records import STAGES
from sft.wording import GIB, UNSET, plain_text

NOT_APPLICABLE = "n/a"
DEFAULT_RANK = 8

Value = Callable[[RankedRow], str]


@dataclass(frozen=True)
class Column:
    """A header and what stands below it for a row.

    Attributes:
        header: its name.
        value: the text of a row's cell.
        is_kept: whether it is shown also where all rows have the same.
    """

    header: str
    value: Value
    is_kept: bool = False


_NAMED: Mapping[str, str] = {
    "dataset": "dataset.path",
    "model": "model.name",
    "task type": "dataset.task_type",
    "shots": "dataset.shots",
    "max input": "prompting.max_input_length",
    "max output": "prompting.max_output_length",
    "max prompt": "inference.max_seq_length",
    "max training": "training.trainer_args.max_length",
    "ICL (training)": "training.icl_examples",
    "ICL (inference)": "inference.icl_examples",
    "seed": "seed",
}
"""Settings with a header of their own; the lengths are in tokens."""

_SHOWN = frozenset({*_NAMED.values(), "training.trainer_args.learning_rate", "evaluation.metrics"})
_TRAINING_ONLY = frozenset({"training.trainer_args.max_length", "training.icl_examples"})


@dataclass(frozen=True)
class BoardTable:
    """The experiments of a board as texts.

    Attributes:
        headers: rank, name, metrics and seconds, and between them everything in which the rows differ.
        cells: row by row, best first.
        constants: (header, value) of what has a column where rows differ, and is the same in all of these; then other
            settings.
    """

    headers: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]
    constants: tuple[tuple[str, str], ...]


def board_table(board: Board) -> BoardTable:
    """The table of a board; each cell is worked out once, which is what a report of thousands of rows costs."""
    shown, same = [], []
    for column in _all_columns(board):
        texts = [column.value(row) for row in board.rows]
        if column.is_kept or len(set(texts)) > 1:
            shown.append((column.header, texts))
        else:
            same.append((column.header, texts[0]))
    others = [(path, plain_text(value)) for path, value in shared(board.records).items() if path not in _SHOWN]
    constants = tuple((header, text) for header, text in [*same, *others] if text not in (NOT_APPLICABLE, UNSET))
    cells = tuple(zip(*(texts for _, texts in shown), strict=True))
    return BoardTable(tuple(header for header, _ in shown), cells, constants)


def _all_columns(board: Board) -> list[Column]:
    others = [path for path in differing([record.settings for record in board.records]) if path not in _SHOWN]
    timed = (stage for record in board.records for stage in record.part("timing"))
    stages = dict.fromkeys([*STAGES, *timed])
    return [
        Column("#", lambda row: NOT_APPLICABLE if row.rank is None else str(row.rank), is_kept=True),
        Column("experiment", lambda row: row.record.name, is_kept=True),
        *(
            _part_column(metric_title(board, name), "results", name, ".4f", is_kept=True)
            for name in metric_names(board)
        ),
        *(_setting_column(path, path) for path in others),
        *(_setting_column(header, path) for header, path in _NAMED.items()),
        *_rank_columns(board),
        _record_column("learning rate", lambda record: number_text(learning_rate(record), "g")),
        *(_part_column(f"{split} rows", "data", f"n_{split}", "d") for split in ("train", "dev", "test")),
        *(_part_column(f"{stage} s", "timing", stage, ".1f", is_kept=True) for stage in stages),
        _memory_column("peak RSS GiB", "peak_rss_bytes"),
        _memory_column("peak GPU GiB", "peak_gpu_bytes"),
    ]


def _record_column(header: str, value: Callable[[ExperimentRecord], str], *, is_kept: bool = False) -> Column:
    return Column(header, lambda row: value(row.record), is_kept)


def _part_column(header: str, part: str, key: str, form: str, *, is_kept: bool = False) -> Column:
    return _record_column(header, lambda record: number_text(record.part(part).get(key), form), is_kept=is_kept)


def number_text(value: Any, form: str) -> str:
    """A number in a form of `format`, such as `.4f`; anything else is not applicable."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return format(value, form) if is_number else NOT_APPLICABLE


def metric_names(board: Board) -> list[str]:
    """All results of the board's rows.

    The one that ranks stands first, without the calibrator beside it, then its test form where that is the dev one.
    """
    names = list(dict.fromkeys(name for record in board.records for name in record.part("results")))
    if board.metric is None:
        return names
    forms = (board.metric, board.metric.removeprefix(DEV))
    first = [name for form in forms for name in (form, uncalibrated(form)) if name in names]
    return list(dict.fromkeys([*first, *names]))


def metric_title(board: Board, name: str) -> str:
    """A result with an arrow to its better side."""
    owner = next(record for record in board.records if name in record.part("results"))
    return f"{name} {'↑' if direction(owner, name) else '↓'}"


def _setting_column(header: str, path: str) -> Column:
    def value(record: ExperimentRecord) -> str:
        if path in _TRAINING_ONLY:
            return plain_text(record.settings.get(path)) if trains(record) else NOT_APPLICABLE
        return plain_text(record.settings[path]) if path in record.settings else NOT_APPLICABLE

    return _record_column(header, value)


def _rank_columns(board: Board) -> list[Column]:
    """The rank of the saved adapter, where it differs from the one that was trained."""

    def exported(record: ExperimentRecord) -> Any:
        return record.part("resources").get("exported_rank")

    if not any(
        exported(record) not in (None, record.settings.get("lora.r", DEFAULT_RANK)) for record in board.records
    ):
        return []
    return [_record_column("exported rank", lambda record: number_text(exported(record), "d"))]


def _memory_column(header: str, key: str) -> Column:
    def value(record: ExperimentRecord) -> str:
        size = record.part("resources").get(key)
        return number_text(None if size is None else size / GIB, ".2f")

    return _record_column(header, value)
