"""Calibration gains: the same runs with and without their calibrator."""

from pathlib import Path

import numpy as np
import pytest

from sft.evaluation.rows import read_rows, write_rows
from sft.evaluation.selection import DEV
from sft.leaderboard.statistics.formulas import score_mcnemar_p, tango_interval
from tests.support.records import outcome
from tests.support.results import ResultsBuilder

BATCH = {"inference": {"calibration_args": {"calibration_fn": "batch"}}}


@pytest.fixture
def made(tmp_path: Path) -> ResultsBuilder:
    return ResultsBuilder(tmp_path)


def test_the_gain_of_one_run_is_a_comparison_of_two_shares_of_its_rows(made: ResultsBuilder) -> None:
    rng = np.random.default_rng(1)
    after, before = rng.random(60) < 0.8, rng.random(60) < 0.6
    made.scored("a", outcome(after, before), BATCH, results={"uncalibrated_accuracy": float(before.mean())})
    made.scored("b", outcome(after), {})
    (gain,) = made.board().calibration_gains
    assert (gain.group, gain.calibrator, gain.metric, gain.n) == ("a", "batch", "accuracy", 1)
    assert (gain.calibrated, gain.uncalibrated) == (after.mean(), before.mean())
    assert gain.difference == pytest.approx(after.mean() - before.mean())
    found, alone, other = gain.comparison, int((after & ~before).sum()), int((before & ~after).sum())
    assert found is not None
    assert (found.test, found.p_holm) == ("mcnemar", pytest.approx(score_mcnemar_p(alone, other)))
    assert found.interval == tango_interval(60, alone, other)


def test_several_seeds_are_one_gain_and_several_gains_one_family(made: ResultsBuilder) -> None:
    for name, calibrator in (("a", "batch"), ("b", "contextual")):
        own = {"inference": {"calibration_args": {"calibration_fn": calibrator}}}
        for seed in (1, 2, 3):
            before, after = (np.arange(200) < number for number in (100, 110 + seed))
            made.scored(
                f"{name}/seed{seed}",
                outcome(after, before),
                {"seed": seed, **own},
                results={"uncalibrated_accuracy": 0.5},
            )
    gains = made.board().calibration_gains
    assert {gain.group: (gain.n, gain.difference) for gain in gains} == {
        name: (3, pytest.approx(0.06)) for name in "ab"
    }
    for gain in gains:
        assert gain.comparison is not None
        assert gain.comparison.covers == "test rows and seeds"
        assert gain.comparison.p_holm == pytest.approx(2 * gain.comparison.p)


@pytest.mark.parametrize("case", ["old file", "other number", "no number", "no calibrator"])
def test_what_is_not_known_is_left_out(made: ResultsBuilder, case: str) -> None:
    before, after = np.arange(200) < 100, np.arange(200) < 120
    results = {} if case == "no number" else {"uncalibrated_accuracy": 0.7 if case == "other number" else 0.5}
    rows = outcome(after, None if case == "old file" else before)
    made.scored("a", rows, {} if case == "no calibrator" else BATCH, results=results)
    gains = made.board().calibration_gains
    assert [gain.comparison for gain in gains] == ([None] if case in ("old file", "other number") else [])


def test_rows_keep_what_they_were_before_calibration(tmp_path: Path) -> None:
    before, after = np.arange(6) < 2, np.arange(6) < 4
    rows = outcome(after, before)
    assert rows.uncalibrated is not None
    path = tmp_path / "rows.npz"
    write_rows(path, {"test": outcome(after), "dev": rows})
    test, dev = read_rows(path), read_rows(path, DEV)
    assert test is not None
    assert dev is not None
    assert test.uncalibrated is None
    plain = dev.uncalibrated
    assert plain is not None
    assert plain.correct.tolist() == before.tolist()
    assert plain.log_loss is None
