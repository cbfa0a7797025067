"""The distinct sets of shots of a board; found in what is read anyway, so that thousands of rows cost nothing."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sft.leaderboard.board import Board
from sft.leaderboard.collect import ExperimentRecord


@dataclass(frozen=True)
class ShotSet:
    """Experiments of a board that know the same training rows and read the same columns.

    Attributes:
        board: their board.
        records: in the order of the board.
    """

    board: Board
    records: tuple[ExperimentRecord, ...]

    @property
    def shots(self) -> int | str:
        """As in `dataset.shots`."""
        return _shots(self.records[0])

    @property
    def input_columns(self) -> tuple[str, ...]:
        """The columns that its experiments read."""
        return tuple(self.records[0].setting("prompting.input_columns") or ())

    @property
    def train_indices(self) -> tuple[Any, ...]:
        """Positions of the shots in the train split, with folds a list per fold; none where the board has no shots."""
        return _indices(self.records[0])

    @property
    def n_train(self) -> int:
        """The shots, with folds those of the fold that has fewest."""
        per_fold = [own for own in self.train_indices if isinstance(own, list)]
        return min(map(len, per_fold)) if per_fold else len(self.train_indices)

    @property
    def train_indices_sha256(self) -> str:
        """Names the shots."""
        return self.records[0].shots_sha256

    @property
    def seeds(self) -> tuple[int, ...]:
        """Their `seeds.shots`, each once."""
        return tuple(dict.fromkeys(map(_seed, self.records)))

    @property
    def jobs(self) -> list[Path]:
        """The folders of the jobs that measure its baselines: several in joined results folders."""
        return list(dict.fromkeys(record.baseline for record in self.records if record.baseline is not None))


def shot_sets(board: Board) -> list[ShotSet]:
    """The sets of shots of a board that baselines stand beside, in the order of its rows; of any other none.

    A board of zero-shot experiments only has one empty set. A classification of an earlier version names no job.
    """
    if board.labels is None and all(record.baseline is None for record in board.records):
        return []
    groups: dict[tuple[str, str | None], list[ExperimentRecord]] = {}
    for record in board.records:
        job = None if record.baseline is None else record.baseline.name
        groups.setdefault((_known_rows(record), job), []).append(record)
    # What an earlier version ran has no job of its own, and may stand beside runs with the same shots that have one.
    with_job = {rows for rows, job in groups if job is not None}
    sets = [ShotSet(board, tuple(records)) for (rows, job), records in groups.items() if job or rows not in with_job]
    return [found for found in sets if found.train_indices] or sets


def _known_rows(record: ExperimentRecord) -> str:
    """What the numbers depend on, as far as an experiment's own files tell."""
    columns = record.setting("prompting.input_columns")
    options = [record.setting(f"evaluation.{name}") for name in ("ece_bins", "ece_norm")]
    return json.dumps([_shots(record), _indices(record), columns, options], sort_keys=True)


def _shots(record: ExperimentRecord) -> int | str:
    shots: int | str = record.setting("dataset.shots") if _indices(record) else 0
    return shots


def _indices(record: ExperimentRecord) -> tuple[Any, ...]:
    return tuple(record.part("data").get("train_indices") or ())


def _seed(record: ExperimentRecord) -> int:
    """Shots are drawn with the seed of the experiment where they have none of their own."""
    seed = record.setting("seeds.shots")
    return int(seed if seed is not None else record.seed or 0)
