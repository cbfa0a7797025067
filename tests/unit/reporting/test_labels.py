"""The best set-up by label: in `leaderboard.json`, in words, in Markdown and on the page."""

from pathlib import Path
from typing import Any

import pytest

from sft.leaderboard.building import build_leaderboard
from sft.leaderboard.completing import with_statistics
from sft.reporting.files import write_leaderboard
from sft.reporting.formats.json import leaderboard_record, report_of
from sft.reporting.page.rendering import page_data
from sft.reporting.tables.labels import label_lines
from sft.terminal.board.boards import board_text
from tests.support.records import config, metrics
from tests.support.results import ResultsBuilder


def numbers(f1: float | None, support: int) -> dict[str, Any]:
    return {"precision": f1, "recall": 0.5, "f1": f1, "support": support}


def board_of(folder: ResultsBuilder, runs: dict[int, dict[str, Any]], macro_f1: float = 0.6) -> None:
    """A set-up with a run for each seed, with the numbers of its labels."""
    for seed, per_label in runs.items():
        details = {"labels": ["any"], "per_label": per_label}
        record = metrics({"macro_f1": macro_f1}, details=details)
        folder.done(f"best/seed{seed}", f"b{seed}".ljust(16, "0"), config(seed=seed), record)


SEEDS = {
    0: {"late": numbers(0.2, 5), "other|things": numbers(0.9, 1), "lost": numbers(0.5, 7)},
    1: {"late": numbers(0.4, 5), "other|things": numbers(0.7, 1), "lost": numbers(0.5, 7)},
}


def test_numbers_are_means_over_the_runs_of_the_best_set_up(tmp_path: Path) -> None:
    folder = ResultsBuilder(tmp_path)
    board_of(folder, SEEDS)
    worse = {"labels": ["any"], "per_label": dict.fromkeys(SEEDS[0], numbers(1.0, 1))}
    folder.done("worse", "w" * 16, config(model={"name": "other"}), metrics({"macro_f1": 0.1}, details=worse))
    found = leaderboard_record(with_statistics(build_leaderboard([folder.results])))["boards"][0]["by_label"]
    assert (found["group"], found["n"]) == ("best", 2)
    assert [one["label"] for one in found["labels"]] == ["late", "other|things", "lost"]
    assert [one["f1"] for one in found["labels"]] == pytest.approx([0.3, 0.8, 0.5])
    assert [one["support"] for one in found["labels"]] == [5, 1, 7]


def test_the_lowest_labels_are_named_with_their_rows(tmp_path: Path) -> None:
    folder = ResultsBuilder(tmp_path)
    board_of(folder, SEEDS)
    record = leaderboard_record(with_statistics(build_leaderboard([folder.results])))
    wanted = "Lowest F1 by label of best: late 0.3000 (5 rows), lost 0.5000 (7 rows); 3 labels in all."
    assert list(label_lines(record["boards"][0])) == [wanted]
    assert wanted in board_text(record)


def test_markdown_and_page_have_the_table(tmp_path: Path) -> None:
    folder = ResultsBuilder(tmp_path)
    board_of(folder, SEEDS)
    write_leaderboard([folder.results], tmp_path)
    lines = [" ".join(line.split()) for line in (tmp_path / "leaderboard.md").read_text().splitlines()]
    assert "| label | precision | recall | F1 | rows |" in lines
    assert r"| other\|things | 0.8000 | 0.5000 | 0.8000 | 1 |" in lines
    page = page_data(report_of(with_statistics(build_leaderboard([folder.results]))))
    (table,) = [part for part in page["boards"][0]["numbers"] if isinstance(part, dict)]
    assert table["rows"][0] == ["late", "0.3000", "0.5000", "0.3000", "5"]


@pytest.mark.parametrize(
    "runs",
    [
        {0: {}},
        {0: {"a": numbers(0.5, 1)}, 1: {}},
        {0: {"a": numbers(0.5, 1)}, 1: {"b": numbers(0.5, 1)}},
    ],
)
def test_runs_without_equal_labels_have_no_table(runs: dict[int, dict[str, Any]], tmp_path: Path) -> None:
    folder = ResultsBuilder(tmp_path)
    board_of(folder, runs)
    boards = leaderboard_record(with_statistics(build_leaderboard([folder.results])))["boards"]
    assert [board["by_label"] for board in boards] == [None] * len(boards)
    assert all(list(label_lines(board)) == [] for board in boards)


def test_a_number_that_is_missing_is_not_applicable(tmp_path: Path) -> None:
    folder = ResultsBuilder(tmp_path)
    board_of(folder, {0: {"a": numbers(None, 1), "b": numbers(0.5, 2)}})
    write_leaderboard([folder.results], tmp_path)
    lines = [" ".join(line.split()) for line in (tmp_path / "leaderboard.md").read_text().splitlines()]
    assert "| a | n/a | 0.5000 | n/a | 1 |" in lines
