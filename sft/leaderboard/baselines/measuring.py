"""Baselines of boards: taken from results folders where they are known, measured once on the shots that the
experiments had where not.

Measuring reads the data and takes seconds, so it is done by `sft leaderboard` and at the end of a run; the refresh of
the board while a grid runs shows what is known and measures nothing.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sft.config.experiment import ExperimentConfig
from sft.data.rows import Row
from sft.errors import DataError, SftError
from sft.evaluation.metrics.formulas import classification_numbers
from sft.evaluation.rows import DEV
from sft.evaluation.selection import entry_of, options_of
from sft.leaderboard.baselines.classifiers import LabelledTexts, Probabilities, majority, tfidf_regression
from sft.leaderboard.baselines.shot_sets import ShotSet, shot_sets
from sft.leaderboard.board import Board
from sft.leaderboard.collect import finite_number
from sft.leaderboard.records import MAJORITY, TFIDF, Baseline, Baselines, LeftOut, ShotSetBaseline
from sft.runs.atomic import write_json
from sft.runs.files import ResultsFolder
from sft.runs.records import read_json_or_none
from sft.tasks.inputs import Inputs, planned_inputs, row_text, rows_sha256


@dataclass(frozen=True)
class Measured:
    """The numbers of one baseline on one set of shots, or why there are none."""

    results: Mapping[str, float]
    reason: str | None = None


_Sets = list[tuple[ShotSet, Mapping[str, Measured]]]

SCHEMA = 1


@dataclass(frozen=True)
class SourceRows:
    """The rows of one source of data as the baselines read them; `evaluated` by the prefix of its numbers."""

    train: LabelledTexts
    by_index: Mapping[int, tuple[str, int]]
    evaluated: Mapping[str, LabelledTexts]
    config: ExperimentConfig
    folder: Path


def read_rows(shot_set: ShotSet) -> SourceRows:
    """Read the data of a set of shots by its recorded config.

    Raises:
        DataError: they changed since, or are gone.
    """
    written = shot_set.written
    if not all(name in written for name in ("config", "config_folder", "fingerprints")):
        raise DataError(f"the record {shot_set.record.folder.name}/config.json cannot be read")
    config = ExperimentConfig.model_validate(written["config"])
    inputs = planned_inputs(config, Path(written["config_folder"]), written["fingerprints"])
    recorded = shot_set.record.part("data")
    evaluated = {"" if split == "test" else DEV: rows for split, rows in inputs.evaluated().items()}
    for prefix, rows in evaluated.items():
        if rows_sha256(rows) != recorded.get(f"{prefix or 'test_'}rows_sha256"):
            raise DataError(f"the {'dev' if prefix else 'test'} rows are not those that were evaluated")
    places = {label: place for place, label in enumerate(shot_set.board.labels or ())}
    split = () if inputs.splits.train is None else inputs.splits.train.rows
    column = config.prompting.output_column
    known = [row for row in split if column in row.values and row.text(column) in places]
    return SourceRows(
        _labelled(inputs, inputs.selection.train if known else (), places),
        {row.source_index: (row_text(row, config.prompting), places[row.text(column)]) for row in known},
        {prefix: _labelled(inputs, rows, places) for prefix, rows in evaluated.items()},
        config,
        Path(written["config_folder"]),
    )


def measure(shot_set: ShotSet, rows: SourceRows) -> dict[str, Measured]:
    """Every baseline on a set of shots, by name.

    Raises:
        DataError: a shot is not in the train split.
    """
    missing = [index for index in shot_set.train_indices if index not in rows.by_index]
    if missing:
        raise DataError(f"row {missing[0]} of the train split is not there any more")
    found = [rows.by_index[index] for index in shot_set.train_indices]
    shots = LabelledTexts([text for text, _ in found], np.array([label for _, label in found], dtype=np.int64))
    n_labels = len(shot_set.board.labels or ())
    measured = {
        MAJORITY: _measured(
            lambda texts: majority(shots.labels, rows.train.labels, n_labels, len(texts)), shot_set, rows
        )
    }
    if shot_set.train_indices:
        measured[TFIDF] = _measured(lambda texts: tfidf_regression(shots, texts, n_labels), shot_set, rows)
    return measured


def _measured(predict: Callable[[Sequence[str]], Probabilities], shot_set: ShotSet, rows: SourceRows) -> Measured:
    """All splits at once, so that a baseline learns once."""
    texts = [text for split in rows.evaluated.values() for text in split.texts]
    try:
        probabilities = predict(texts)
    except DataError as error:
        return Measured({}, str(error))
    arguments = options_of(entry_of("ece"), rows.config.evaluation.model_extra or {}, rows.folder)
    results: dict[str, float] = {}
    begin = 0
    for prefix, split in rows.evaluated.items():
        own = probabilities[begin : begin + len(split.texts)]
        begin += len(split.texts)
        numbers = classification_numbers(split.labels, own, arguments["ece_bins"], arguments["ece_norm"])
        results |= {f"{prefix}{name}": number for name, number in numbers.items()}
    return Measured(results)


def _labelled(inputs: Inputs, rows: Sequence[Row], places: Mapping[str, int]) -> LabelledTexts:
    prompting = inputs.config.prompting
    labels = [places[row.text(prompting.output_column)] for row in rows]
    return LabelledTexts([row_text(row, prompting) for row in rows], np.array(labels, dtype=np.int64))


def baselines_of(
    boards: Sequence[Board], folders: Sequence[ResultsFolder], to: ResultsFolder, *, measures: bool
) -> Baselines:
    """The baselines of classification boards; one that cannot be had is left out with a reason.

    Args:
        boards: of the leaderboard.
        folders: where numbers may be known from before.
        to: where new numbers are kept.
        measures: whether what is not known is measured.
    """
    stored = read_stored([*folders, to])
    sources: dict[str, SourceRows | str] = {}
    found: list[Baseline] = []
    left_out: list[LeftOut] = []
    used: dict[str, Mapping[str, Measured]] = {}
    for board in boards:
        sets: _Sets = []
        for shot_set in shot_sets(board):
            known = stored.get(shot_set.key)
            measured = known if known is not None or not measures else _measure(shot_set, sources)
            if isinstance(measured, str):
                left_out.append(LeftOut(board.id, "baselines", shot_set.shots, measured))
            elif measured is not None:
                used[shot_set.key] = measured
                sets.append((shot_set, measured))
        found += _baselines(board, sets)
        left_out += _left_out(board, sets)
    if any(key not in stored for key in used):
        write_stored(to, used)
    return Baselines(tuple(found), tuple(dict.fromkeys(left_out)))


def _measure(shot_set: ShotSet, sources: dict[str, SourceRows | str]) -> Mapping[str, Measured] | str:
    """The numbers on a set of shots, or why they cannot be had; whatever is wrong, the board stands without them."""
    source = shot_set.source
    try:
        if source not in sources:
            sources[source] = read_rows(shot_set)
        rows = sources[source]
        return rows if isinstance(rows, str) else measure(shot_set, rows)
    except SftError as error:
        reason = str(error)
    except Exception as error:  # noqa: BLE001  a board must not fail for what stands beside it
        reason = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
    sources.setdefault(source, reason)
    return reason


def _baselines(board: Board, sets: _Sets) -> Iterator[Baseline]:
    """The sets of equal size and columns together, each name once."""
    shown = list(dict.fromkeys(name for record in board.records for name in record.part("results")))
    alike: dict[tuple[str, int | str, tuple[str, ...]], list[tuple[ShotSet, Measured]]] = {}
    for shot_set, measured in sets:
        for name, one in measured.items():
            if one.reason is None:
                alike.setdefault((name, shot_set.shots, shot_set.input_columns), []).append((shot_set, one))
    for (name, shots, columns), members in sorted(alike.items(), key=lambda item: item[0][0] != MAJORITY):
        own = tuple(
            ShotSetBaseline(
                shot_set.train_indices_sha256,
                shot_set.seeds,
                len(shot_set.train_indices),
                {metric: one.results[metric] for metric in shown if metric in one.results},
            )
            for shot_set, one in members
        )
        common = [metric for metric in own[0].results if all(metric in item.results for item in own)]
        means = {metric: sum(item.results[metric] for item in own) / len(own) for metric in common}
        yield Baseline(board.id, name, shots, columns, means, own)


def _left_out(board: Board, sets: _Sets) -> Iterator[LeftOut]:
    for shot_set, measured in sets:
        for name, one in measured.items():
            if one.reason is not None:
                yield LeftOut(board.id, name, shot_set.shots, one.reason)


def read_stored(folders: Sequence[ResultsFolder]) -> dict[str, Mapping[str, Measured]]:
    """What is known, by key and name; a file that is absent, damaged or of another version knows nothing."""
    known: dict[str, Mapping[str, Measured]] = {}
    for folder in folders:
        record = read_json_or_none(folder.baselines)
        if isinstance(record, Mapping) and record.get("schema") == SCHEMA and isinstance(record.get("known"), Mapping):
            for key, entries in record["known"].items():
                measured = _measured_of_entries(entries)
                if measured is not None:
                    known[key] = measured
    return known


def write_stored(folder: ResultsFolder, known: Mapping[str, Mapping[str, Measured]]) -> None:
    """Keep what the boards of today use; it is made anew from the data when it is lost."""
    entries = {
        key: {name: {"results": dict(one.results), "reason": one.reason} for name, one in measured.items()}
        for key, measured in known.items()
    }
    write_json(folder.baselines, {"schema": SCHEMA, "known": entries}, durable=False)


def _measured_of_entries(entries: Any) -> dict[str, Measured] | None:
    """The baselines of one key, None where one of them is not as it was written."""
    if not isinstance(entries, Mapping) or not entries:
        return None
    found = {}
    for name, entry in entries.items():
        results, reason = (entry.get("results"), entry.get("reason")) if isinstance(entry, Mapping) else (None, None)
        if not isinstance(results, Mapping) or not all(finite_number(value) is not None for value in results.values()):
            return None
        found[name] = Measured(dict(results), None if reason is None else str(reason))
    return found
