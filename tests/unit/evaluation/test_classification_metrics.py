"""Each classification metric against scikit-learn or a closed form, over a set with an absent label."""

import math
import warnings
from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics as sk

from sft.evaluation.computation import MetricInputs, MetricResults, compute_metrics
from sft.exceptions import DataError, UserError

LABELS = ("bad", "good", "mixed", "absent")
AVERAGES = ("macro", "micro", "weighted")


def inputs(rows: int = 200, seed: int = 0) -> MetricInputs:
    generator = np.random.default_rng(seed)
    probabilities = generator.dirichlet(np.ones(len(LABELS)), size=rows)
    probabilities[:, 3] = 0.0
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    gold = [LABELS[place] for place in generator.integers(0, 3, rows)]
    predictions = [LABELS[place] for place in probabilities.argmax(axis=1)]
    return MetricInputs(gold, predictions, LABELS, probabilities)


def compute(metrics: list[str], given: MetricInputs, **options: object) -> MetricResults:
    return compute_metrics(metrics, "classification", given, options, Path.cwd())


@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize("ratio", ["f1", "precision", "recall"])
def test_ratios_equal_scikit_learn_over_the_declared_set(average: str, ratio: str) -> None:
    given = inputs()
    expected = getattr(sk, f"{ratio}_score")(
        given.gold, given.predictions, labels=list(LABELS), average=average, zero_division=0
    )
    assert compute([f"{average}_{ratio}"], given).results == {f"{average}_{ratio}": pytest.approx(expected)}


def test_other_metrics_equal_scikit_learn() -> None:
    given = inputs()
    gold = [LABELS.index(value) for value in given.gold]
    results = compute(["accuracy", "mcc", "log_loss", "brier"], given).results
    onehot = np.eye(len(LABELS))[gold]
    assert list(results) == ["accuracy", "mcc", "log_loss", "brier"]
    assert results["accuracy"] == pytest.approx(sk.accuracy_score(given.gold, given.predictions))
    assert results["mcc"] == pytest.approx(sk.matthews_corrcoef(given.gold, given.predictions))
    assert results["log_loss"] == pytest.approx(sk.log_loss(gold, given.probabilities, labels=range(len(LABELS))))
    assert given.probabilities is not None
    assert results["brier"] == pytest.approx(((given.probabilities - onehot) ** 2).sum(axis=1).mean())


def test_details_show_every_label_and_the_matrix() -> None:
    given = inputs()
    details = compute(["accuracy"], given).details
    expected = sk.classification_report(
        given.gold, given.predictions, labels=list(LABELS), output_dict=True, zero_division=0
    )
    for label in LABELS:
        shown = details["per_label"][label]
        assert shown["f1"] == pytest.approx(expected[label]["f1-score"])
        assert shown["precision"] == pytest.approx(expected[label]["precision"])
        assert shown["recall"] == pytest.approx(expected[label]["recall"])
        assert shown["support"] == expected[label]["support"]
    assert details["per_label"]["absent"] == {"precision": 0, "recall": 0, "f1": 0, "support": 0, "predicted": 0}
    assert details["confusion_matrix"] == sk.confusion_matrix(given.gold, given.predictions, labels=LABELS).tolist()
    assert details["labels"] == list(LABELS)
    assert details["higher_is_better"] == {"accuracy": True}


def test_ece_by_hand() -> None:
    probabilities = np.array([[0.75, 0.25], [0.8, 0.2], [0.1, 0.9], [0.5, 0.5]])
    given = MetricInputs(["a", "b", "b", "a"], ["a", "a", "b", "a"], ("a", "b"), probabilities)
    # bins of width 0.5 are (0, 0.5] and (0.5, 1]: one row, right at 0.5; three rows, two right, at 0.75, 0.8, 0.9
    first, second = 1 - 0.5, abs(2 / 3 - 2.45 / 3)
    expected = {"l1": first / 4 + second * 3 / 4, "l2": math.sqrt(first**2 / 4 + second**2 * 3 / 4), "max": first}
    for norm, value in expected.items():
        result = compute(["ece"], given, ece_bins=2, ece_norm=norm)
        assert result.results["ece"] == pytest.approx(value)
    assert [(item["from"], item["to"], item["count"]) for item in result.details["ece_bins"]] == [
        (0.0, 0.5, 1),
        (0.5, 1.0, 3),
    ]


def test_a_sure_error_costs_what_scikit_learn_says() -> None:
    given = MetricInputs(["a"], ["b"], ("a", "b"), np.array([[0.0, 1.0]]))
    assert compute(["log_loss"], given).results["log_loss"] == pytest.approx(36.04, abs=0.01)


@pytest.mark.parametrize("labels", [("a",), ("a", "b")])
def test_one_label_everywhere_is_defined_without_a_warning(labels: tuple[str, ...]) -> None:
    given = MetricInputs(["a", "a"], ["a", "a"], labels, np.ones((2, 1)) if len(labels) == 1 else np.eye(2)[[0, 0]])
    names = ["macro_f1", "accuracy", "weighted_f1", "mcc", "log_loss", "ece", "brier"]
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        results = compute(names, given).results
    assert results["accuracy"] == 1
    assert results["mcc"] == 0
    assert results["log_loss"] == 0
    assert results["macro_f1"] == 1 / len(labels)


def test_labels_that_are_hard_to_store_are_compared_exactly() -> None:
    labels = ("yes", "Yes ", "\ud83d", "")
    given = MetricInputs(list(labels), list(labels), labels)
    assert compute(["accuracy"], given).results == {"accuracy": 1.0}


def test_one_family_is_computed_with_every_name_in_the_order_asked_for() -> None:
    results = compute(["weighted_f1", "accuracy", "macro_f1", "confusion_matrix"], inputs()).results
    assert list(results) == ["weighted_f1", "accuracy", "macro_f1"]


def test_refusals() -> None:
    given = MetricInputs(["a"], ["c"], ("a", "b"))
    with pytest.raises(DataError, match="'c' is not in the label set"):
        compute(["accuracy"], given)
    with pytest.raises(DataError, match="no row"):
        compute(["accuracy"], MetricInputs([], [], ("a",)))
    with pytest.raises(UserError, match="needs label probabilities"):
        compute(["ece"], MetricInputs(["a"], ["a"], ("a",)))
    with pytest.raises(UserError, match="not defined for task_type 'classification'"):
        compute(["bleu"], given)
