"""The share of rows whose labels are all predicted, and no others, 0 to 1."""

from sft.evaluation.metrics.entry import MULTILABEL, MetricEntry

METRIC = MetricEntry(
    results=("subset_accuracy",),
    module="sft.evaluation.metrics.subset_accuracy.module:SubsetAccuracy",
    needs="label_sets",
    task_types=MULTILABEL,
    range=(0.0, 1.0),
    row_sums="sft.evaluation.metrics.row_sums:share_right",
    in_steps=True,
)
