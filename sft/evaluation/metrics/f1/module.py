"""F1, precision and recall as one `evaluate.Metric`, because they share their counts."""

from collections.abc import Sequence

import numpy as np

from sft.evaluation.metrics.base import OfflineMetric
from sft.evaluation.metrics.counts import confusion_counts, label_ratios


class PrecisionRecallF1(OfflineMetric):
    """Macro, micro and weighted F1, precision and recall over all labels of the set."""

    needs = "labels"

    def _compute(self, predictions: Sequence[int], references: Sequence[int], n_labels: int) -> dict[str, float]:
        counts = confusion_counts(references, predictions, n_labels)
        ratios = label_ratios(counts)
        micro = float(np.trace(counts) / counts.sum())
        results = {}
        for name, values in (("f1", ratios.f1), ("precision", ratios.precision), ("recall", ratios.recall)):
            results[f"macro_{name}"] = float(values.mean())
            results[f"micro_{name}"] = micro
            results[f"weighted_{name}"] = float(np.average(values, weights=ratios.support))
        return results
