"""What a calibrator found in some rows is applied to others as to themselves, each row alone."""

import numpy as np
import pytest

from sft.calibration import calibration_registry
from sft.calibration.calibrator import Calibrator, RowSetScores
from sft.registry import import_object
from sft.tasks.row_sets import RowSet

RANDOM = np.random.default_rng(0)
SEEN = RANDOM.normal(-20, 5, (50, 3))


def row_sets(names: tuple[str, ...]) -> dict[str, RowSetScores]:
    return {
        name: RowSetScores(
            RANDOM.normal(-20, 5, (30, 3)), RANDOM.integers(0, 3, 30) if RowSet.parse(name).kind == "train" else None
        )
        for name in names
    }


@pytest.mark.parametrize("name", calibration_registry)
def test_rows_one_by_one_are_calibrated_as_among_all(name: str):
    calibrator: Calibrator = import_object(calibration_registry[name])
    options = calibrator.options()
    found = row_sets(calibrator.row_sets(options))
    whole = calibrator.calibrate(SEEN, found, options).scores
    assert (calibrator.calibrate_new is not None) is calibrator.uses_evaluated_rows
    for number, row in enumerate(SEEN):
        alone = row[None, :]
        if calibrator.calibrate_new is None:
            own = calibrator.calibrate(alone, found, options)
        else:
            own = calibrator.calibrate_new(alone, SEEN, found, options)
        np.testing.assert_array_equal(own.scores[0], whole[number])
