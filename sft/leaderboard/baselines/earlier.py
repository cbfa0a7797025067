"""The numbers of baselines that earlier versions kept in `baselines.json` of a results folder; only read."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

from sft.config.canonical import key_of
from sft.leaderboard.baselines.shot_sets import ShotSet
from sft.leaderboard.collect import ExperimentRecord, finite_number
from sft.runs.files import JobFolder, ResultsFolder
from sft.runs.records import read_json_or_none

SCHEMA = 1
VERSION = 1
"""Of the numbers, as it stands in their keys."""

_READING = ("args", "read", "splits", "on_missing", "labels", "max_n_train")
"""Keys of `dataset` on which the rows of the train split depend, beside the content of its files."""

Entries = Mapping[str, Mapping[str, Any]]
"""Baseline -> its `results` by metric, and the `reason` why there are none."""


def kept_numbers(folders: Sequence[ResultsFolder]) -> dict[str, Entries]:
    """What is known, by `key_of_set`; a file that is absent, damaged or of another version knows nothing."""
    known: dict[str, Entries] = {}
    for folder in folders:
        record = read_json_or_none(folder.baselines)
        if isinstance(record, Mapping) and record.get("schema") == SCHEMA and isinstance(record.get("known"), Mapping):
            known |= {key: entries for key, entries in record["known"].items() if is_whole(entries)}
    return known


def key_of_set(shot_set: ShotSet) -> str:
    """The name under which the numbers on a set of shots were kept."""
    first, board = shot_set.records[0], shot_set.board
    written = read_json_or_none(JobFolder(first.folder).config)
    fingerprints = written.get("fingerprints") if isinstance(written, Mapping) else None
    data = first.part("data")
    return key_of(
        {
            "labels": list(board.labels or ()),
            "columns": [board.output_column, *shot_set.input_columns],
            "reading": {name: first.setting(f"dataset.{name}") for name in _READING} | _on_missing(first),
            "files": fingerprints.get("data") if isinstance(fingerprints, Mapping) else None,
            "test": data.get("test_rows_sha256"),
            "dev": data.get("dev_rows_sha256"),
            **{name: first.setting(f"evaluation.{name}") for name in ("ece_bins", "ece_norm")},
            "version": VERSION,
            "train_indices": list(shot_set.train_indices),
        }
    )


def _on_missing(record: ExperimentRecord) -> dict[str, str]:
    """As earlier versions wrote it, whose default was `error`; all but `drop` read the same rows."""
    return {"on_missing": "drop" if record.setting("dataset.on_missing") == "drop" else "error"}


def is_whole(entries: Any) -> TypeGuard[Entries]:
    """Whether the baselines of one key are all as they were written."""
    return (
        isinstance(entries, Mapping)
        and bool(entries)
        and all(
            isinstance(entry, Mapping)
            and isinstance(entry.get("results"), Mapping)
            and all(finite_number(value) is not None for value in entry["results"].values())
            for entry in entries.values()
        )
    )
