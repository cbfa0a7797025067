"""The settings that experiments share, and what follows from several of them."""

from collections.abc import Mapping, Sequence
from typing import Any

from sft.leaderboard.collect import ExperimentRecord
from sft.leaderboard.in_force import METHOD, default_settings, training_defaults
from sft.leaderboard.setting_differences import differing, has_section
from sft.wording import UNSET, distinct_texts

DEFAULTS = {
    "training.trainer_args.max_length": UNSET,
    "inference.calibration_args.calibration_fn": UNSET,
    METHOD: UNSET,
}
"""Leaves whose default says more than the word."""


class Absent:
    """Stands for a setting that an experiment does not have, as against one that is null."""


ABSENT = Absent()


def shared(records: Sequence[ExperimentRecord]) -> dict[str, Any]:
    """Leaves in force that are equal in all experiments and not as they are by default."""
    unequal = set(differing([record.settings_in_force for record in records]))
    settings = records[0].settings_in_force if records else {}
    defaults = {**training_defaults(), **default_settings()}
    return {
        path: value
        for path, value in settings.items()
        if path not in unequal and value not in (None, [], {}) and defaults.get(path) != value
    }


def setting_texts(records: Sequence[ExperimentRecord], path: str) -> list[str | None]:
    """How a setting is written for each experiment, unequal values unlike; None where one has no such setting.

    Args:
        records: of one board.
        path: dotted.
    """
    settings = [record.settings_in_force for record in records]
    values = [value_at(own, path) for own in settings]
    texts = distinct_texts([None if value is ABSENT else value for value in values])
    return [
        unwritten_text(own, path) if value is ABSENT else text
        for own, value, text in zip(settings, values, texts, strict=True)
    ]


def value_at(settings: Mapping[str, Any], path: str) -> Any:
    """A leaf, or a section as its leaves; `ABSENT` where it is not there.

    Args:
        settings: in force, by dotted path.
        path: dotted.
    """
    if path in settings:
        return settings[path]
    section = f"{path}."
    return {
        leaf.removeprefix(section): value for leaf, value in settings.items() if leaf.startswith(section)
    } or ABSENT


def unwritten_text(settings: Mapping[str, Any], path: str) -> str | None:
    """What a leaf that is not there means: the default of its section; None where there is no such section.

    Args:
        settings: in force, by dotted path.
        path: dotted, none of them.
    """
    return DEFAULTS.get(path, "default") if has_section(settings, path.rpartition(".")[0]) else None


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
    from sft.training.options import effective_trainer_args

    arguments = record.setting("training.trainer_args")
    written = arguments if isinstance(arguments, Mapping) else {}
    rate: float | None = effective_trainer_args(written, adapter_method(record)).get("learning_rate")
    return rate
