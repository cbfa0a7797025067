"""What an experiment's numbers are worth: the same shots and evaluated rows, without any language model."""

from sft.registry import Registry

MAJORITY = "majority class"

baseline_registry: Registry = {
    MAJORITY: "sft.evaluation.baselines.classifiers:majority",
    "TF-IDF + logistic regression": "sft.evaluation.baselines.classifiers:tfidf_regression",
}
"""Name on the board -> function of `Known` and the texts to predict; it gives (rows, labels) probabilities.

None where it is no baseline there, such as of what learns from shots where there are none.
"""
