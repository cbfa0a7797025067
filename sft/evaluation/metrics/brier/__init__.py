"""Brier score as Brier (1950) defined it: mean over rows of the squared distance between the probabilities and the
gold label's unit vector, summed over all labels; 0 to 2, lower is better. (For two labels, half of it is the
one-sided score that some libraries report.)
"""

from sft.evaluation.metrics.entry import CLASSIFICATION, MetricEntry

METRIC = MetricEntry(
    results=("brier",),
    module="sft.evaluation.metrics.brier.module:Brier",
    needs="probabilities",
    task_types=CLASSIFICATION,
    range=(0.0, 2.0),
    row_sums="sft.evaluation.metrics.row_sums:mean_of_rows",
    higher_is_better=False,
)
