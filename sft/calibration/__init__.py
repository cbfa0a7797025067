"""Calibrators: what the model favours whatever the input is taken off its label scores; from saved scores alone.

To add one: a file with a `CALIBRATOR` (see `calibrator.py`) and its line here.
"""

from sft.registry import Registry

calibration_registry: Registry = {
    "none": "sft.calibration.none:CALIBRATOR",
    "contextual": "sft.calibration.contextual:CALIBRATOR",
    "domain": "sft.calibration.domain:CALIBRATOR",
    "batch": "sft.calibration.batch:CALIBRATOR",
    "adjustable_batch": "sft.calibration.adjustable_batch:CALIBRATOR",
    "temperature": "sft.calibration.temperature:CALIBRATOR",
}
