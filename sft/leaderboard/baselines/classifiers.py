"""The baselines themselves: probabilities of each label for each evaluated row. Nothing here sees an evaluated label.

Both are fixed: no setting of theirs is chosen by data.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sft.errors import DataError

LARGEST = 100_000
"""Shots and evaluated rows together, above which words are not counted: it would take minutes."""

Probabilities = NDArray[np.float64]


@dataclass(frozen=True)
class LabelledTexts:
    """Texts with the positions of their labels in the label set."""

    texts: Sequence[str]
    labels: NDArray[np.int64]


def majority(shots: NDArray[np.int64], train: NDArray[np.int64], n_labels: int, n_rows: int) -> Probabilities:
    """The shares of the labels for every row, so that the most frequent one is predicted.

    Args:
        shots: labels of the shots.
        train: labels of the train split. Shots are drawn with equally many rows of each label, which says nothing of
            how frequent labels are: where the most frequent label of the shots is not a single one, or there are no
            shots, these are counted. Without any, the labels share equally, and the first one is predicted.
        n_labels: size of the label set.
        n_rows: rows to predict.
    """
    counts = np.bincount(shots, minlength=n_labels)
    if (counts == counts.max()).sum() > 1:
        counts = np.bincount(train, minlength=n_labels)
    shares = (counts + 1) / (counts.sum() + n_labels)  # one row more of each: a label unseen is not impossible
    return np.tile(shares, (n_rows, 1))


def tfidf_regression(shots: LabelledTexts, texts: Sequence[str], n_labels: int) -> Probabilities:
    """Logistic regression (L2, C = 1) on the TF-IDF weights of the lower-cased words and pairs of words of the shots.

    Args:
        shots: what it learns from; words and weights too are taken from them alone.
        texts: rows to predict.
        n_labels: size of the label set; a label without shots has probability 0.

    Raises:
        DataError: the shots have fewer than two labels, or no word, or there are too many rows.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    if len(set(shots.labels.tolist())) < 2:
        raise DataError("the shots have a single label")
    if len(shots.texts) + len(texts) > LARGEST:
        raise DataError(f"there are more than {LARGEST} rows")
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\b\w+\b")
    try:
        features = words.fit_transform(shots.texts)
    except ValueError:  # its only complaint about a list of texts: an empty vocabulary
        raise DataError("the shots have no word") from None
    model = LogisticRegression(C=1.0, max_iter=1000, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a fit that is not quite converged is a baseline all the same
        model.fit(features, shots.labels)
    probabilities = np.zeros((len(texts), n_labels))
    probabilities[:, model.classes_] = model.predict_proba(words.transform(texts))
    return probabilities
