"""What the model favours, estimated from scores or fitted on labelled rows, and taken off them; everything in fp64 and
in logarithms.
"""

from typing import Literal

import numpy as np

from sft.calibration.calibrator import Calibrated, RowSetScores, Scores

Space = Literal["logit", "log_ratio", "prob"]

LOWEST = -700.0
"""Log-probabilities are clamped here, in nats: below, exp() leaves the normal numbers of fp64."""

LABELLED_ROWS = 64
"""Labelled rows by default: one number is fitted, and more cost as much time as evaluated rows do."""


def log_probabilities(scores: Scores) -> Scores:
    """Logarithms of the softmax over the labels, each at least `LOWEST`.

    Args:
        scores: (..., labels), in nats; minus infinity is a label that cannot be.
    """
    shifted = scores - scores.max(axis=-1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    found: Scores = np.maximum(logs, LOWEST)
    return found


def log_mean_probability(scores: Scores) -> Scores:
    """Logarithm of the mean label probability over the last but one axis: (..., rows, labels) to (..., labels).

    Summed in logarithms, so that a label with a probability of 1e-300 in every row keeps its share.
    """
    logs = log_probabilities(scores)
    largest = logs.max(axis=-2, keepdims=True)
    mean: Scores = np.log(np.exp(logs - largest).mean(axis=-2)) + largest[..., 0, :]
    return mean


def divided_by_prior(scores: Scores, content_free: Scores) -> Calibrated:
    """p divided by the mean probability on prompts without content, made to sum to 1 again.

    Args:
        scores: (rows, labels).
        content_free: (prompts, labels), one prior for all rows; or (rows, prompts, labels), a prior for each row.
    """
    prior = log_mean_probability(content_free)
    shown = np.exp(prior if prior.ndim == 1 else log_mean_probability(prior))
    return Calibrated(log_probabilities(log_probabilities(scores) - prior), {"prior": shown.tolist()})


def prior_of_rows(scores: Scores, space: Space) -> Scores:
    """What many rows have in common, (labels,).

    Args:
        scores: (rows, labels).
        space: `logit`: mean log-probability; `log_ratio`: logarithm of the mean probability; `prob`: mean
            probability.
    """
    if space == "logit":
        prior: Scores = log_probabilities(scores).mean(axis=0)
        return prior
    logs = log_mean_probability(scores)
    return logs if space == "log_ratio" else np.exp(logs)


def without_prior(scores: Scores, prior: Scores, space: Space, strength: float = 1.0) -> Scores:
    """Scores with `strength` times the prior taken off, as log-probabilities (rows, labels).

    In `prob` the differences p - g * prior do not sum to 1 and may be negative. (g / labels) added to each makes the
    sum 1 and moves no argmax; what is then still below 0 is clamped. The largest is at least 1 / labels, so that
    clamping never decides.

    Args:
        scores: (rows, labels).
        prior: (labels,), of `prior_of_rows` in the same space.
        space: where it is subtracted.
        strength: g.
    """
    logs = log_probabilities(scores)
    if space != "prob":
        return log_probabilities(logs - strength * prior)
    shifted = np.exp(logs) - strength * prior + strength / scores.shape[-1]
    return log_probabilities(np.log(np.maximum(shifted, np.exp(LOWEST))))


def labelled_rows(count: int) -> str:
    """The name of the row set with at most `count` labelled rows."""
    return f"train:{count}"


def mean_log_loss(scores: Scores, rows: RowSetScores) -> float:
    """Mean of -log p(gold label), in nats.

    Args:
        scores: (rows, labels).
        rows: where the gold labels stand.
    """
    if rows.gold is None:
        raise ValueError("these rows have no gold labels")
    logs = log_probabilities(scores)
    return float(-logs[np.arange(len(logs)), rows.gold].mean())
