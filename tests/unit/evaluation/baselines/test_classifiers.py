"""The classifiers of baselines, beside what scikit-learn gives."""

import numpy as np
import pytest

from sft.evaluation.baselines import classifiers
from sft.evaluation.baselines.classifiers import Known, majority, tfidf_regression
from sft.evaluation.metrics.formulas import classification_numbers
from sft.exceptions import DataError

NONE = np.array([], dtype=np.int64)


def test_the_majority_of_shots_counts_and_ties_are_decided_by_the_train_split() -> None:
    train = np.array([2, 2, 1])
    two = majority(Known(3, "abc", np.array([0, 1, 1]), train), ["x", "y"])
    assert two.argmax(axis=1).tolist() == [1, 1]
    assert majority(Known(3, "ab", np.array([0, 1]), train), ["x"]).tolist() == [[1 / 6, 2 / 6, 3 / 6]]
    assert majority(Known(3, "", NONE, NONE), ["x"]).tolist() == [[1 / 3] * 3]


def test_the_regression_is_scikit_learn_s_and_a_label_without_shots_has_no_probability() -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    texts, labels = ["Good a", "bad b", "good good c", "bad"], np.array([2, 0, 2, 0])
    found = tfidf_regression(Known(3, texts, labels, NONE), ["good", "bad b", "unseen"])
    assert found is not None
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\b\w+\b").fit(texts)
    model = LogisticRegression(random_state=0, max_iter=1000).fit(words.transform(texts), labels)
    wanted = model.predict_proba(words.transform(["good", "bad b", "unseen"]))
    assert found[:, [0, 2]] == pytest.approx(wanted)
    assert found[:, 1].tolist() == [0.0] * 3
    assert classification_numbers(np.array([2, 0, 0]), found, 10, "l1")["accuracy"] >= 2 / 3


def test_without_shots_the_regression_is_no_baseline() -> None:
    assert tfidf_regression(Known(3, [], NONE, np.array([1, 2])), ["good"]) is None


@pytest.mark.parametrize(
    ("texts", "labels", "reason"),
    [
        (["a", "b"], [1, 1], "the shots have a single label"),
        (["!", "?"], [0, 1], "the shots have no word"),
        (["a", "b"], [0, 1], "there are more than 2 rows"),
    ],
)
def test_what_the_regression_cannot_learn_from_is_said(
    monkeypatch: pytest.MonkeyPatch, texts: list[str], labels: list[int], reason: str
) -> None:
    monkeypatch.setattr(classifiers, "LARGEST", 2)
    texts_to_predict = ["x"] if "more" in reason else []
    with pytest.raises(DataError, match=reason):
        tfidf_regression(Known(2, texts, np.array(labels), NONE), texts_to_predict)
