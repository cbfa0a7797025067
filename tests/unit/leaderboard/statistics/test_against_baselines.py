"""Set-ups beside baselines on the same rows."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sft.evaluation.rows import write_rows
from sft.leaderboard.board import Board
from sft.leaderboard.building import build_leaderboard
from sft.leaderboard.completing import board_runs, with_statistics
from sft.leaderboard.records import Baseline, ShotSetBaseline
from sft.leaderboard.statistics.against_baselines import with_baselines
from tests.support.records import outcome
from tests.support.results import ResultsBuilder

ROWS = 200


@pytest.fixture
def made(tmp_path: Path) -> ResultsBuilder:
    return ResultsBuilder(tmp_path)


def right(count: int) -> Any:
    return outcome(np.arange(ROWS) < count)


def baseline(
    path: Path, count: int, shots: int = 4, *, with_rows: bool = True, name: str = "majority class"
) -> Baseline:
    rows = path / f"{name}.npz"
    write_rows(rows, {"test": right(count)})
    own = ShotSetBaseline("aa", (13,), 12, {"accuracy": count / ROWS}, rows if with_rows else None)
    return Baseline("b", name, shots, ("text",), {"accuracy": count / ROWS}, (own,))


def not_above(board: Board, *baselines: Baseline) -> dict[str, tuple[str, ...]]:
    groups = with_baselines(board.groups, baselines, board_runs(board))
    return {group.name: group.not_above for group in groups}


def boards(made: ResultsBuilder) -> Board:
    (board,) = with_statistics(build_leaderboard([made.results])).boards
    return board


def test_a_set_up_is_above_a_baseline_where_the_rows_show_it(made: ResultsBuilder, tmp_path: Path) -> None:
    for name, count in (("far", 150), ("near", 104), ("below", 90)):
        made.scored(name, right(count), {"dataset": {"shots": 4}, "model": {"name": name}})
    title = "majority class (shots 4)"
    found = not_above(boards(made), baseline(tmp_path, 100))
    assert found == {"far": (), "near": (title,), "below": (title,)}


def test_seeds_that_spread_show_less(made: ResultsBuilder, tmp_path: Path) -> None:
    for name, counts in (("sure", (148, 150, 152)), ("unsure", (100, 150, 200))):
        for seed, count in enumerate(counts):
            own = {"dataset": {"shots": 4}, "model": {"name": name}, "seed": seed}
            made.scored(f"{name}/seed{seed}", right(count), own)
    found = not_above(boards(made), baseline(tmp_path, 100))
    assert {name: bool(titles) for name, titles in found.items()} == {"sure": False, "unsure": True}


def test_without_rows_the_means_decide(made: ResultsBuilder, tmp_path: Path) -> None:
    for name, count in (("near", 104), ("below", 90)):
        made.scored(name, right(count), {"dataset": {"shots": 4}, "model": {"name": name}})
    found = not_above(boards(made), baseline(tmp_path, 100, with_rows=False))
    assert {name: bool(titles) for name, titles in found.items()} == {"near": False, "below": True}


def test_a_set_up_stands_beside_the_baseline_of_as_many_shots(made: ResultsBuilder, tmp_path: Path) -> None:
    made.scored("four", right(90), {"dataset": {"shots": 4}})
    made.scored("zero", right(90), {"dataset": {"shots": 0}, "lora": None, "training": None})
    found = not_above(boards(made), baseline(tmp_path, 100), baseline(tmp_path, 100, shots=16, name="other"))
    assert found["four"] == ("majority class (shots 4)",)
    assert len(found["zero"]) == 2


def test_baselines_of_other_columns_are_not_mixed_up(made: ResultsBuilder, tmp_path: Path) -> None:
    made.scored("a", right(150), {"dataset": {"shots": 4}})
    columns = tuple(boards(made).groups[0].runs[0].setting("prompting.input_columns"))
    own = replace(baseline(tmp_path, 100, name="own"), name="words", input_columns=columns)
    other = replace(baseline(tmp_path, 190, name="other"), name="words", input_columns=("title",))
    for both in ((own, other), (other, own)):
        assert not_above(boards(made), *both) == {"a": ()}
