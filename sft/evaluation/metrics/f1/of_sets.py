"""F1, precision and recall of rows with any number of labels, as one `evaluate.Metric`."""

from collections.abc import Sequence

import numpy as np

from sft.evaluation.metrics.base import OfflineMetric
from sft.evaluation.metrics.set_counts import set_averages


class SetF1(OfflineMetric):
    """Macro, micro and weighted F1, precision and recall over all labels of the set."""

    needs = "label_sets"

    def _compute(
        self, predictions: Sequence[Sequence[int]], references: Sequence[Sequence[int]], n_labels: int
    ) -> dict[str, float]:
        return set_averages(np.array(references, dtype=np.bool_), np.array(predictions, dtype=np.bool_))
