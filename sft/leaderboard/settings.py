"""The settings that experiments share, and what follows from several of them."""

from collections.abc import Mapping, Sequence
from typing import Any

from sft.leaderboard.collect import ExperimentRecord
from sft.leaderboard.in_force import default_settings
from sft.leaderboard.setting_differences import differing
from sft.training.options import effective_trainer_args


def shared(records: Sequence[ExperimentRecord]) -> dict[str, Any]:
    """Leaves that are equal in all experiments and not as they are by default."""
    unequal = set(differing([record.settings for record in records]))
    settings = records[0].settings if records else {}
    return {
        path: value
        for path, value in settings.items()
        if path not in unequal and value not in (None, [], {}) and default_settings().get(path) != value
    }


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
