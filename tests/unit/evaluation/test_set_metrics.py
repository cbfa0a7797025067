"""Metrics of rows with any number of labels, against scikit-learn, and their rows."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, hamming_loss, precision_recall_fscore_support

from sft.evaluation.baselines.sets import KnownSets, frequent_set, tfidf_one_vs_rest
from sft.evaluation.metrics.label_sums import label_sums, over_labels_there
from sft.evaluation.metrics.row_sums import share_right
from sft.evaluation.metrics.set_counts import per_label, set_numbers
from sft.evaluation.metrics.set_sums import share_of_pairs
from sft.evaluation.rows import read_rows, set_rows, write_rows
from sft.evaluation.set_outputs import best_threshold
from sft.labels.label_sets import flags, members, set_text, texts_of_flags

LABELS = ("a", "b", "c", "d")
RNG = np.random.default_rng(3)
GOLD, GIVEN = (RNG.random((2, 80, 4)) < np.array([0.6, 0.3, 0.4, 0.0])).astype(bool)
ROWS = set_rows(LABELS, texts_of_flags(GOLD, LABELS), texts_of_flags(GIVEN, LABELS), {})


@pytest.mark.parametrize("average", ["micro", "macro", "weighted"])
def test_ratios_equal_scikit_learn(average: str) -> None:
    found = set_numbers(GOLD, GIVEN)
    expected = precision_recall_fscore_support(GOLD, GIVEN, average=average, zero_division=0)[:3]
    names = [f"{average}_{ratio}" for ratio in ("precision", "recall", "f1")]
    assert [found[name] for name in names] == pytest.approx(expected)
    sums = [label_sums(name, ROWS, 4, {}) for name in names]
    assert [one.whole for one in sums if one is not None] == pytest.approx(expected)


def test_rows_right_and_pairs_wrong_equal_scikit_learn() -> None:
    found = set_numbers(GOLD, GIVEN)
    assert found["subset_accuracy"] == accuracy_score(GOLD, GIVEN) == share_right("", ROWS, 4, {}).whole
    wrong = share_of_pairs("", ROWS, 4, {})
    assert wrong is not None
    assert found["hamming_loss"] == pytest.approx(hamming_loss(GOLD, GIVEN))
    assert wrong.whole == pytest.approx(found["hamming_loss"])


def test_nothing_there_and_nothing_given_is_zero() -> None:
    none = np.zeros((3, 2), dtype=bool)
    assert set_numbers(none, none) == {
        **{
            f"{average}_{ratio}": 0.0
            for average in ("micro", "macro", "weighted")
            for ratio in ("f1", "precision", "recall")
        },
        "subset_accuracy": 1.0,
        "hamming_loss": 0.0,
    }
    assert per_label(none, none)[0]["support"] == 0


def test_the_influence_of_rows_is_that_of_leaving_them_out() -> None:
    sums = label_sums("micro_f1", ROWS, 4, {})
    assert sums is not None
    weights = np.ones((80, 1))
    weights[7] += 1e-6
    moved = (sums.values(weights)[0] - sums.whole) / 1e-6
    assert sums.influence()[7] / 80 == pytest.approx(moved, abs=1e-6)


def test_of_a_part_of_the_rows_only_labels_there_count() -> None:
    sums = over_labels_there("macro_f1", ROWS, 4)
    expected = precision_recall_fscore_support(GOLD[:, :3], GIVEN[:, :3], average="macro", zero_division=0)[2]
    assert sums is not None
    assert sums.whole == pytest.approx(expected)


def test_rows_are_saved_and_read(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.npz", {"test": ROWS})
    found = read_rows(tmp_path / "rows.npz")
    assert found is not None
    assert found.gold_sets is not None
    assert (found.gold_sets == GOLD).all()
    assert (found.correct == ROWS.correct).all()


def test_sets_as_texts() -> None:
    assert set_text(["b", "a", "b"]) == '["a","b"]'
    assert members(set_text([])) == ()
    assert (flags(texts_of_flags(GOLD, LABELS), LABELS) == GOLD).all()
    with pytest.raises(KeyError):
        flags(['["e"]'], LABELS)


def test_the_threshold_is_the_best_one_and_near_one_half() -> None:
    gold = np.array([[True, False], [True, True], [False, False]])
    assert best_threshold(np.array([[0.3, 0.1], [0.4, 0.25], [0.2, 0.05]]), gold) == pytest.approx(0.225)
    assert best_threshold(np.array([[0.9, 0.1], [0.8, 0.7], [0.2, 0.05]]), gold) == 0.5
    assert best_threshold(np.array([[0.9, 0.9]]), np.array([[False, False]])) == 0.5


@pytest.mark.parametrize("seed", range(5))
def test_no_other_threshold_is_better(seed: int) -> None:
    rng = np.random.default_rng(seed)
    probabilities, gold = (0.1 + 0.8 * rng.random((20, 3))).round(1), rng.random((20, 3)) < 0.4

    def f1(threshold: float) -> float:
        return set_numbers(gold, probabilities >= threshold)["micro_f1"]

    best = f1(best_threshold(probabilities, gold))
    assert best == pytest.approx(max(f1(threshold) for threshold in np.linspace(0.005, 0.995, 199)))


def test_the_baselines_know_the_shots_alone() -> None:
    texts = ["goal match", "goal bank", "bank price", "match", "price bank"]
    labels = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0], [1, 0, 0], [0, 1, 0]], dtype=bool)
    known = KnownSets(texts, labels, np.array([[0, 1, 1], [0, 1, 1], [1, 0, 0]], dtype=bool))
    assert frequent_set(known, ["x", "y"]).tolist() == [[0, 1, 1], [0, 1, 1]]
    assert frequent_set(KnownSets([], labels[:0], labels[:0]), ["x"]).tolist() == [[0, 0, 0]]
    found = tfidf_one_vs_rest(known, ["goal match", "bank price"])
    assert found is not None
    assert (found >= 0.5).tolist() == [[True, False, False], [False, True, False]]
    assert tfidf_one_vs_rest(KnownSets([], labels[:0], labels), ["x"]) is None


@pytest.mark.parametrize("name", ["micro_f1", "macro_f1", "weighted_f1", "macro_precision", "weighted_recall"])
def test_a_sample_of_rows_without_labels_has_a_number(name: str) -> None:
    """Few rows, most of them without any label: a resample may hold none that has one."""
    gold = np.array([[True, False], [False, False], [False, False], [False, False]])
    given = np.array([[True, False], [False, True], [False, False], [True, False]])
    rows = set_rows(("a", "b"), texts_of_flags(gold, ("a", "b")), texts_of_flags(given, ("a", "b")), {})
    sums = label_sums(name, rows, 2, {})
    assert sums is not None
    assert sums.values(np.array([[1.0, 0.0], [1.0, 2.0], [1.0, 2.0], [1.0, 0.0]])).tolist()[1] == 0.0
    none = set_rows(("a", "b"), texts_of_flags(gold[1:], ("a", "b")), texts_of_flags(given[1:], ("a", "b")), {})
    empty = label_sums(name, none, 2, {})
    assert empty is not None
    assert empty.whole == set_numbers(gold[1:], given[1:])[name] == 0.0
    assert np.isfinite(empty.influence()).all()
