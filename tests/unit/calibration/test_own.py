"""What a user's own calibrator returns is looked at before it counts."""

from pathlib import Path

import numpy as np
import pytest

from sft.calibration.calibrator import RowSetScores
from sft.calibration.own import own_calibrator
from sft.exceptions import UserError

SCORES = np.array([[0.0, -1.0], [-2.0, -1.0]])
OWN = """
from sft.calibration.calibrator import Calibrated
row_sets: list[str] = ["train:4"]

def shifted(scores, row_sets, options):
    scores -= options["by"] * row_sets["train:4"].scores.mean(axis=0)
    return Calibrated(scores, {"by": options["by"], "rows": len(row_sets["train:4"].gold)})

def looking(scores, row_sets, options):
    return scores.tolist()
shifted.uses_evaluated_rows = False

def short(scores, row_sets, options):
    return scores[:1]
def missing(scores, row_sets, options):
    return scores * float("nan")
def words(scores, row_sets, options):
    return "sixty"
def unwritable(scores, row_sets, options):
    return Calibrated(scores, {"array": scores})
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "own_calibrators.py").write_text(OWN)
    return tmp_path


def run(folder: Path, name: str, **options: object) -> tuple[np.ndarray, dict[str, object]]:
    calibrator = own_calibrator(f"own_calibrators.py:{name}", folder)
    rows = {"train:4": RowSetScores(np.array([[1.0, 3.0], [3.0, 5.0]]), np.array([0, 1]))}
    found = calibrator.calibrate(SCORES, rows, calibrator.options(**options))
    return found.scores, found.details


def test_scores_row_sets_and_options_come_in_and_scores_go_out(folder: Path) -> None:
    before = SCORES.copy()
    scores, details = run(folder, "shifted", by=0.5)
    assert scores.tolist() == (before - [1, 2]).tolist()
    assert details == {"by": 0.5, "rows": 2}
    assert SCORES.tolist() == before.tolist()
    assert run(folder, "looking")[0].tolist() == before.tolist()


def test_it_counts_as_looking_at_all_rows_unless_it_says_otherwise(folder: Path) -> None:
    assert not own_calibrator("own_calibrators.py:shifted", folder).uses_evaluated_rows
    looking = own_calibrator("own_calibrators.py:looking", folder)
    assert looking.uses_evaluated_rows
    assert looking.row_sets(looking.options()) == ("train:4",)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("short", r"\(2, 2\); it returned \(1, 2\)"),
        ("missing", "non-finite"),
        ("words", "returned no numbers, but str"),
        ("unwritable", "details must be JSON"),
    ],
)
def test_what_it_returns_must_be_scores(folder: Path, name: str, part: str) -> None:
    with pytest.raises(UserError, match=part):
        run(folder, name)
