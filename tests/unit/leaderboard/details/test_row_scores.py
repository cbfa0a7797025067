"""The score of each row alone, and the texts that are shown by it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sft.evaluation.computation import MetricInputs, compute_metrics
from sft.evaluation.rows import EvaluatedRows, write_rows
from sft.leaderboard.building import build_leaderboard
from sft.leaderboard.collect import ExperimentRecord
from sft.leaderboard.details.details import experiment_details
from sft.leaderboard.details.row_scores import RowScores, row_scores
from sft.leaderboard.joining import collect
from sft.reporting.formats.json import report_of
from sft.reporting.page.rendering import page_data
from sft.runs.manifest import write_manifest
from tests.support.records import config
from tests.support.results import ResultsBuilder

SAID = ["the cat sat", "a dog", "nothing at all"]
GOLD = ["the cat sat", "a dog sat", "the bird sang"]


def generated(folder: ResultsBuilder, metric: str) -> ExperimentRecord:
    """An experiment that wrote these texts, measured by one metric, with its rows."""
    computed = compute_metrics([metric], "generation", MetricInputs(GOLD, SAID), {}, Path())
    own: dict[str, Any] = {"dataset": {"task_type": "generation"}, "evaluation": {"metrics": [metric]}}
    columns = {"text": ["one", "two", "three"], "label": GOLD}
    details = {"details": {"labels": None, "higher_is_better": {metric: True}, **computed.details}}
    job = folder.answered("a", "a" * 16, config(**own), SAID, columns, **details)
    record = {"results": computed.results, "details": computed.details, "config": config(**own), "data": {}}
    job.metrics.write_text(json.dumps(record))
    correct = np.array([said == gold for said, gold in zip(SAID, GOLD, strict=True)])
    write_rows(job.rows, {"test": EvaluatedRows(correct, per_row=computed.per_row)})
    write_manifest(job, [job.result])
    return collect([folder.results]).in_grid[0]


@pytest.mark.parametrize("metric", ["rougeL", "chrf", "exact_match"])
def test_each_row_has_the_score_that_it_has_alone(metric: str, tmp_path: Path) -> None:
    found = row_scores(generated(ResultsBuilder(tmp_path), metric), 3)
    assert found is not None
    alone = [
        compute_metrics([metric], "generation", MetricInputs([gold], [said]), {}, Path()).results[metric]
        for gold, said in zip(GOLD, SAID, strict=True)
    ]
    assert found.result == metric
    assert found.scores == pytest.approx(alone, abs=1e-9)


def test_rows_of_another_number_have_no_scores(tmp_path: Path) -> None:
    assert row_scores(generated(ResultsBuilder(tmp_path), "rougeL"), 4) is None


def test_worse_is_what_the_metric_calls_worse_and_no_number_is_worst() -> None:
    losses = RowScores("perplexity", False, (3.0, None, 9.0))
    assert sorted(range(3), key=losses.badness) == [1, 2, 0]
    assert sorted(range(3), key=RowScores("chrf", True, (3.0, None, 9.0)).badness) == [1, 0, 2]


def test_texts_stand_by_their_score_in_details_and_page(tmp_path: Path) -> None:
    folder = ResultsBuilder(tmp_path)
    record = generated(folder, "chrf")
    details = experiment_details(record, record)
    assert details.scored_by == "chrf"
    assert [error.index for error in details.errors] == [2, 1]
    shown = page_data(report_of(build_leaderboard([folder.results])))["experiments"]["a" * 16]
    assert shown["scored_by"] == "chrf"
    assert [error["score"] for error in shown["errors"]] == pytest.approx(
        [error.score for error in details.errors], rel=1e-5
    )
    assert shown["errors"][0]["score"] < shown["errors"][1]["score"]
