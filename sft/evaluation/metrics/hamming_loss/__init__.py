"""The share of (row, label) pairs that are judged wrongly, 0 to 1; less is better."""

from sft.evaluation.metrics.entry import MULTILABEL, MetricEntry

METRIC = MetricEntry(
    results=("hamming_loss",),
    module="sft.evaluation.metrics.hamming_loss.module:HammingLoss",
    needs="label_sets",
    task_types=MULTILABEL,
    range=(0.0, 1.0),
    row_sums="sft.evaluation.metrics.set_sums:share_of_pairs",
    higher_is_better=False,
)
