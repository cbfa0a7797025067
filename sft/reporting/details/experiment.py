"""All that is shown when one experiment is opened."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sft.reporting.collect import ExperimentRecord
from sft.reporting.details.confusion import Confusion, confusion
from sft.reporting.details.errors import WrongRow, worst_errors
from sft.reporting.details.reliability import ConfidenceBin, reliability
from sft.reporting.details.sources import input_columns, loss_curve, predicted_rows, sample_prompts
from sft.reporting.setting_differences import differing

ERRORS = 10
UNWRITTEN = "not written"


@dataclass(frozen=True)
class SettingDifference:
    """A setting in which an experiment differs from the best one."""

    path: str
    own: Any
    best: Any


@dataclass(frozen=True)
class ExperimentDetails:
    """One finished experiment, looked at closely; on test rows.

    Attributes:
        differences: settings that are not as in the best experiment of its board.
        confusion: None in generation.
        reliability: accuracy by confidence; empty in generation.
        loss_curve: (step, training loss); empty where nothing was trained.
        n_errors: wrong rows; None where the predictions cannot be read.
        errors: the worst of them.
        prompts: as the model saw them.
    """

    differences: tuple[SettingDifference, ...]
    confusion: Confusion | None
    reliability: tuple[ConfidenceBin, ...]
    loss_curve: tuple[tuple[int, float], ...]
    n_errors: int | None
    errors: tuple[WrongRow, ...]
    prompts: tuple[str, ...]


def experiment_details(record: ExperimentRecord, best: ExperimentRecord) -> ExperimentDetails:
    """The details of a finished experiment beside the best one of its board."""
    rows = predicted_rows(record)
    return ExperimentDetails(
        differences=tuple(setting_differences(record, best)),
        confusion=confusion(record),
        reliability=tuple(reliability(rows)),
        loss_curve=tuple(loss_curve(record)),
        n_errors=sum(not row.is_correct for row in rows) if rows else None,
        errors=tuple(worst_errors(rows, input_columns(record), ERRORS)),
        prompts=tuple(sample_prompts(record)),
    )


def setting_differences(record: ExperimentRecord, best: ExperimentRecord) -> list[SettingDifference]:
    """The leaves that two experiments do not share, in the order of the configs."""
    return [
        SettingDifference(path, _value(record.settings, path), _value(best.settings, path))
        for path in differing([record.settings, best.settings])
    ]


def _value(settings: Mapping[str, Any], path: str) -> Any:
    return settings.get(path, UNWRITTEN)
