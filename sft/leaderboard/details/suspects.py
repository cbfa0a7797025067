"""Evaluated rows that every run of every leading set-up contradicts: their gold may be wrong."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sft.evaluation.recomputing import predicted_rows as rows_of_predictions
from sft.evaluation.rows import EvaluatedRows, read_rows
from sft.evaluation.selection import DEV
from sft.leaderboard.collect import ExperimentRecord
from sft.leaderboard.details.sources import PredictedRow, input_columns, input_texts, predicted_rows
from sft.leaderboard.groups import Group, leading_groups
from sft.runs.files import JobFolder


@dataclass(frozen=True)
class SuspectRow:
    """An evaluated row that all leading runs contradict.

    Attributes:
        index: position among the evaluated rows.
        source_index: position in the split; None in records that do not tell.
        text: of the input columns.
        gold: of the data.
        said: (label, runs) what the runs say in its place, the most frequent first.
        probability: of what each run says, mean over runs.
        gold_probability: of the gold label, mean over runs.
    """

    index: int
    source_index: int | None
    text: str
    gold: str
    said: tuple[tuple[str, int], ...]
    probability: float
    gold_probability: float


@dataclass(frozen=True)
class SuspectList:
    """The rows of a board whose gold may be wrong.

    Attributes:
        split: of the rows.
        groups: names of the leading set-ups: the best, and those that are not shown to be worse.
        n_runs: their runs.
        n_rows: evaluated rows.
        rows: those that all of these runs contradict, the least probable gold label first.
        has_texts: whether the predictions keep any column that the model reads.
    """

    split: str
    groups: tuple[str, ...]
    n_runs: int
    n_rows: int
    rows: tuple[SuspectRow, ...]
    has_texts: bool


def suspects(groups: Sequence[Group], split: str = "test") -> SuspectList | None:
    """The rows of a board that all leading set-ups contradict; None without label probabilities of any of them.

    Set-ups with a run whose rows cannot be read are left out.

    Args:
        groups: of one board, best first, with their marks.
        split: `test` or `dev`.
    """
    known = [(group, _rows_of(group, split)) for group in leading_groups(groups)]
    readable = [(group, rows) for group, rows in known if rows]
    if not readable:
        return None
    runs = [rows for _, own in readable for rows in own]
    first = readable[0][0].runs[0]
    found = _contradicted(runs, sorted(map(str, first.part("details")["labels"])))
    lines = predicted_rows(first, split) if found else []
    columns = input_columns(first)
    if len(lines) == len(runs[0]):
        found = [_with_text(row, lines[row.index], columns) for row in found]
    has_texts = bool(lines and input_texts(lines[0], columns))
    names = tuple(group.name for group, _ in readable)
    return SuspectList(split, names, len(runs), len(runs[0]), tuple(found), has_texts)


def _with_text(row: SuspectRow, line: PredictedRow, columns: Sequence[str]) -> SuspectRow:
    """The row with what its predictions keep of the data."""
    text = "\n".join(input_texts(line, columns).values())
    return replace(row, source_index=line.source_index, text=text)


def _rows_of(group: Group, split: str) -> list[EvaluatedRows]:
    """The rows of all runs of a set-up; none where those of one run, or its probabilities, cannot be read."""
    found = [_run_rows(run, split) for run in group.runs]
    known = [rows for rows in found if rows is not None]
    return known if len(known) == len(found) else []


def _run_rows(run: ExperimentRecord, split: str) -> EvaluatedRows | None:
    """Rows with labels and probabilities; files of earlier versions lack these, and predictions have them.

    Labels are known by their places among all labels in alphabetical order, as set-ups of a board may write their
    label set in different orders.
    """
    job, prefix = JobFolder(run.folder), DEV if split == "dev" else ""
    labels = run.part("details").get("labels")
    if not isinstance(labels, list):
        return None
    rows = read_rows(job.rows, prefix)
    if rows is None or rows.confidence is None:
        try:
            rows = rows_of_predictions(job, {"config": run.config, **run.metrics}, prefix)
        except (OSError, ValueError, KeyError, TypeError, IndexError):
            return None
    if rows.gold is None or rows.predicted is None or rows.confidence is None or rows.log_loss is None:
        return None
    places = np.argsort(np.argsort(np.array(list(map(str, labels)), dtype=object)))
    return replace(rows, gold=places[rows.gold], predicted=places[rows.predicted])


def _contradicted(runs: Sequence[EvaluatedRows], labels: Sequence[str]) -> list[SuspectRow]:
    """Without texts and source indices, the least probable gold label first."""
    golds = [rows.gold for rows in runs if rows.gold is not None]
    said = np.stack([rows.predicted for rows in runs if rows.predicted is not None])
    is_contradicted = (said != golds[0]).all(axis=0)
    gold_probability: NDArray[np.float64] = np.mean(
        [np.exp(-rows.log_loss) for rows in runs if rows.log_loss is not None], axis=0
    )
    probability = np.mean([rows.confidence for rows in runs if rows.confidence is not None], axis=0)
    places = np.flatnonzero(is_contradicted)
    ordered = places[np.argsort(gold_probability[places], kind="stable")].tolist()
    return [
        SuspectRow(
            index=place,
            source_index=None,
            text="",
            gold=labels[golds[0][place]],
            said=tuple((labels[code], count) for code, count in Counter(said[:, place].tolist()).most_common()),
            probability=float(probability[place]),
            gold_probability=float(gold_probability[place]),
        )
        for place in ordered
    ]
