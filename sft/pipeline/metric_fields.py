"""What of the metrics counts for a key beside their names: arguments, and files that they are or read."""

import functools
from typing import Any

from sft.evaluation.selection import entries_of, result_name
from sft.pipeline.experiment import Experiment
from sft.runs.records import StageName

Fields = dict[str, Any]


def by_content(experiment: Experiment, stage: StageName, written: Fields) -> Fields:
    """Arguments with the content of the files that they name in place of their paths."""
    files = experiment.fingerprints.files
    return {key: files.get(f"{stage}:{value}", value) for key, value in written.items()}


def metric_modules(experiment: Experiment) -> Fields:
    """Metrics that are local modules of `evaluate`, by result, with their content."""
    files = experiment.fingerprints.files
    found = {name: files.get(f"evaluate:{name}") for name in experiment.metrics}
    return {result_name(name): content for name, content in found.items() if content is not None}


def metric_arguments(experiment: Experiment) -> Fields:
    """The written arguments of the metrics that are not at their default."""
    written = experiment.config.evaluation.model_extra or {}
    defaults = _metric_defaults(experiment.metrics) if written else {}
    return {key: value for key, value in written.items() if key not in defaults or defaults[key] != value}


@functools.cache
def _metric_defaults(metrics: tuple[str, ...]) -> Fields:
    return {
        key: field.get_default(call_default_factory=True)
        for entry in entries_of(metrics)
        for key, field in entry.options.model_fields.items()
    }
