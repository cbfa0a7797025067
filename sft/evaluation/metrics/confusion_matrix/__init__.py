"""Confusion matrix: rows by gold and predicted label. It is always under `details`; it gives no number to rank by."""

from sft.evaluation.metrics.entry import CLASSIFICATION, MetricEntry

METRIC = MetricEntry(
    results=(),
    module="sft.evaluation.metrics.confusion_matrix.module:ConfusionMatrix",
    needs="labels",
    task_types=CLASSIFICATION,
    range=(0.0, None),
)
