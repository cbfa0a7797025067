"""The columns of a board in a report for people: header and value of each, in order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sft.evaluation.selection import DEV
from sft.leaderboard.board import Board, direction, uncalibrated
from sft.leaderboard.collect import ExperimentRecord
from sft.leaderboard.origins import told_apart
from sft.leaderboard.setting_differences import differing
from sft.leaderboard.settings import learning_rate, setting_texts, shared
from sft.runs.records import STAGES
from sft.wording import GIB, UNSET, plain_text

NOT_APPLICABLE = "n/a"
DEFAULT_RANK = 8


@dataclass(frozen=True)
class Column:
    """A header and what stands below it.

    Attributes:
        header: its name.
        cells: one text per row of the board; unequal values have unequal texts.
        is_kept: whether it is shown also where all rows have the same.
    """

    header: str
    cells: Sequence[str]
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
    shown: list[Column] = []
    same: list[tuple[str, str]] = []
    for column in _all_columns(board):
        if column.is_kept or len(set(column.cells)) > 1:
            shown.append(column)
        else:
            same.append((column.header, column.cells[0]))
    others = [(path, plain_text(value)) for path, value in shared(board.records).items() if path not in _SHOWN]
    constants = tuple((header, text) for header, text in [*same, *others] if text not in (NOT_APPLICABLE, UNSET))
    cells = tuple(zip(*(column.cells for column in shown), strict=True))
    return BoardTable(tuple(column.header for column in shown), cells, constants)


def _all_columns(board: Board) -> list[Column]:
    records = board.records
    others = [path for path in differing([record.settings_in_force for record in records]) if path not in _SHOWN]
    timed = (stage for record in records for stage in record.part("timing"))
    stages = dict.fromkeys([*STAGES, *timed])
    return [
        Column("#", [NOT_APPLICABLE if row.rank is None else str(row.rank) for row in board.rows], is_kept=True),
        Column("experiment", told_apart(records), is_kept=True),
        *(
            _part_column(records, metric_title(board, name), "results", name, ".4f", is_kept=True)
            for name in metric_names(board)
        ),
        *(
            Column(header, [NOT_APPLICABLE if text is None else text for text in setting_texts(records, path)])
            for header, path in [*((path, path) for path in others), *_NAMED.items()]
        ),
        *_rank_columns(records),
        Column("learning rate", [number_text(learning_rate(record), "") for record in records]),
        *(_part_column(records, f"{split} rows", "data", f"n_{split}", "d") for split in ("train", "dev", "test")),
        *(_part_column(records, f"{stage} s", "timing", stage, ".1f", is_kept=True) for stage in stages),
        _part_column(records, "queue s", "resources", "queue_seconds", ".1f"),
        _memory_column(records, "peak RSS GiB", "peak_rss_bytes"),
        _memory_column(records, "peak GPU GiB", "peak_gpu_bytes"),
    ]


def _part_column(
    records: Sequence[ExperimentRecord], header: str, part: str, key: str, form: str, *, is_kept: bool = False
) -> Column:
    return Column(header, [number_text(record.part(part).get(key), form) for record in records], is_kept)


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


def _rank_columns(records: Sequence[ExperimentRecord]) -> list[Column]:
    """The rank of the saved adapter, where it differs from the one that was trained."""
    exported = [record.part("resources").get("exported_rank") for record in records]
    trained = [_written_rank(record.settings_in_force) for record in records]
    if all(rank in (None, own) for rank, own in zip(exported, trained, strict=True)):
        return []
    return [Column("exported rank", [number_text(rank, "d") for rank in exported])]


def _written_rank(settings: Mapping[str, Any]) -> Any:
    """The rank that was trained, by the section that says it."""
    written = (settings.get(path) for path in ("lora.r", "adapter.r"))
    return next((rank for rank in written if rank is not None), DEFAULT_RANK)


def _memory_column(records: Sequence[ExperimentRecord], header: str, key: str) -> Column:
    sizes = [record.part("resources").get(key) for record in records]
    return Column(header, [number_text(None if size is None else size / GIB, ".2f") for size in sizes])
