"""The baselines themselves: probabilities of each label for each evaluated row. Nothing here sees an evaluated label.

They are fixed: no setting of theirs is chosen by data.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sft.exceptions import DataError

LARGEST = 100_000
"""Shots and evaluated rows together, above which words are not counted: it would take minutes."""

Probabilities = NDArray[np.float64]


@dataclass(frozen=True)
class Known:
    """What may be learned from; labels are positions in the label set.

    Attributes:
        n_labels: size of the label set.
        shots: the shots' texts.
        shot_labels: their labels, as many.
        train_labels: labels of the train split.
    """

    n_labels: int
    shots: Sequence[str]
    shot_labels: NDArray[np.int64]
    train_labels: NDArray[np.int64]


def majority(known: Known, texts: Sequence[str]) -> Probabilities:
    """The shares of the labels for every row, so that the most frequent one is predicted.

    Shots are drawn with equally many rows of each label, which says nothing of how frequent labels are: where the most
    frequent label of the shots is not a single one, or there are no shots, the labels of the train split are counted.
    Without any, the labels share equally, and the first one is predicted.
    """
    counts = np.bincount(known.shot_labels, minlength=known.n_labels)
    if (counts == counts.max()).sum() > 1:
        counts = np.bincount(known.train_labels, minlength=known.n_labels)
    shares = (counts + 1) / (counts.sum() + known.n_labels)  # one more of each: a label unseen is not impossible
    return np.tile(shares, (len(texts), 1))


def tfidf_regression(known: Known, texts: Sequence[str]) -> Probabilities | None:
    """Logistic regression (L2, C = 1) on the TF-IDF weights of the lower-cased words and pairs of words of the shots.

    Words and weights too are taken from the shots alone; a label without shots has probability 0. Without shots it is
    no baseline.

    Raises:
        DataError: the shots have fewer than two labels, or no word, or there are too many rows.
    """
    if not known.shots:
        return None
    from sklearn.feature_extraction.text import TfidfVectorizer

    check_learnable(known, len(texts))
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\b\w+\b")
    try:
        features = words.fit_transform(known.shots)
    except ValueError:  # its only complaint about a list of texts: an empty vocabulary
        raise DataError("the shots have no word") from None
    return fitted_probabilities(known, features, words.transform(texts))


def check_learnable(known: Known, n_texts: int) -> None:
    """Make sure that a regression can learn from the shots, in reasonable time.

    Args:
        known: the shots.
        n_texts: the rows to predict.

    Raises:
        DataError: the shots have fewer than two labels, or there are too many rows.
    """
    if len(set(known.shot_labels.tolist())) < 2:
        raise DataError("the shots have a single label")
    if len(known.shots) + n_texts > LARGEST:
        raise DataError(f"there are more than {LARGEST} rows")


def fitted_probabilities(known: Known, features: Any, asked: Any) -> Probabilities:
    """Probabilities by a logistic regression (L2, C = 1) that is fitted to the shots.

    Args:
        known: the labels of the shots.
        features: (shots, features), dense or sparse.
        asked: (rows to predict, features).

    Returns:
        (rows to predict, labels); 0 for labels without shots.
    """
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=1.0, max_iter=1000, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a fit that is not quite converged is a baseline all the same
        model.fit(features, known.shot_labels)
    probabilities = np.zeros((asked.shape[0], known.n_labels))
    probabilities[:, model.classes_] = model.predict_proba(asked)
    return probabilities
