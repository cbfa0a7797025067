"""Confusion matrix, with each label's precision, recall, F1 and support, as an `evaluate.Metric`."""

from collections.abc import Sequence
from typing import Any

from sft.evaluation.metrics.base import OfflineMetric
from sft.evaluation.metrics.counts import confusion_counts, label_ratios


class ConfusionMatrix(OfflineMetric):
    """Rows by gold label (first axis) and predicted label (second axis), and what follows for each label."""

    needs = "labels"

    def _compute(self, predictions: Sequence[int], references: Sequence[int], n_labels: int) -> dict[str, Any]:
        counts = confusion_counts(references, predictions, n_labels)
        ratios = label_ratios(counts)
        columns = {
            "precision": ratios.precision.tolist(),
            "recall": ratios.recall.tolist(),
            "f1": ratios.f1.tolist(),
            "support": ratios.support.tolist(),
            "predicted": counts.sum(axis=0).tolist(),
        }
        per_label = [{name: values[label] for name, values in columns.items()} for label in range(n_labels)]
        return {"confusion_matrix": counts.tolist(), "per_label": per_label}
