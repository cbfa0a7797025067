"""What is known of runs by their rows."""

from pathlib import Path

import numpy as np
import pytest

from sft.evaluation.metrics.label_sums import label_sums
from sft.evaluation.rows import EvaluatedRows, write_rows
from sft.leaderboard.collect import ExperimentRecord
from sft.leaderboard.statistics.formulas import SAMPLES
from sft.leaderboard.statistics.run_samples import outcomes_of, run_samples, run_sums
from sft.runs.files import JobFolder
from tests.support.records import metrics, outcome

RIGHT = np.arange(200) < 120
DEV_RIGHT = np.arange(40) < 30
NUMBERS = {"accuracy": 0.6, "uncalibrated_accuracy": 0.4, "dev_accuracy": 0.75, "mcc": 0.99, "rougeL": 0.5}


def run(path: Path, key: str, test: EvaluatedRows) -> ExperimentRecord:
    job = JobFolder(path / key)
    job.rows.parent.mkdir(parents=True)
    write_rows(job.rows, {"test": test, "dev": outcome(DEV_RIGHT)})
    return ExperimentRecord(key, key, "done", job.path, {}, metrics(NUMBERS))


@pytest.fixture
def runs(tmp_path: Path) -> list[ExperimentRecord]:
    """One without a calibrator, one with it, and one of other rows."""
    rows = {"a": outcome(RIGHT), "b": outcome(RIGHT, ~RIGHT), "c": outcome(RIGHT[:100])}
    return [run(tmp_path, key, own) for key, own in rows.items()]


def test_samples_are_of_the_rows_that_give_the_number(runs: list[ExperimentRecord]) -> None:
    known = run_samples([*runs, runs[0]], "accuracy")
    assert (list(known.values), list(known.uncalibrated), known.n_rows) == (["a", "b"], ["b"], 200)
    assert known.values["a"].shape == (SAMPLES,)
    assert (known.values["a"] == known.values["b"]).all()
    assert known.values["b"] + known.uncalibrated["b"] == pytest.approx(np.ones(SAMPLES))
    assert known.has_all("ab")
    assert not known.has_all("abc")


def test_dev_rows_are_sampled_as_test_rows_are(runs: list[ExperimentRecord]) -> None:
    known = run_samples(runs, "dev_accuracy")
    assert (list(known.values), known.n_rows) == (["a", "b", "c"], 40)
    assert known.values["a"].mean() == pytest.approx(0.75, abs=0.01)


@pytest.mark.parametrize("metric", ["mcc", "rougeL", "meteor", "dev_log_loss"])
def test_rows_that_do_not_give_a_number_are_not_known(runs: list[ExperimentRecord], metric: str) -> None:
    known = run_samples(runs, metric)
    assert (dict(known.sums), known.n_rows) == ({}, 0)


def test_shares_of_two_results_have_outcomes_by_row(runs: list[ExperimentRecord]) -> None:
    own = run_sums(runs, "accuracy")["b"]
    outcomes = outcomes_of(own.sums, own.uncalibrated)
    assert outcomes is not None
    assert [side.tolist() for side in outcomes] == [RIGHT.tolist(), (~RIGHT).tolist()]
    assert outcomes_of(own.sums, None) is None


def test_runs_that_are_not_sampled_closely_spread_as_those_that_are(tmp_path: Path) -> None:
    """2,000 samples know a variance within 3 % (one standard error); it must be within 10 %, that of pairs too."""
    rng = np.random.default_rng(5)
    gold, runs = rng.integers(0, 4, 400), []
    for place, key in enumerate("abcd"):
        predicted = np.where(rng.random(400) < 0.4 + place / 10, gold, rng.integers(0, 4, 400))
        rows = EvaluatedRows(predicted == gold, gold, predicted)
        sums = label_sums("macro_f1", rows, 4, {})
        assert sums is not None
        job = JobFolder(tmp_path / key)
        job.rows.parent.mkdir(parents=True)
        write_rows(job.rows, {"test": rows})
        written = metrics({"macro_f1": sums.whole}) | {"details": {"labels": list("wxyz")}}
        runs.append(ExperimentRecord(key, key, "done", job.path, {}, written))
    known, far = run_samples(runs, "macro_f1").values, run_samples(runs, "macro_f1", {"a"}).values
    assert list(far) == list("abcd")
    assert (far["a"] == known["a"]).all()
    for key in "bcd":
        assert not (far[key] == known[key]).any()
        assert far[key].var() == pytest.approx(known[key].var(), rel=0.1)
        assert (far["a"] - far[key]).var() == pytest.approx((known["a"] - known[key]).var(), rel=0.1)
        assert (far["d"] - far[key]).var() == pytest.approx((known["d"] - known[key]).var(), rel=0.1)


def test_a_share_of_rows_is_sampled_the_same_either_way(runs: list[ExperimentRecord]) -> None:
    known, far = run_samples(runs, "accuracy"), run_samples(runs, "accuracy", ())
    assert far.values["b"] == pytest.approx(known.values["b"])
    assert far.uncalibrated["b"] == pytest.approx(known.uncalibrated["b"])
