"""The settings in which experiments differ, those they share, and what follows from several of them."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sft.config.experiment import ExperimentConfig
from sft.reporting.collect import ExperimentRecord
from sft.reporting.leaves import leaves
from sft.training.options import effective_trainer_args


def differing(records: Sequence[ExperimentRecord]) -> list[str]:
    """Paths of the leaves that are not equal in all experiments, in the order of the configs.

    A section that one experiment leaves out and another fills differs by the leaves of the fuller one.
    """
    first = records[0] if records else None
    if first is None:
        return []
    sections = {
        name for name in _sections(records) if any(r.config.get(name) != first.config.get(name) for r in records)
    }
    paths = dict.fromkeys(path for record in records for path in record.settings if path.partition(".")[0] in sections)
    own = first.settings
    unequal = [path for path in paths if any(record.settings.get(path) != own.get(path) for record in records)]
    inner = {path.rpartition(".")[0] for path in unequal}
    return [path for path in unequal if path not in inner]


def _sections(records: Sequence[ExperimentRecord]) -> dict[str, None]:
    """Top-level keys: what two configs share there is compared as a whole, which is fast."""
    return dict.fromkeys(name for record in records for name in record.config)


def shared(records: Sequence[ExperimentRecord]) -> dict[str, Any]:
    """Leaves that are equal in all experiments and not as they are by default."""
    unequal = set(differing(records))
    settings = records[0].settings if records else {}
    return {
        path: value
        for path, value in settings.items()
        if path not in unequal and value not in (None, [], {}) and default_settings().get(path) != value
    }


@cache
def default_settings() -> Mapping[str, Any]:
    """The leaves of a config in which only the required keys are written."""
    required = {
        "dataset": {"path": "any", "task_type": "", "shots": 0},
        "model": {"name": ""},
        "prompting": {"input_columns": [""], "output_column": ""},
    }
    return leaves(ExperimentConfig.model_validate(required).resolved())


def trains(record: ExperimentRecord) -> bool:
    """Whether the experiment has a train stage."""
    return adapter_method(record) != "none" and record.setting("dataset.shots") != 0


def adapter_method(record: ExperimentRecord) -> str:
    """Name of the adapter method, `none` where nothing is trained."""
    if record.setting("lora") is not None:
        return "lora"
    return str(record.setting("adapter.method") or "none")


def learning_rate(record: ExperimentRecord) -> float | None:
    """The learning rate in force; None where nothing is trained."""
    if not trains(record):
        return None
    arguments = record.setting("training.trainer_args")
    written = arguments if isinstance(arguments, Mapping) else {}
    rate: float | None = effective_trainer_args(written, adapter_method(record)).get("learning_rate")
    return rate
