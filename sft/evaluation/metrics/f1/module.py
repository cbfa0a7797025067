"""F1, precision and recall as one `evaluate.Metric`, because they share their counts."""

from collections.abc import Sequence

from sft.evaluation.metrics.base import OfflineMetric
from sft.evaluation.metrics.counts import confusion_counts
from sft.evaluation.metrics.formulas import averages


class PrecisionRecallF1(OfflineMetric):
    """Macro, micro and weighted F1, precision and recall over all labels of the set."""

    needs = "labels"

    def _compute(self, predictions: Sequence[int], references: Sequence[int], n_labels: int) -> dict[str, float]:
        return averages(confusion_counts(references, predictions, n_labels))
