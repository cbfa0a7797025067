"""Accuracy: the share of rows whose prediction is the gold label, 0 to 1."""

from sft.evaluation.metrics.entry import CLASSIFICATION, MetricEntry

METRIC = MetricEntry(
    results=("accuracy",),
    module="sft.evaluation.metrics.accuracy.module:Accuracy",
    needs="labels",
    task_types=CLASSIFICATION,
    range=(0.0, 1.0),
    row_sums="sft.evaluation.metrics.row_sums:share_right",
    in_steps=True,
)
