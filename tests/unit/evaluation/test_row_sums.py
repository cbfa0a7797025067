"""Metrics of labels and probabilities from sums over rows, on samples: beside scikit-learn and the metrics."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, f1_score, log_loss, matthews_corrcoef, precision_score, recall_score

from sft.evaluation.metrics import metric_registry
from sft.evaluation.metrics.formulas import calibration_bins, calibration_error, classification_numbers
from sft.evaluation.metrics.row_numbers import ArrayNumbers, LabelCounts
from sft.evaluation.metrics.row_sums import RowSums, mean_of
from sft.evaluation.row_metrics import row_sums
from sft.evaluation.rows import EvaluatedRows, labelled_rows
from sft.evaluation.selection import entry_of

N_ROWS = 60
LABELS = ["0", "1", "2"]
CLASSIFICATION = [
    name for name in metric_registry if "classification" in entry_of(name).task_types and entry_of(name).results
]
NORMS = ["l1", "l2", "max"]


def labelled(
    n_rows: int = N_ROWS, n_labels: int = 3, seed: int = 0, skill: float = 0.3
) -> tuple[EvaluatedRows, NDArray[np.int64], NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    gold = rng.integers(0, n_labels, n_rows)
    probabilities = rng.dirichlet(np.ones(n_labels), n_rows)
    probabilities[np.arange(n_rows), gold] += skill
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    texts = [list(map(str, values)) for values in (gold, probabilities.argmax(axis=1))]
    labels = list(map(str, range(n_labels)))
    return labelled_rows(labels, texts[0], texts[1], probabilities, {}), gold, probabilities


def sums_of(name: str, rows: EvaluatedRows, n_labels: int = 3, **evaluation: Any) -> RowSums:
    labels = list(map(str, range(n_labels)))
    found = row_sums(name, rows, {"details": {"labels": labels}, "config": {"evaluation": evaluation}})
    assert found is not None
    return found


def samples(n_rows: int = N_ROWS, n_samples: int = 20) -> list[NDArray[np.int64]]:
    rng = np.random.default_rng(1)
    return [rng.integers(0, n_rows, n_rows) for _ in range(n_samples)]


def weights_of(drawn: list[NDArray[np.int64]], n_rows: int = N_ROWS) -> NDArray[np.float64]:
    return np.stack([np.bincount(places, minlength=n_rows) for places in drawn], axis=1).astype(np.float64)


def sklearns(gold: NDArray[np.int64], probabilities: NDArray[np.float64]) -> dict[str, float]:
    predicted = probabilities.argmax(axis=1)
    ratios = {"f1": f1_score, "precision": precision_score, "recall": recall_score}
    return {
        "accuracy": accuracy_score(gold, predicted),
        "mcc": matthews_corrcoef(gold, predicted),
        "log_loss": log_loss(gold, probabilities, labels=[0, 1, 2]),
        "brier": ((probabilities - np.eye(3)[gold]) ** 2).sum(axis=1).mean(),
        "ece": classification_numbers(gold, probabilities, 10, "l1")["ece"],
        **{
            f"{average}_{name}": ratio(gold, predicted, average=average, zero_division=0)
            for name, ratio in ratios.items()
            for average in ("macro", "micro", "weighted")
        },
    }


def test_each_metric_is_scikit_learns_on_all_rows_and_on_every_sample() -> None:
    rows, gold, probabilities = labelled()
    drawn = [np.arange(N_ROWS), *samples(n_samples=5)]
    assert all(set(gold[places]) == {0, 1, 2} for places in drawn)
    expected = [sklearns(gold[places], probabilities[places]) for places in drawn]
    for name in CLASSIFICATION:
        sums, wanted = sums_of(name, rows), [numbers[name] for numbers in expected]
        assert sums.whole == pytest.approx(wanted[0], abs=1e-12), name
        assert sums.values(weights_of(drawn)) == pytest.approx(wanted, abs=1e-12), name
        low, high = entry_of(name).range
        assert low <= min(wanted)
        assert high is None or max(wanted) <= high


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("n_bins", [1, 7, 15])
def test_the_calibration_error_follows_its_arguments(norm: str, n_bins: int) -> None:
    rows, gold, probabilities = labelled()
    sums = sums_of("ece", rows, ece_bins=n_bins, ece_norm=norm)
    drawn = samples()
    expected = [
        calibration_error(calibration_bins(probabilities[places], gold[places], n_bins), norm) for places in drawn
    ]
    assert sums.values(weights_of(drawn)) == pytest.approx(expected, abs=1e-12)


def test_a_label_that_a_sample_lacks_is_skipped_and_one_that_no_row_has_counts_as_in_the_metric() -> None:
    gold, predicted = np.array([0, 0, 1, 1]), np.array([0, 0, 1, 0])
    rows = EvaluatedRows(gold == predicted, gold, predicted)
    weights = np.array([[1, 2], [1, 2], [1, 0], [1, 0]], dtype=float)
    whole = (4 / 5 + 2 / 3) / 2
    assert sums_of("macro_f1", rows, 2).values(weights) == pytest.approx([whole, 1.0])
    assert sums_of("macro_f1", rows, 3).values(weights) == pytest.approx([whole * 2 / 3, 1 / 2])


def test_one_side_that_never_varies_has_no_correlation() -> None:
    rows = EvaluatedRows(np.array([True, False]), np.array([0, 1]), np.array([0, 0]))
    sums = sums_of("mcc", rows, 2)
    assert sums.whole == 0
    assert sums.influence().tolist() == [0, 0]


def test_shares_say_which_rows_count() -> None:
    rows, _, _ = labelled()
    for name in CLASSIFICATION:
        right = sums_of(name, rows).right
        is_share = name in ("accuracy", "micro_f1", "micro_precision", "micro_recall", "weighted_recall")
        assert (right is None) is not is_share
        assert right is None or (right == rows.correct).all()


@pytest.mark.parametrize("name", CLASSIFICATION)
@pytest.mark.parametrize(("n_labels", "n_rows"), [(3, 200), (30, 600)])
def test_a_rows_influence_is_what_its_weight_changes(name: str, n_labels: int, n_rows: int) -> None:
    rows, _, _ = labelled(n_rows, n_labels)
    sums = sums_of(name, rows, n_labels)
    weights = np.ones((n_rows, 2 * n_rows))
    step = 1e-4
    weights[:, :n_rows] += step * np.eye(n_rows)
    weights[:, n_rows:] -= step * np.eye(n_rows)
    values = sums.values(weights)
    expected = n_rows * (values[:n_rows] - values[n_rows:]) / (2 * step)
    assert sums.influence() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("name", CLASSIFICATION)
def test_influences_give_the_variance_of_the_bootstrap(name: str) -> None:
    """6,000 samples know a standard deviation within 1 % (one standard error); the variance must be within 10 %."""
    rows, _, _ = labelled(1000, 5, skill=0.6)
    sums = sums_of(name, rows, 5)
    rng = np.random.default_rng(2)
    weights = rng.multinomial(1000, np.full(1000, 1 / 1000), 6000).T.astype(np.float64)
    influence = sums.influence()
    estimate = ((influence - influence.mean()) ** 2).sum() / 1000**2
    assert estimate == pytest.approx(sums.values(weights).var(), rel=0.1)


def test_the_difference_of_influences_is_that_of_the_difference() -> None:
    first, second = (sums_of("macro_f1", labelled(500, 4, skill=skill)[0], 4) for skill in (0.2, 0.5))
    rng = np.random.default_rng(3)
    weights = rng.multinomial(500, np.full(500, 1 / 500), 6000).T.astype(np.float64)
    moved = first.influence() - second.influence()
    estimate = ((moved - moved.mean()) ** 2).sum() / 500**2
    assert estimate == pytest.approx((first.values(weights) - second.values(weights)).var(), rel=0.1)


@pytest.mark.parametrize("n_labels", [3, 1000])
def test_counts_by_label_are_the_array_that_they_stand_for(n_labels: int) -> None:
    rows, _, _ = labelled(400, n_labels)
    assert rows.gold is not None
    assert rows.predicted is not None
    labels, array = LabelCounts(rows.gold, rows.predicted, n_labels), np.zeros((400, 3, n_labels))
    array[np.arange(400), 0, rows.gold] = rows.correct
    array[np.arange(400), 1, rows.gold] = array[np.arange(400), 2, rows.predicted] = 1
    plain = ArrayNumbers(array.reshape(400, -1))
    rng = np.random.default_rng(4)
    weights, slopes = rng.random((400, 7)), rng.random(3 * n_labels)
    assert labels.shape == plain.shape
    assert labels.total().tolist() == plain.total().tolist()
    assert labels.touched().tolist() == plain.touched().tolist()
    assert labels.weighted(weights) == pytest.approx(plain.weighted(weights))
    assert labels.along(slopes) == pytest.approx(plain.along(slopes))
    for numbers in (labels, plain):
        kinds, counts = (np.concatenate(own) for own in zip(*numbers.kinds(100), strict=True))
        assert counts @ kinds**2 == pytest.approx((plain.array**2).sum(axis=0))
        assert counts.sum() == 400


def test_what_rows_lack_is_not_made_up() -> None:
    labels = {"details": {"labels": LABELS}}
    texts = {"details": {}}
    old = EvaluatedRows(np.array([True]), np.array([0]), np.array([0]), np.array([0.1]))
    assert row_sums("brier", old, labels) is None
    assert row_sums("ece", old, labels) is None
    assert row_sums("macro_f1", EvaluatedRows(np.array([True])), labels) is None
    for name in ("rougeL", "bleu", "chrf", "bertscore", "bleurt", "first_word", "meteor"):
        assert row_sums(name, EvaluatedRows(np.array([True])), texts) is None
    assert row_sums("accuracy", EvaluatedRows(np.array([True])), texts) is None, "texts have no accuracy of ours"


def test_a_metric_that_is_not_ours_is_the_mean_of_its_rows_whatever_its_name() -> None:
    rows = EvaluatedRows(np.array([True, True]), per_row={"bleu": np.array([0.25, 0.75]), "judge": np.array([1, 4])})
    found = row_sums("bleu", rows, {"details": {"range": {"bleu": None}}})
    assert found is not None
    assert found.whole == 0.5
    judge = row_sums("judge", rows, {})
    assert judge is not None
    assert (judge.whole, judge.right) == (2.5, None)


def test_a_mean_of_truth_values_is_a_share() -> None:
    share = mean_of(np.array([True, False, True, True]))
    assert (share.whole, share.n_rows) == (0.75, 4)
    assert share.right is not None
    assert share.influence().tolist() == [0.25, -0.75, 0.25, 0.25]
