"""The metrics a user can name; the first in `evaluation.metrics` ranks.

Adding one: a folder with a light entry in `__init__.py` and an `evaluate.Metric` in `module.py`, and a line here for
each result it gives.
"""

from sft.registry import Registry

_PACKAGE = "sft.evaluation.metrics"

metric_registry: Registry = {
    "accuracy": f"{_PACKAGE}.accuracy:METRIC",
    "macro_f1": f"{_PACKAGE}.f1:METRIC",
    "micro_f1": f"{_PACKAGE}.f1:METRIC",
    "weighted_f1": f"{_PACKAGE}.f1:METRIC",
    "macro_precision": f"{_PACKAGE}.f1:METRIC",
    "micro_precision": f"{_PACKAGE}.f1:METRIC",
    "weighted_precision": f"{_PACKAGE}.f1:METRIC",
    "macro_recall": f"{_PACKAGE}.f1:METRIC",
    "micro_recall": f"{_PACKAGE}.f1:METRIC",
    "weighted_recall": f"{_PACKAGE}.f1:METRIC",
    "subset_accuracy": f"{_PACKAGE}.subset_accuracy:METRIC",
    "hamming_loss": f"{_PACKAGE}.hamming_loss:METRIC",
    "mcc": f"{_PACKAGE}.mcc:METRIC",
    "log_loss": f"{_PACKAGE}.log_loss:METRIC",
    "brier": f"{_PACKAGE}.brier:METRIC",
    "ece": f"{_PACKAGE}.ece:METRIC",
    "confusion_matrix": f"{_PACKAGE}.confusion_matrix:METRIC",
    "rouge1": f"{_PACKAGE}.rouge:METRIC",
    "rouge2": f"{_PACKAGE}.rouge:METRIC",
    "rougeL": f"{_PACKAGE}.rouge:METRIC",
    "rougeLsum": f"{_PACKAGE}.rouge:METRIC",
    "bleu": f"{_PACKAGE}.bleu:METRIC",
    "chrf": f"{_PACKAGE}.chrf:METRIC",
    "exact_match": f"{_PACKAGE}.exact_match:METRIC",
    "perplexity": f"{_PACKAGE}.perplexity:METRIC",
    "bertscore": f"{_PACKAGE}.bertscore:METRIC",
    "bleurt": f"{_PACKAGE}.bleurt:METRIC",
}
