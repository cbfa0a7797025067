"""From saved sums and counts to the scores that are compared."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sft.evaluation.normalization import SavedScores, ScoringRule, label_probabilities

WORDS = ("no", "surely", "so so")
ANSWER = np.array([[-1.0, -6.0, -4.0], [-3.0, -2.0, -1.0]])
STOP = np.array([[-0.5, -0.25, -1.0], [-1.0, -2.0, -3.0]])
EMPTY = (np.array([[-2.0, -3.0, -5.0]]), np.array([[-1.0, -0.5, -0.25]]))


def saved(answer: np.ndarray = ANSWER, stop: np.ndarray = STOP, splits: Any = None) -> SavedScores:
    rows = len(answer)
    named = np.array(["test"] * rows if splits is None else splits)
    return SavedScores(named, np.arange(rows), answer, stop, np.array([1, 2, 3]), np.array([1, 1, 2]))


@pytest.mark.parametrize(
    ("normalization", "end_token", "expected"),
    [
        ("sum", True, ANSWER + STOP),
        ("sum", False, ANSWER),
        ("mean", True, (ANSWER + STOP) / [2, 3, 5]),
        ("mean", False, ANSWER / [1, 2, 3]),
        ("chars", True, (ANSWER + STOP) / [2, 6, 5]),
        ("chars", False, ANSWER / [2, 6, 5]),
        ("pmi", True, ANSWER + STOP - [-3.0, -3.5, -5.25]),
        ("pmi", False, ANSWER - [-2.0, -3.0, -5.0]),
    ],
)
def test_each_rule_with_and_without_the_stop(normalization: Any, end_token: bool, expected: np.ndarray) -> None:
    rule = ScoringRule(WORDS, normalization, end_token, saved(*EMPTY))
    assert rule.scores(saved()) == pytest.approx(expected)


def test_pmi_of_the_prompt_without_an_input_is_0() -> None:
    assert ScoringRule(WORDS, "pmi", True, saved(*EMPTY)).scores(saved(*EMPTY)).tolist() == [[0, 0, 0]]


def test_pmi_needs_its_row_set() -> None:
    with pytest.raises(ValueError, match="without an input"):
        ScoringRule(WORDS, "pmi", True).scores(saved())


def test_label_mass_counts_label_and_stop_whatever_the_rule() -> None:
    assert saved().label_mass == pytest.approx(np.exp(ANSWER + STOP).sum(axis=1))


def test_a_split_keeps_its_rows_in_order(tmp_path: Path) -> None:
    scores = saved(np.vstack([ANSWER, ANSWER + 1]), np.vstack([STOP, STOP]), ["dev", "test", "test", "dev"])
    np.savez(tmp_path / "scores.npz", **vars(scores))
    own = SavedScores.read(tmp_path / "scores.npz").of_split("dev")
    assert own.source_index.tolist() == [0, 3]
    assert own.answer_logprobs.tolist() == [ANSWER[0].tolist(), (ANSWER[1] + 1).tolist()]
    assert own.stop_tokens.tolist() == [1, 1, 2]


def test_probabilities_are_the_softmax_over_the_labels() -> None:
    found = label_probabilities(np.array([[-1.5, -2.25, -1300.0], [-5000.0, -5000.0, -5000.0]]))
    weights = np.exp([-1.5, -2.25])
    assert found[0, :2] == pytest.approx(weights / weights.sum())
    assert found.sum(axis=1) == pytest.approx(1)
    assert found[1] == pytest.approx(np.full(3, 1 / 3))
    assert found.argmax(axis=1).tolist() == [0, 0]
