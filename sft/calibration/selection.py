"""From `calibration_args` to a calibrator: one of the registry, or a user's own."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sft.calibration import calibration_registry
from sft.calibration.calibrator import Calibrator
from sft.registry import load


def calibrator_of(name: str, folder: Path) -> Calibrator[Any]:
    """The calibrator of a name; an own one is imported."""
    found: Calibrator[Any] = load(calibration_registry, name, "calibrator", folder)
    return found


def needed_row_sets(name: str, options: Mapping[str, Any], folder: Path) -> tuple[str, ...]:
    """The row sets that a calibrator needs under these options; own code is read and not imported."""
    calibrator = calibrator_of(name, folder)
    return calibrator.row_sets(calibrator.options(**options))
