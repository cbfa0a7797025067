"""The plain formulas are the metrics: every number of every classification metric of the registry."""

from pathlib import Path

import numpy as np

from sft.evaluation.computation import MetricInputs, compute_metrics
from sft.evaluation.metrics import metric_registry
from sft.evaluation.metrics.entry import CLASSIFICATION
from sft.evaluation.metrics.formulas import classification_numbers
from sft.evaluation.selection import entry_of

LABELS = ("a", "b", "c", "absent")
NAMES = [name for name in metric_registry if entry_of(name).task_types >= CLASSIFICATION and entry_of(name).results]


def test_every_classification_metric_has_its_plain_number() -> None:
    generator = np.random.default_rng(3)
    probabilities = generator.dirichlet(np.ones(4), size=90)
    gold = generator.integers(0, 3, 90)
    predicted = [LABELS[place] for place in probabilities.argmax(axis=1)]
    inputs = MetricInputs([LABELS[place] for place in gold], predicted, LABELS, probabilities)
    options = {"ece_bins": 7, "ece_norm": "l2"}
    wanted = compute_metrics(NAMES, "classification", inputs, options, Path.cwd()).results
    assert len(wanted) == len(NAMES) > 10
    assert classification_numbers(gold, probabilities, 7, "l2") == wanted
