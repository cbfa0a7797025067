"""What is shown of one experiment: worst errors, reliability, confusion, differences to the best."""

from pathlib import Path

import numpy as np
import pytest

from sft.evaluation.metrics.formulas import calibration_bins
from sft.leaderboard.collect import ExperimentRecord
from sft.leaderboard.details.details import (
    Confusion,
    confusion,
    experiment_details,
    reliability,
    word_f1,
    worst_errors,
)
from sft.leaderboard.details.sources import PredictedRow, predicted_rows
from sft.leaderboard.joining import collect
from sft.runs.files import JobFolder
from tests.support.grids import HOSTILE, LABELS, MadeGrid
from tests.support.records import config, metrics
from tests.support.results import ResultsBuilder


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> MadeGrid:
    return MadeGrid(tmp_path_factory.mktemp("grid"), models=("small",), n_seeds=1)


@pytest.fixture(scope="module")
def records(grid: MadeGrid) -> dict[str, ExperimentRecord]:
    return {record.name: record for record in collect([grid.results]).in_grid}


def row(index: int, gold: str, probabilities: dict[str, float]) -> PredictedRow:
    prediction = max(probabilities, key=lambda label: probabilities[label])
    return PredictedRow(index, {"text": f"text {index}", "other": 1}, gold, prediction, probabilities)


def test_the_least_probable_gold_label_is_the_worst_error() -> None:
    rows = [
        row(0, "a", {"a": 0.9, "b": 0.1, "c": 0.0}),
        row(1, "a", {"a": 0.3, "b": 0.7, "c": 0.0}),
        row(2, "c", {"a": 0.2, "b": 0.79, "c": 0.01}),
        row(3, "c", {"a": 0.5, "b": 0.1, "c": 0.4}),
    ]
    errors = worst_errors(rows, ["other", "text", "gone"], limit=2)
    assert [error.index for error in errors] == [2, 1]
    assert errors[0].text == "1\ntext 2"
    assert errors[0].probabilities == (("b", 0.79), ("a", 0.2), ("c", 0.01))
    assert (errors[0].gold, errors[0].prediction) == ("c", "b")


def test_the_gold_label_is_among_the_probabilities_of_many_labels() -> None:
    probabilities = {f"l{number}": (40 - number) / 820 for number in range(40)}
    error = worst_errors([row(0, "l39", probabilities)], ["text"], limit=1)[0]
    assert [label for label, _ in error.probabilities] == ["l0", "l1", "l2", "l39"]


def test_generated_texts_are_worse_the_fewer_words_they_share() -> None:
    texts = ["a good film", "a film", "bad"]
    rows = [PredictedRow(place, {}, "a good film", text, {}) for place, text in enumerate(texts)]
    errors = worst_errors(rows, ["text"], limit=5)
    assert [error.index for error in errors] == [2, 1]
    assert errors[0].probabilities == ()
    assert word_f1("the cat", "the the cat") == pytest.approx(2 * 2 / 5)
    assert word_f1("", "") == 0.0


def test_reliability_bins_are_those_of_the_metric(records: dict[str, ExperimentRecord], grid: MadeGrid) -> None:
    rows = predicted_rows(records["small/lora-8/seed0"])
    probabilities = np.array([[one.probabilities[label] for label in LABELS] for one in rows])
    expected = calibration_bins(probabilities, grid.gold, 10)
    found = reliability(rows)
    assert [one.count for one in found] == [one["count"] for one in expected]
    assert [one.accuracy for one in found] == pytest.approx([one["accuracy"] for one in expected])
    assert [one.confidence for one in found] == pytest.approx([one["confidence"] for one in expected])


def test_full_confidence_falls_into_the_last_bin() -> None:
    assert [
        one.count for one in reliability([row(0, "a", {"a": 1.0, "b": 0.0}), row(1, "a", {"a": 0.95, "b": 0.05})])
    ] == [2]


def test_a_confidence_on_an_edge_is_in_the_bin_below_as_in_the_metric() -> None:
    confidences = [0.5, 0.6, 0.7, 0.8]
    rows = [row(place, "a", {"a": value, "b": 1 - value}) for place, value in enumerate(confidences)]
    probabilities = np.array([[value, 1 - value] for value in confidences])
    expected = calibration_bins(probabilities, np.zeros(4, dtype=int), 10)
    assert [one.confidence for one in reliability(rows)] == [one["confidence"] for one in expected]


def test_the_bins_of_the_metric_are_shown_where_it_was_measured(tmp_path: Path) -> None:
    bins = [{"from": 0.0, "to": 0.5, "count": 3, "accuracy": 0.4, "confidence": 0.45}]
    written = metrics({"ece": 0.05}, details={"ece_bins": bins})
    record = ExperimentRecord("a", "a" * 16, "done", tmp_path, config(), written)
    found = experiment_details(record, record)
    assert [(one.confidence, one.accuracy, one.count) for one in found.reliability] == [(0.45, 0.4, 3)]


def test_an_error_tells_its_row_of_the_split() -> None:
    wrong = PredictedRow(3, {"text": "t"}, "a", "b", {}, source_index=70)
    assert [(one.index, one.source_index) for one in worst_errors([wrong], ["text"], 1)] == [(3, 70)]


def test_confusion_is_that_of_the_metrics(records: dict[str, ExperimentRecord], grid: MadeGrid) -> None:
    found = confusion(records["small/zero/seed0"])
    assert found is not None
    assert found.labels == LABELS
    assert sum(map(sum, found.counts)) == grid.n_rows
    assert [sum(counts) for counts in found.counts] == np.bincount(grid.gold).tolist()


def test_most_confused_pairs_come_first() -> None:
    found = Confusion(("a", "b", "c"), ((5, 1, 0), (4, 5, 2), (0, 0, 9)))
    assert found.most_confused(2) == [("b", "a", 4), ("b", "c", 2)]


def test_details_of_an_experiment(records: dict[str, ExperimentRecord]) -> None:
    best, other = records["small/pissa-16/seed0"], records["small/zero/seed0"]
    details = experiment_details(other, best)
    differences = {one.path: (one.own, one.best) for one in details.differences}
    assert differences["dataset.shots"] == ("0", "16")
    assert differences["lora.init_lora_weights"] == (None, "pissa")
    assert "name" not in differences
    assert details.training == ()
    assert len(experiment_details(best, best).training) == 199
    assert experiment_details(best, best).differences == ()
    assert HOSTILE in details.prompts[0]
    assert details.n_errors == sum(not one.is_correct for one in predicted_rows(other))
    assert len(details.errors) == 10


def test_files_that_are_gone_or_damaged_leave_their_part_empty(tmp_path: Path) -> None:
    folder = ResultsBuilder(tmp_path)
    job = folder.done("a", "a" * 16, config(), metrics({"macro_f1": 0.5}))
    record = collect([folder.results]).in_grid[0]
    details = experiment_details(record, record)
    assert (details.n_errors, details.errors, details.prompts, details.confusion) == (None, (), (), None)
    JobFolder(job.path).predictions("test", "jsonl").write_text('{"index": 0}\n{"no json')
    assert experiment_details(record, record).n_errors is None


def test_an_input_column_with_one_of_our_names_is_read() -> None:
    wrong = PredictedRow(0, {"data.index": "seven", "text": "t"}, "a", "b", {})
    assert worst_errors([wrong], ["index", "text"], limit=1)[0].text == "seven\nt"


def test_a_data_column_with_one_of_our_names(tmp_path: Path) -> None:
    folder = ResultsBuilder(tmp_path)
    job = folder.done("a", "a" * 16, config(prompting={"output_column": "predictions"}), metrics({"macro_f1": 0.5}))
    job.predictions("test", "jsonl").write_text(
        '{"text": "t", "data.predictions": 1, "predictions": "2", "index": 0}\n'
    )
    found = predicted_rows(collect([folder.results]).in_grid[0])[0]
    assert (found.gold, found.prediction, found.columns) == ("1", "2", {"text": "t"})
