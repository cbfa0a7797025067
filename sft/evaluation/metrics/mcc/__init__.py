"""Matthews correlation of predicted and gold label, -1 to 1; 0 where one of them never varies (Gorodkin 2004)."""

from sft.evaluation.metrics.entry import CLASSIFICATION, MetricEntry

METRIC = MetricEntry(
    results=("mcc",),
    module="sft.evaluation.metrics.mcc.module:MatthewsCorrelation",
    needs="labels",
    task_types=CLASSIFICATION,
    range=(-1.0, 1.0),
    row_sums="sft.evaluation.metrics.label_sums:label_sums",
    in_steps=True,
)
