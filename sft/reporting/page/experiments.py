"""The details of experiments as the page holds them: at most 10 KB each, of the best ones where there are many."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from sft.leaderboard.board import Board, best_run
from sft.leaderboard.collect import ExperimentRecord
from sft.leaderboard.details.details import Confusion, ExperimentDetails, WrongRow, experiment_details
from sft.reporting.charts.chart import Chart
from sft.reporting.charts.experiment_charts import (
    confusion_chart,
    reliability_chart,
    step_charts,
    step_values,
    thinned,
)
from sft.reporting.page.tables import short
from sft.reporting.tables.columns import NOT_APPLICABLE
from sft.wording import both_ends

MOST_BYTES = 10 << 10
"""Of the data of one experiment."""
MANY = 200
"""Beyond so many experiments only the `BEST` ones have details."""
BEST = 100
LARGEST_MATRIX = 12
"""Labels; of more the most frequent confusions are listed."""
_MOST_PAIRS = 15
_MOST_SETTINGS = 30
_FEW_ERRORS, _FEW_RESULTS = 4, 20
_LABEL = 60
TEXT = 280
"""Characters of a text of the data."""
_PROMPT = 1800


def experiments_record(boards: Sequence[Board], *, with_texts: bool) -> dict[str, dict[str, Any]]:
    """Details by experiment id.

    Args:
        boards: of the leaderboard.
        with_texts: whether texts of the data are among them.
    """
    chosen = _chosen(boards)
    places = {
        run.id: f"run {number} of {len(group.runs)} of {group.name}, best first; all below is of this run alone"
        for board in boards
        for group in board.groups
        if len(group.runs) > 1
        for number, run in enumerate(group.runs, 1)
    }
    return {
        record.id: details_record(
            record, experiment_details(record, best), place=places.get(record.id), with_texts=with_texts
        )
        for record, best in chosen
    }


def templates() -> dict[str, Any]:
    """The charts of an experiment without data, by name."""
    empty: list[Chart] = [reliability_chart([]), confusion_chart(Confusion((), ())), *step_charts()]
    return {one.name: {"title": one.title, "spec": one.template} for one in empty}


def details_record(
    record: ExperimentRecord, details: ExperimentDetails, *, place: str | None, with_texts: bool
) -> dict[str, Any]:
    """The details of one experiment, in at most `MOST_BYTES`.

    Args:
        record: the experiment.
        details: of it.
        place: which run of its set-up it is.
        with_texts: whether texts of the data are among them.
    """
    errors = [_error(error) for error in details.errors] if with_texts else []
    found: dict[str, Any] = {
        "name": record.name,
        "seed": record.seed,
        "place": place,
        "folder": record.folder.name,
        "results": {name: short(value) for name, value in record.part("results").items()},
        "settings": [
            [one.path, one.own or NOT_APPLICABLE, one.best or NOT_APPLICABLE]
            for one in details.differences[:_MOST_SETTINGS]
        ],
        "labels": _labels(record),
        "charts": _charts(details),
        "training": step_values(thinned(details.training)) if details.training else None,
        "confused": _confused(details.confusion),
        "counts": [details.n_errors, record.part("data").get("n_test")],
        "scored_by": details.scored_by,
        "errors": errors,
        "prompt": both_ends(details.prompts[0], _PROMPT) if with_texts and details.prompts else None,
    }
    for give_way in _giving_way(found):
        if len(json.dumps(found)) <= MOST_BYTES:
            break
        give_way()
    return found


def _giving_way(found: dict[str, Any]) -> Iterator[Callable[[], Any]]:
    """What is left out where a page would hold too much, the least missed first; of the errors one at a time."""
    errors: list[Any] = found["errors"]
    yield lambda: found.update(labels=None)
    yield lambda: found["charts"].pop("confusion", None)
    yield lambda: found.update(training=_losses(found["training"]))
    yield from (errors.pop for _ in errors[_FEW_ERRORS:])
    yield lambda: found.update(prompt=both_ends(found["prompt"], TEXT) if found["prompt"] else None)
    yield lambda: found.update(settings=None)
    yield lambda: found.update(confused=None)
    yield from (errors.pop for _ in errors[1:_FEW_ERRORS])
    yield lambda: found.update(results=dict(list(found["results"].items())[:_FEW_RESULTS]))
    yield lambda: found.update(errors=[], prompt=None)


def _chosen(boards: Sequence[Board]) -> Iterator[tuple[ExperimentRecord, ExperimentRecord]]:
    """(experiment, best of its board), each experiment once, the boards' best first, in turns."""
    turns = zip_longest(*([(record, best_run(board)) for record in board.records] for board in boards))
    ordered: dict[str, tuple[ExperimentRecord, ExperimentRecord]] = {}
    for pair in (pair for turn in turns for pair in turn if pair is not None):
        ordered.setdefault(pair[0].id, pair)
    yield from list(ordered.values())[: len(ordered) if len(ordered) <= MANY else BEST]


def _charts(details: ExperimentDetails) -> dict[str, Any]:
    charts = []
    if details.reliability:
        charts.append(reliability_chart(details.reliability))
    if details.confusion is not None and len(details.confusion.labels) <= LARGEST_MATRIX:
        charts.append(confusion_chart(details.confusion))
    return {one.name: {"height": one.template["height"], "columns": by_column(one.values)} for one in charts}


def _losses(training: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The loss by step alone."""
    return None if training is None else {name: training[name] for name in ("step", "loss")}


def by_column(values: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Maps with equal keys as one list per key; texts as their places in a list of the distinct ones."""
    columns = {key: [short(value[key]) for value in values] for key in (values[0] if values else ())}
    return {key: _places(column) if isinstance(column[0], str) else column for key, column in columns.items()}


def _places(texts: Sequence[str]) -> dict[str, list[Any]]:
    """A text that stands in many rows is written once, which keeps the page small."""
    distinct = {text: place for place, text in enumerate(dict.fromkeys(texts))}
    return {"texts": [both_ends(text, _LABEL) for text in distinct], "places": [distinct[text] for text in texts]}


def _labels(record: ExperimentRecord) -> list[list[Any]] | None:
    """[label, precision, recall, F1, rows]."""
    known = record.part("details").get("per_label")
    if not isinstance(known, Mapping):
        return None
    names = ("precision", "recall", "f1", "support")
    return [
        [both_ends(str(label), _LABEL), *(short(numbers.get(name)) for name in names)]
        for label, numbers in known.items()
        if isinstance(numbers, Mapping)
    ]


def _confused(confusion: Confusion | None) -> list[list[Any]] | None:
    if confusion is None or len(confusion.labels) <= LARGEST_MATRIX:
        return None
    pairs = confusion.most_confused(_MOST_PAIRS)
    return [[both_ends(gold, _LABEL), both_ends(predicted, _LABEL), count] for gold, predicted, count in pairs]


def _error(error: WrongRow) -> dict[str, Any]:
    return {
        "row": _row_text(error),
        "text": both_ends(error.text, TEXT),
        "gold": both_ends(error.gold, TEXT),
        "prediction": both_ends(error.prediction, TEXT),
        "score": short(error.score),
        "probabilities": [[both_ends(label, _LABEL), round(value, 4)] for label, value in error.probabilities],
    }


def _row_text(error: WrongRow) -> str:
    """Where a row stands in the data; of records that do not tell, among the evaluated rows."""
    if error.source_index is None:
        return f"evaluated row {error.index}"
    return f"row {error.source_index} of the test split"
