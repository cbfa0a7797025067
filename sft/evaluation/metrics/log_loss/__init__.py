"""Log loss: mean of -ln p(gold label), in nats, 0 and up; lower is better.

A probability below 2.2e-16 (the spacing of floats at 1) counts as that, as in scikit-learn, so that one row that is
surely wrong costs 36 nats and not infinity.
"""

from sft.evaluation.metrics.entry import CLASSIFICATION, MetricEntry

METRIC = MetricEntry(
    results=("log_loss",),
    module="sft.evaluation.metrics.log_loss.module:LogLoss",
    needs="probabilities",
    task_types=CLASSIFICATION,
    range=(0.0, None),
    row_sums="sft.evaluation.metrics.row_sums:mean_of_rows",
    higher_is_better=False,
)
