"""F1, precision and recall over the declared label set, 0 to 1.

`macro`: plain mean over labels; `weighted`: mean weighted by each label's gold rows; `micro`: from the counts of all
labels together. A label that no row has and that is never predicted counts 0 in `macro`.
"""

from sft.evaluation.metrics.entry import CLASSIFICATION, MULTILABEL, MetricEntry

METRIC = MetricEntry(
    results=tuple(
        f"{average}_{ratio}" for ratio in ("f1", "precision", "recall") for average in ("macro", "micro", "weighted")
    ),
    module="sft.evaluation.metrics.f1.module:PrecisionRecallF1",
    of_sets="sft.evaluation.metrics.f1.of_sets:SetF1",
    needs="labels",
    task_types=CLASSIFICATION | MULTILABEL,
    range=(0.0, 1.0),
    row_sums="sft.evaluation.metrics.label_sums:label_sums",
    in_steps=True,
)
