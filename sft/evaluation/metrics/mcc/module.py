"""Matthews correlation as an `evaluate.Metric`."""

from collections.abc import Sequence

from sft.evaluation.metrics.base import OfflineMetric
from sft.evaluation.metrics.counts import confusion_counts
from sft.evaluation.metrics.formulas import matthews_correlation


class MatthewsCorrelation(OfflineMetric):
    """Correlation of predicted and gold label for any number of labels (Gorodkin, 2004)."""

    needs = "labels"

    def _compute(self, predictions: Sequence[int], references: Sequence[int], n_labels: int) -> dict[str, float]:
        return {"mcc": matthews_correlation(confusion_counts(references, predictions, n_labels))}
