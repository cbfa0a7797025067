"""All that is shown when one experiment is opened: which labels it confuses, its worst errors, its reliability, its
training, its prompts.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sft.leaderboard.collect import ExperimentRecord
from sft.leaderboard.details.row_scores import RowScores, row_scores
from sft.leaderboard.details.sources import (
    PredictedRow,
    TrainingPoint,
    input_columns,
    input_texts,
    predicted_rows,
    sample_prompts,
    training_curve,
)
from sft.leaderboard.setting_differences import differing
from sft.leaderboard.settings import setting_texts

ERRORS = 10

MOST_LABELS = 3
"""Labels whose probabilities are shown of an error, the most probable first."""

BINS = 10


@dataclass(frozen=True)
class SettingDifference:
    """A setting in which an experiment differs from the best one, and how each is written; None where it is not."""

    path: str
    own: str | None
    best: str | None


@dataclass(frozen=True)
class Confusion:
    """Counts of evaluated rows: one row per gold label, one column per prediction, in the order of `labels`."""

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]

    def most_confused(self, limit: int) -> list[tuple[str, str, int]]:
        """(gold, prediction, rows) of the most frequent errors."""
        pairs = [
            (self.labels[gold], self.labels[predicted], count)
            for gold, row in enumerate(self.counts)
            for predicted, count in enumerate(row)
            if count and gold != predicted
        ]
        return sorted(pairs, key=lambda pair: -pair[2])[:limit]


@dataclass(frozen=True)
class WrongRow:
    """An evaluated row with a wrong prediction.

    Attributes:
        index: position among the evaluated rows.
        text: of the input columns.
        gold: what it should have been.
        prediction: what it was.
        probabilities: (label, probability) of the most probable labels and the gold one; empty in generation.
        source_index: position in the split; None in records that do not tell.
        score: value of a metric on this row alone; None where the probability of its gold label tells how wrong it is.
        gold_probability: None in generation.
        said_probability: likewise.
    """

    index: int
    text: str
    gold: str
    prediction: str
    probabilities: tuple[tuple[str, float], ...]
    source_index: int | None = None
    score: float | None = None
    gold_probability: float | None = None
    said_probability: float | None = None


@dataclass(frozen=True)
class ConfidenceBin:
    """Rows whose most probable label has a probability between two bounds, the upper one inside.

    Attributes:
        confidence: mean probability of the predicted label.
        accuracy: share of right rows.
        count: rows.
    """

    confidence: float
    accuracy: float
    count: int


@dataclass(frozen=True)
class ExperimentDetails:
    """One finished experiment, looked at closely; on test rows.

    Attributes:
        differences: settings that are not as in the best experiment of its board.
        confusion: None in generation.
        reliability: accuracy by confidence; empty in generation.
        training: the entries of the loss curve; empty where nothing was trained.
        n_errors: wrong rows; None where the predictions cannot be read, and where none is right or wrong.
        errors: the worst of them, or of all.
        scored_by: the result that scores single rows; None where the probability of the gold label does.
        prompts: as the model saw them.
    """

    differences: tuple[SettingDifference, ...]
    confusion: Confusion | None
    reliability: tuple[ConfidenceBin, ...]
    training: tuple[TrainingPoint, ...]
    n_errors: int | None
    errors: tuple[WrongRow, ...]
    prompts: tuple[str, ...]
    scored_by: str | None = None


def experiment_details(record: ExperimentRecord, best: ExperimentRecord) -> ExperimentDetails:
    """The details of a finished experiment beside the best one of its board."""
    seen = record.remember("predictions", lambda: _seen_in_predictions(record))
    return ExperimentDetails(
        differences=tuple(setting_differences(record, best)),
        confusion=confusion(record),
        reliability=tuple(_measured_bins(record) or (ConfidenceBin(**one) for one in seen["reliability"])),
        training=tuple(training_curve(record)),
        n_errors=seen["n_errors"],
        errors=tuple(
            WrongRow(**one | {"probabilities": tuple(map(tuple, one["probabilities"]))}) for one in seen["errors"]
        ),
        prompts=tuple(sample_prompts(record)),
        scored_by=seen["scored_by"],
    )


def _seen_in_predictions(record: ExperimentRecord) -> dict[str, Any]:
    """What the predictions alone tell, as JSON: reading thousands of them takes longer than all else of a board."""
    rows = predicted_rows(record)
    has_gold_labels = any(row.gold in row.probabilities for row in rows)
    scores = None if has_gold_labels or not rows else row_scores(record, len(rows))
    return {
        "reliability": [asdict(one) for one in reliability(rows)],
        "n_errors": None if not rows or record.measures_texts else sum(not row.is_correct for row in rows),
        "errors": [asdict(one) for one in worst_errors(rows, input_columns(record), ERRORS, scores)],
        "scored_by": None if scores is None else scores.result,
    }


def setting_differences(record: ExperimentRecord, best: ExperimentRecord) -> list[SettingDifference]:
    """The leaves that two experiments do not share, in the order of the configs."""
    paths = differing([record.settings_in_force, best.settings_in_force])
    return [SettingDifference(path, *setting_texts([record, best], path)) for path in paths]


def confusion(record: ExperimentRecord) -> Confusion | None:
    """Of the test rows as `metrics.json` holds it; None in generation."""
    details = record.part("details")
    labels, counts = details.get("labels"), details.get("confusion_matrix")
    if not isinstance(labels, list) or not isinstance(counts, list):
        return None
    rows = tuple(tuple(int(count) for count in row) for row in counts)
    is_square = len(rows) == len(labels) and all(len(row) == len(labels) for row in rows)
    return Confusion(tuple(map(str, labels)), rows) if is_square else None


def worst_errors(
    rows: Sequence[PredictedRow], columns: Sequence[str], limit: int, scores: RowScores | None = None
) -> list[WrongRow]:
    """Wrong rows, those with the least probable gold label first.

    Generated texts have no probability: there it is those with the worst score, or without scores those that share the
    fewest words with the reference.

    Args:
        rows: of one split.
        columns: whose texts are shown, in their order.
        limit: at most so many.
        scores: of these rows; None: the probability of the gold label or the shared words tell.
    """
    wrong = [place for place, row in enumerate(rows) if not row.is_correct]
    wrong.sort(key=(lambda place: _rightness(rows[place])) if scores is None else scores.badness)
    return [
        WrongRow(
            index=rows[place].index,
            text="\n".join(input_texts(rows[place], columns).values()),
            gold=rows[place].gold,
            prediction=rows[place].prediction,
            probabilities=_most_probable(rows[place]),
            source_index=rows[place].source_index,
            score=None if scores is None else scores.scores[place],
            gold_probability=rows[place].gold_probability,
            said_probability=rows[place].said_probability,
        )
        for place in wrong[:limit]
    ]


def word_f1(prediction: str, reference: str) -> float:
    """F1 of the words that two texts share, each counted as often as it stands in both (Rajpurkar et al. 2016)."""
    words, wanted = Counter(prediction.lower().split()), Counter(reference.lower().split())
    shared = (words & wanted).total()
    return 2 * shared / (words.total() + wanted.total()) if shared else 0.0


def _rightness(row: PredictedRow) -> float:
    """How near a row came to its gold, from 0 to 1."""
    if row.probabilities:
        return row.gold_probability or 0.0
    return word_f1(row.prediction, row.gold)


def _most_probable(row: PredictedRow) -> tuple[tuple[str, float], ...]:
    """Gold labels are among them however improbable they were, and predicted ones."""
    known = [(label, value) for label, value in row.probabilities.items() if value is not None]
    ordered = sorted(known, key=lambda item: -item[1])
    return tuple(
        item
        for place, item in enumerate(ordered)
        if place < MOST_LABELS or row.has_gold(item[0]) or row.has_said(item[0])
    )


def _measured_bins(record: ExperimentRecord) -> list[ConfidenceBin]:
    """The bins of the metric `ece`, of as many as it was asked for; none where it was not measured."""
    measured = record.part("details").get("ece_bins")
    return [ConfidenceBin(*(one[key] for key in ("confidence", "accuracy", "count"))) for one in measured or ()]


def reliability(rows: Sequence[PredictedRow]) -> list[ConfidenceBin]:
    """The bins that hold any row, by rising confidence (Guo et al. 2017, section 2), cut as those of the metric `ece`;
    none in generation.
    """
    edges = [place * (1 / BINS) for place in range(1, BINS)]  # as numpy.linspace has them
    gathered: dict[int, list[tuple[float, bool]]] = {}
    for row in rows:
        confidence = row.probabilities.get(row.prediction)
        if confidence is not None:
            gathered.setdefault(bisect_left(edges, confidence), []).append((confidence, row.is_correct))
    return [_bin(members) for _, members in sorted(gathered.items())]


def _bin(members: Sequence[tuple[float, bool]]) -> ConfidenceBin:
    count = len(members)
    return ConfidenceBin(
        sum(confidence for confidence, _ in members) / count, sum(right for _, right in members) / count, count
    )
