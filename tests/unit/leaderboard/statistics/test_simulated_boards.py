"""Verdicts on boards whose truth is known are wrong no more often than docs/statistics.md says."""

import numpy as np
import pytest

from tests.support.simulated_boards import KINDS, boards

COUNT = 200
FEW_SEEDS = (2, 3)


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_verdicts_are_wrong_no_more_often_than_is_said(name: str) -> None:
    """Errors of single pairs, false marks and coverage, each with three standard errors of the count to spare."""
    kind = KINDS[name]
    found = boards(kind, COUNT, seed=7)

    def at_most(share: float) -> float:
        return share + 3 * float((share * (1 - share) / COUNT) ** 0.5)

    assert np.mean([board.false_marks > 0 for board in found]) <= at_most(0.07)
    if kind.lead == 0:
        limit = 0.07 if kind.n_seeds in FEW_SEEDS else 0.06
        assert np.mean([board.pair_p < 0.05 for board in found]) <= at_most(limit)
    if kind.n_seeds > 1 or kind.seedless:
        assert np.mean([board.pair_covers for board in found]) >= 1 - at_most(0.07)
        assert np.mean([board.share_covered for board in found]) >= 1 - at_most(0.07)


@pytest.mark.slow
def test_a_set_up_that_truly_leads_is_told_from_the_others() -> None:
    """Power counts too: with five seeds and a lead of 0.1 nearly a third of the worse ones are found."""
    found = boards(KINDS["6 set-ups, 5 seeds, one better by 0.1"], 100, seed=7)
    assert np.mean([board.found for board in found]) >= 0.2
