"""The distinct sets of shots of a board; found in what is read anyway, so that thousands of rows cost nothing."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sft.config.canonical import key_of
from sft.leaderboard.board import Board
from sft.leaderboard.collect import ExperimentRecord
from sft.runs.files import JobFolder
from sft.runs.records import read_json_or_none

VERSION = 1
"""Raised when the same rows would give other numbers."""

_READING = ("args", "read", "splits", "on_missing", "labels", "max_n_train")
"""Keys of `dataset` on which the rows of the train split depend, beside the content of its files."""


@dataclass(frozen=True)
class ShotSet:
    """Experiments of a board that know the same training rows.

    Attributes:
        board: their board.
        record: the first of them.
        written: content of its `config.json`; empty where that cannot be read.
        seeds: their `seeds.shots`.
        train_indices: positions of the shots in the train split; none where no experiment of the board has shots.
    """

    board: Board
    record: ExperimentRecord
    written: Mapping[str, Any]
    seeds: tuple[int, ...]
    train_indices: tuple[int, ...]

    @property
    def shots(self) -> int | str:
        """As in `dataset.shots`."""
        shots: int | str = self.record.setting("dataset.shots") if self.train_indices else 0
        return shots

    @property
    def input_columns(self) -> tuple[str, ...]:
        """The columns that its experiments read."""
        return tuple(self.record.setting("prompting.input_columns") or ())

    @property
    def train_indices_sha256(self) -> str:
        """Names the shots."""
        return hashlib.sha256(json.dumps(list(self.train_indices)).encode()).hexdigest()

    @property
    def source(self) -> str:
        """Names the data that are read: those of one source are read once."""
        return key_of(_source(self))

    @property
    def key(self) -> str:
        """Names all that the numbers depend on."""
        evaluation = {name: self.record.setting(f"evaluation.{name}") for name in ("ece_bins", "ece_norm")}
        return key_of({**_source(self), **evaluation, "version": VERSION, "train_indices": list(self.train_indices)})


def shot_sets(board: Board) -> list[ShotSet]:
    """The sets of shots of a classification board, in the order of its rows; else none.

    A board of zero-shot experiments only has one empty set.
    """
    if board.labels is None:
        return []
    groups: dict[str, list[ExperimentRecord]] = {}
    for record in board.records:
        groups.setdefault(_group(record), []).append(record)
    with_shots = [records for records in groups.values() if _indices(records[0])]
    return [_shot_set(board, records) for records in with_shots or list(groups.values())]


def _shot_set(board: Board, records: Sequence[ExperimentRecord]) -> ShotSet:
    written = read_json_or_none(JobFolder(records[0].folder).config)
    seeds = dict.fromkeys(_seed(record) for record in records)
    return ShotSet(
        board, records[0], written if isinstance(written, Mapping) else {}, tuple(seeds), _indices(records[0])
    )


def _group(record: ExperimentRecord) -> str:
    shots = record.setting("dataset.shots") if _indices(record) else 0
    reading = [record.setting(f"dataset.{name}") for name in _READING]
    others = [record.setting(f"evaluation.{name}") for name in ("ece_bins", "ece_norm")]
    columns = record.setting("prompting.input_columns")
    return json.dumps([shots, _indices(record), columns, reading, others], sort_keys=True)


def _indices(record: ExperimentRecord) -> tuple[int, ...]:
    return tuple(record.part("data").get("train_indices") or ())


def _seed(record: ExperimentRecord) -> int:
    """Shots are drawn with the seed of the experiment where they have none of their own."""
    seed = record.setting("seeds.shots")
    return int(seed if seed is not None else record.seed or 0)


def _source(shot_set: ShotSet) -> dict[str, Any]:
    record, data = shot_set.record, shot_set.record.part("data")
    fingerprints = shot_set.written.get("fingerprints")
    return {
        "labels": list(shot_set.board.labels or ()),
        "columns": [shot_set.board.output_column, *shot_set.input_columns],
        "reading": {name: record.setting(f"dataset.{name}") for name in _READING},
        "files": fingerprints.get("data") if isinstance(fingerprints, Mapping) else None,
        "test": data.get("test_rows_sha256"),
        "dev": data.get("dev_rows_sha256"),
    }
