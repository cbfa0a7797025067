"""Boards of a folder that another process is writing to, and of very many test rows."""

import gc
import json
import threading
from pathlib import Path
from typing import Any

import pytest

from sft.exceptions import UserError
from sft.leaderboard.building import build_leaderboard
from sft.leaderboard.completing import with_statistics
from sft.reporting.files import write_leaderboard
from sft.runs.files import ResultsFolder
from tests.support import grids

N_ADDED = 12


def test_a_board_can_be_made_at_any_moment_of_a_run(tmp_path: Path) -> None:
    grid = grids.MadeGrid(tmp_path, models=("small",), n_seeds=1, n_rows=20)
    for seed in range(1, N_ADDED + 1):
        grid.plan(f"small/lora-8/seed{seed}", grids.config("small", seed, {}))
    grid.write_grid()
    writer = threading.Thread(
        target=lambda: [grid.finish(f"small/lora-8/seed{seed}") for seed in range(1, N_ADDED + 1)]
    )
    counts = []
    writer.start()
    while writer.is_alive():
        counts.append(n_done(grid))
    writer.join()
    assert counts == sorted(counts)
    assert n_done(grid) == 6 + N_ADDED


def n_done(grid: Any) -> int:
    """Write the board and count what it says is done."""
    write_leaderboard([grid.results], grid.results.path)
    states = [row["state"] for row in json.loads(grid.results.leaderboard("json").read_text())["rows"]]
    assert set(states) <= {"done", "pending"}
    assert len(states) == 6 + N_ADDED
    return states.count("done")


def test_a_board_of_10000_test_rows_has_intervals(tmp_path: Path) -> None:
    grid = grids.MadeGrid(tmp_path, models=("small",), n_seeds=1, n_rows=10_000)
    board = with_statistics(build_leaderboard([grid.results])).boards[0]
    assert board.statistics is not None
    assert board.statistics.n_rows == 10_000
    intervals = [group.interval for group in board.groups]
    assert all(interval is not None and 0.01 < interval.high - interval.low < 0.03 for interval in intervals)


def test_the_search_for_cycles_goes_on_afterwards(tmp_path: Path) -> None:
    with pytest.raises(UserError):
        build_leaderboard([ResultsFolder(tmp_path / "gone")])
    assert gc.isenabled()
