"""Calibrators: what the model favours whatever the input is taken off its label scores; from saved scores alone."""

from sft.registry import Registry

calibration_registry: Registry = {
    "none": "sft.calibration.none:CALIBRATOR",
}
