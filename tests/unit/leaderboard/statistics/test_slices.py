"""Leading set-ups on slices: numbers and intervals are those of a board that has these rows alone."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import f1_score

from sft.evaluation.rows import EvaluatedRows
from sft.leaderboard.board import Board
from sft.leaderboard.statistics.slices import SlicedResult
from sft.reporting.tables.slices import slice_sections, worst_slice_lines
from tests.support.results import ResultsBuilder

N_ROWS = 120
CODES = np.arange(N_ROWS) % 3
"""Slices `mail`, `phone`, `form` in turns."""
CHANNELS = ("mail", "phone", "form", "fax")


def told(n_rows: int = 0) -> dict[str, Any]:
    return {"slices": {"channel": [{"value": value, "n_rows": n_rows} for value in CHANNELS]}}


def gold_and_said(skill: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Phone rows have the first label alone; in the others the labels are mixed."""
    chance = np.random.default_rng(seed)
    gold = np.where(CODES == 1, 0, np.random.default_rng(7).integers(0, 2, N_ROWS))
    return gold, np.where(chance.random(N_ROWS) < skill, gold, 1 - gold)


def rows_of(skill: float, seed: int, places: NDArray[np.int64]) -> EvaluatedRows:
    gold, said = (values[places] for values in gold_and_said(skill, seed))
    return EvaluatedRows(gold == said, gold, said, slices={"channel": CODES[places]})


def board(path: Path, metric: str = "accuracy", places: NDArray[np.int64] | None = None, **details: Any) -> Board:
    made = ResultsBuilder(path, metric)
    for name, skill, seed in (("good/seed1", 0.85, 1), ("good/seed2", 0.85, 2), ("poor/seed1", 0.2, 3)):
        rows = rows_of(skill, seed, np.arange(N_ROWS) if places is None else places)
        results = {} if metric == "accuracy" else {metric: float(f1_score(rows.gold, rows.predicted, average="macro"))}
        own = {"seed": seed, "dataset": {"shots": 8 if name.startswith("good") else 4}}
        made.scored(name, rows, own, results=results, details=details or told())
    return made.board()


def by_value(found: SlicedResult) -> dict[str, Any]:
    return {one.value: one for one in found.slices}


def test_numbers_and_intervals_are_those_of_a_board_of_these_rows(tmp_path: Path) -> None:
    found = board(tmp_path / "all").slices[0]
    assert (found.group, found.column, found.metric) == ("good", "channel", "accuracy")
    for code, value in enumerate(("mail", "phone", "form")):
        alone = board(tmp_path / value, places=np.flatnonzero(code == CODES)).groups[0]
        one = by_value(found)[value]
        assert one.result == pytest.approx(alone.value)
        assert alone.interval is not None
        ends = (one.interval.low, one.interval.high)
        assert ends == pytest.approx((alone.interval.low, alone.interval.high))
        assert (one.n_rows, one.covers) == (40, alone.interval_covers)
    assert "fax" not in by_value(found)
    results = [one.result for one in found.slices]
    assert results == sorted(results)
    assert found.worst == found.slices[0]


def test_a_mean_over_labels_is_over_those_that_the_slice_has(tmp_path: Path) -> None:
    found = board(tmp_path, "macro_f1").slices[0]
    wanted = []
    for seed in (1, 2):
        gold, said = (values[CODES == 1] for values in gold_and_said(0.85, seed))
        wanted.append(f1_score(gold, said, labels=[0], average="macro"))
    phone = by_value(found)["phone"]
    assert phone.result == pytest.approx(np.mean(wanted))
    assert (phone.n_labels, by_value(found)["mail"].n_labels) == (1, 2)


def test_labels_of_rows_with_any_number_of_them_are_counted(tmp_path: Path) -> None:
    gold = np.random.default_rng(7).random((N_ROWS, 3)) < 0.5
    gold[CODES == 1, 1:] = False
    said = np.where(np.random.default_rng(8).random(gold.shape) < 0.8, gold, ~gold)
    codes = {"channel": CODES}
    rows = EvaluatedRows((gold == said).all(axis=1), gold_sets=gold, predicted_sets=said, slices=codes)
    made = ResultsBuilder(tmp_path, "micro_f1")
    results = {"micro_f1": float(f1_score(gold, said, average="micro"))}
    labels = {"labels": ["a", "b", "c"], "has_label_sets": True}
    made.scored("one", rows, {}, results=results, details={**told(), **labels})
    (found,) = made.board().slices
    assert {one.value: one.n_labels for one in found.slices} == {"mail": 3, "phone": 1, "form": 3}
    phone = by_value(found)["phone"]
    expected = f1_score(gold[CODES == 1], said[CODES == 1], average="micro")
    assert phone.result == pytest.approx(expected)


def test_a_slice_of_few_rows_is_never_the_worst(tmp_path: Path) -> None:
    made = ResultsBuilder(tmp_path)
    correct = np.array([False] * 5 + [True] * 25 + [False] * 5 + [True] * 20)
    codes = np.array([0] * 5 + [1] * 25 + [2] * 25)
    gold = np.zeros(len(correct), dtype=np.int64)
    rows = EvaluatedRows(correct, gold, np.where(correct, 0, 1), slices={"channel": codes})
    made.scored("one", rows, {}, details=told())
    (found,) = made.board().slices
    assert (found.slices[0].value, found.worst and found.worst.value) == ("mail", "form")


def test_runs_of_other_slices_or_none_have_no_common_ones(tmp_path: Path) -> None:
    assert board(tmp_path / "none", slices={}).slices == ()
    made = ResultsBuilder(tmp_path / "others")
    for seed, codes in ((1, CODES), (2, CODES[::-1].copy())):
        gold, said = gold_and_said(0.8, seed)
        rows = EvaluatedRows(gold == said, gold, said, slices={"channel": codes})
        made.scored(f"good/seed{seed}", rows, {"seed": seed}, details=told())
    assert made.board().slices == ()


def test_board_and_page_name_the_worst_slice_and_how_sure_that_is(tmp_path: Path) -> None:
    made = ResultsBuilder(tmp_path)
    correct = np.array([True] * 60 + [False] * 40)
    rows = EvaluatedRows(correct, np.zeros(100, dtype=np.int64), 1 - correct, slices={"channel": np.arange(100) // 50})
    made.scored("one", rows, {}, details=told())
    record = made.record()
    (line,) = worst_slice_lines(record)
    assert line.startswith("Worst slice of one: channel = phone, accuracy 0.2000 [0.")
    assert line.endswith("on 50 rows, the worst of 2; all rows 0.6000: all of its interval is worse than that.")
    assert line in " ".join(text for text in slice_sections(record) if isinstance(text, str))
    markdown = (tmp_path / "leaderboard.md").read_text()
    assert "Worst slice of one: channel = phone" in markdown
    assert "channel = mail" in markdown
    assert "Worst slice of one: channel = phone" in (tmp_path / "leaderboard.html").read_text()
    record["slices"][0]["is_below"] = False
    assert "its interval reaches that, so it may be chance" in next(worst_slice_lines(record))
