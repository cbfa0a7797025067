"""No calibration."""

from collections.abc import Mapping

from sft.calibration.calibrator import Calibrated, Calibrator, Options, RowSetScores, Scores


class NoneOptions(Options):
    """There are none."""


def calibrate(scores: Scores, row_sets: Mapping[str, RowSetScores], options: NoneOptions) -> Calibrated:
    """The scores as they are."""
    return Calibrated(scores)


CALIBRATOR = Calibrator(
    options=NoneOptions, row_sets=lambda options: (), calibrate=calibrate, summary="the scores as they are"
)
