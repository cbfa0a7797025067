"""Boards by another metric and by settings."""

from pathlib import Path
from typing import Any

import pytest

from sft.exceptions import UserError
from sft.leaderboard.board import direction
from sft.leaderboard.building import build_leaderboard, leading_id
from sft.leaderboard.collect import ExperimentRecord
from sft.leaderboard.completing import with_statistics
from sft.leaderboard.settings import ABSENT
from sft.leaderboard.views.combinations import Combinations
from sft.leaderboard.views.view import LeaderboardView, ViewRequest, leaderboard_view
from sft.reporting.files import write_leaderboard
from sft.terminal.board.boards import view_text
from sft.terminal.screen import Screen
from tests.support.records import config, metrics
from tests.support.results import ResultsBuilder

WORDS = ["pos", "neg"] * 20
COLUMNS = {"text": [f"row {row}" for row in range(40)], "label": WORDS}
ZERO: dict[str, Any] = {"lora": None, "training": None, "dataset": {"shots": 0}}


def answers(n_wrong: int) -> list[str]:
    return ["neg" if (word == "pos") is (row >= n_wrong) is False else "pos" for row, word in enumerate(WORDS)]


def own(**changes: Any) -> dict[str, Any]:
    return config(**{"evaluation": {"metrics": ["accuracy", "log_loss"]}} | changes)


def view(folder: ResultsBuilder, **request: Any) -> LeaderboardView:
    leaderboard = with_statistics(build_leaderboard([folder.results]))
    return leaderboard_view(leaderboard, [folder.results], folder.results, ViewRequest(**request))


def text(folder: ResultsBuilder, **request: Any) -> str:
    return view_text(view(folder, **request), Screen())


@pytest.fixture
def folder(tmp_path: Path) -> ResultsBuilder:
    """Four runs; `sure` is right most often, `calm` has the lowest log-loss as it is written."""
    made = ResultsBuilder(tmp_path)
    for place, (name, wrong, loss) in enumerate([("sure", 4, 0.9), ("calm", 8, 0.2), ("bad", 30, 1.4)]):
        record = metrics({"accuracy": 1 - wrong / 40, "log_loss": loss, "macro_f1": 0.5})
        made.done(name, f"{place}" * 16, own(lora={"r": 4 * (place + 1)}), record)
    made.done("zero", "9" * 16, own(**ZERO), metrics({"accuracy": 0.5, "log_loss": None, "macro_f1": 0.5}))
    return made


def test_another_metric_ranks_in_its_own_direction(folder: ResultsBuilder) -> None:
    (board,) = view(folder, metric="log_loss").leaderboard.boards
    assert [record.name for record in board.records] == ["calm", "sure", "bad", "zero"]
    assert [row.rank for row in board.rows] == [1, 2, 3, None]
    assert [group.name for group in board.groups][:2] == ["calm", "sure"]
    assert (board.metric, board.higher_is_better) == ("log_loss", False)
    assert "ranked by log_loss (lower is better)" in text(folder, metric="log_loss")


def test_the_files_stay_ranked_by_the_board_s_own_metric(folder: ResultsBuilder) -> None:
    write_leaderboard([folder.results], folder.results.path)
    before = folder.results.leaderboard("json").read_bytes()
    view(folder, metric="log_loss")
    assert folder.results.leaderboard("json").read_bytes() == before


def test_another_metric_has_its_own_intervals_and_tests(tmp_path: Path) -> None:
    made = ResultsBuilder(tmp_path)
    for place, wrong in enumerate((4, 12)):
        made.answered(f"e{place}", f"{place}" * 16, own(lora={"r": place + 1}), answers(wrong), COLUMNS)
    by = {metric: view(made, metric=metric).leaderboard.boards[0] for metric in ("accuracy", "log_loss")}
    tests = {}
    for metric, board in by.items():
        assert board.statistics is not None
        assert board.statistics.metric == metric
        against = board.groups[1].against_best
        assert against is not None
        tests[metric] = (against.test, against.difference > 0)
    assert tests == {"accuracy": ("mcnemar", False), "log_loss": ("bootstrap", True)}


def test_an_unknown_metric_is_one_line_with_the_nearest(folder: ResultsBuilder) -> None:
    with pytest.raises(UserError, match=r"^--metric: .*'acuracy' \(did you mean accuracy\?\); known: accuracy, log_l"):
        view(folder, metric="acuracy")


def test_a_board_without_that_metric_stays_and_says_so(folder: ResultsBuilder) -> None:
    folder.done("text", "8" * 16, own(dataset={"task_type": "generation"}), metrics({"rougeL": 0.5}))
    boards = view(folder, metric="log_loss").leaderboard.boards
    assert [board.metric for board in boards] == ["log_loss", "rougeL"]
    assert boards[1].warnings[0] == "no result here is called log_loss"


def test_ranking_on_test_rows_where_there_are_dev_rows_is_said(tmp_path: Path) -> None:
    made = ResultsBuilder(tmp_path)
    made.done("a", "a" * 16, own(), metrics({"accuracy": 0.5, "dev_accuracy": 0.6}, data={"dev_rows_sha256": "dd"}))
    warnings = {
        metric: view(made, metric=metric).leaderboard.boards[0].warnings for metric in ("accuracy", "dev_accuracy")
    }
    assert "choose by dev_accuracy" in warnings["accuracy"][0]
    assert not warnings["dev_accuracy"]


@pytest.mark.parametrize("key", ["log_loss", "dev_log_loss", "uncalibrated_log_loss", "dev_uncalibrated_log_loss"])
def test_every_form_of_a_result_has_its_direction(key: str) -> None:
    record = ExperimentRecord("a", "a", "done", Path(), {}, metrics({}))
    assert direction(record, key) is False
    assert direction(record, key.replace("log_loss", "macro_f1")) is True


def grouped(folder: ResultsBuilder, *keys: str, metric: str | None = None) -> Combinations:
    (found,) = view(folder, group_by=keys, metric=metric).combinations
    return found


def test_runs_with_equal_settings_are_put_together(tmp_path: Path) -> None:
    made = ResultsBuilder(tmp_path)
    numbers = {"a": (4, 8, 0.5), "b": (4, 16, 0.7), "c": (8, 8, 0.9)}
    for name, (shots, rank, value) in numbers.items():
        made.done(name, name * 16, own(dataset={"shots": shots}, lora={"r": rank}), metrics({"accuracy": value}))
    made.done("z", "f" * 16, own(**ZERO), metrics({"accuracy": 0.65}))
    found = grouped(made, "dataset.shots")
    assert [(item.values, item.n, item.mean) for item in found.found] == [
        ((8,), 1, 0.9), ((0,), 1, 0.65), ((4,), 2, pytest.approx(0.6)),
    ]  # fmt: skip
    last = found.found[2]
    assert (last.sd, last.lowest, last.highest, last.best) == (pytest.approx(0.1414, abs=1e-4), 0.5, 0.7, "b")
    assert found.also_differ == ("lora.r",)
    shown = text(made, group_by=("dataset.shots",))
    assert "no controlled comparison: lora.r differs within a line too" in shown
    assert [line.split()[:2] for line in shown.splitlines()[4:7]] == [["8", "1"], ["0", "1"], ["4", "2"]]


def test_lower_is_better_puts_the_lowest_mean_first_and_no_number_last(folder: ResultsBuilder) -> None:
    found = grouped(folder, "lora.r", metric="log_loss")
    assert [(item.values[0], item.mean) for item in found.found] == [
        (8, 0.2), (4, 0.9), (12, 1.4), (ABSENT, None),
    ]  # fmt: skip
    assert found.found[0].best == "calm"


def test_null_and_absent_and_sections_are_told_apart(folder: ResultsBuilder) -> None:
    assert {repr(item.values[0]) for item in grouped(folder, "lora").found if item.values[0] is not ABSENT} >= {
        "{'r': 4}", "{'r': 8}",
    }  # fmt: skip
    assert len(grouped(folder, "lora").found) == 4


def test_an_experiment_with_several_names_counts_once_in_a_line(tmp_path: Path) -> None:
    made = ResultsBuilder(tmp_path)
    zero = own(seed=0, **ZERO)
    job = made.done("zero/seed0", "a" * 16, zero, metrics({"accuracy": 0.5}))
    made.alias("zero/seed1", "a" * 16, own(seed=1, **ZERO), job)
    made.done("lora/seed0", "b" * 16, own(seed=0), metrics({"accuracy": 0.7}))
    assert [item.n for item in grouped(made, "dataset.shots").found] == [1, 1]
    assert sorted((item.values[0], item.n) for item in grouped(made, "seed").found) == [(0, 2), (1, 1)]


def test_where_only_seeds_differ_within_a_line_that_is_said(tmp_path: Path) -> None:
    made = ResultsBuilder(tmp_path)
    for seed in range(2):
        made.done(f"a/{seed}", f"{seed}" * 16, own(seed=seed), metrics({"accuracy": 0.5 + seed / 10}))
    assert "Within a line only seeds differ." in text(made, group_by=("lora.r",))


@pytest.mark.parametrize(
    ("key", "hint"), [("max_n_test", "did you mean dataset.max_n_test"), ("lora.rr", "did you mean lora.r?")]
)
def test_an_unknown_setting_is_one_line_with_the_nearest(folder: ResultsBuilder, key: str, hint: str) -> None:
    with pytest.raises(UserError) as error:
        view(folder, group_by=(key,))
    assert hint in str(error.value)
    assert "settings that differ here: " in str(error.value)
    assert "\n" not in str(error.value)


def test_two_views_at_once_are_refused() -> None:
    with pytest.raises(UserError, match="give one of them"):
        ViewRequest(group_by=("seed",), diff=("a", "b"))


@pytest.mark.parametrize("request_", [{"metric": "x"}, {"group_by": ("x",)}, {"diff": ("x", "y")}])
def test_without_any_result_the_rows_are_told_and_nothing_is_refused(tmp_path: Path, request_: dict[str, Any]) -> None:
    made = ResultsBuilder(tmp_path)
    made.planned("waiting", "a" * 16, own())
    assert text(made, **request_) == "waiting: pending"


def test_best_is_the_best_run_of_the_leading_group_and_not_a_lucky_seed(tmp_path: Path) -> None:
    made = ResultsBuilder(tmp_path)
    for name, rank, values in (("steady", 4, (0.7, 0.8)), ("lucky", 8, (0.1, 0.9))):
        for seed, value in enumerate(values):
            key = f"{rank}{seed}" * 8
            made.done(f"{name}/{seed}", key, own(seed=seed, lora={"r": rank}), metrics({"accuracy": value}))
    assert leading_id(made.results) == "41" * 8
