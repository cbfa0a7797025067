"""Ranking: by which metric, in which direction, and never across boards."""

from pathlib import Path
from typing import Any

import pytest

from sft.leaderboard.board import Board, Leaderboard
from sft.leaderboard.building import build_leaderboard
from sft.runs.records import ErrorRecord
from tests.support.records import config, metrics
from tests.support.results import ResultsBuilder


def ranking(board: Board) -> list[tuple[int | None, str]]:
    return [(row.rank, row.record.name) for row in board.rows]


def build(tmp_path: Path, rows: dict[str, dict[str, Any]], **changes: Any) -> Leaderboard:
    folder = ResultsBuilder(tmp_path)
    for number, (name, record) in enumerate(rows.items()):
        folder.done(name, f"{number:016x}", config(seed=number, **changes), record)
    return build_leaderboard([folder.results])


def test_the_first_metric_ranks_and_equal_values_share_a_rank(tmp_path: Path) -> None:
    values = {"a": 0.4, "b": 0.7, "c": None, "d": 0.7, "e": 0.1}
    board = build(
        tmp_path, {name: metrics({"log_loss": 1, "macro_f1": value}) for name, value in values.items()}
    ).boards[0]
    assert board.metric == "macro_f1"
    assert ranking(board) == [(1, "b"), (1, "d"), (3, "a"), (4, "e"), (None, "c")]


def test_a_loss_ranks_upwards(tmp_path: Path) -> None:
    rows = {name: metrics({"log_loss": value}) for name, value in {"a": 0.4, "b": 0.1}.items()}
    board = build(tmp_path, rows, evaluation={"metrics": ["log_loss"]}).boards[0]
    assert not board.higher_is_better
    assert ranking(board) == [(1, "b"), (2, "a")]


def test_own_metrics_rank_in_the_direction_they_recorded(tmp_path: Path) -> None:
    details = {"higher_is_better": {"errors.all": False}}
    rows = {name: metrics({"errors.all": value}, details=details) for name, value in {"a": 4, "b": 1}.items()}
    board = build(tmp_path, rows, evaluation={"metrics": ["own.py:errors"]}).boards[0]
    assert (board.metric, ranking(board)) == ("errors.all", [(1, "b"), (2, "a")])


def test_dev_rows_rank_where_there_are_any(tmp_path: Path) -> None:
    data = {"dev_rows_sha256": "dd", "n_dev": 50}
    rows = {
        "a": metrics({"macro_f1": 0.9, "dev_macro_f1": 0.1}, data=data),
        "b": metrics({"macro_f1": 0.1, "dev_macro_f1": 0.9}, data=data),
    }
    board = build(tmp_path, rows).boards[0]
    assert board.metric == "dev_macro_f1"
    assert ranking(board) == [(1, "b"), (2, "a")]
    assert board.warnings == ()


def test_without_dev_rows_the_board_says_so(tmp_path: Path) -> None:
    board = build(tmp_path, {"a": metrics({"macro_f1": 0.9})}).boards[0]
    assert "ranked on the test rows" in board.warnings[0]


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("data", {"test_rows_sha256": "bb"}),
        ("data", {"dev_rows_sha256": "bb"}),
        ("details", {"labels": ["neg", "pos", "mixed"]}),
    ],
)
def test_other_rows_or_labels_are_another_board(tmp_path: Path, part: str, value: dict[str, Any]) -> None:
    rows = {"a": metrics({"macro_f1": 0.5}), "b": metrics({"macro_f1": 0.9}, **{part: value})}
    boards = build(tmp_path, rows).boards
    assert [ranking(board) for board in boards] == [[(1, "a")], [(1, "b")]]
    assert boards[0].id != boards[1].id


def test_the_order_of_labels_is_no_difference(tmp_path: Path) -> None:
    rows = {"a": metrics({"macro_f1": 0.5}), "b": metrics({"macro_f1": 0.9}, details={"labels": ["pos", "neg"]})}
    assert len(build(tmp_path, rows).boards) == 1


def test_rows_that_differ_in_dtype_or_leak_are_warned_about(tmp_path: Path) -> None:
    rows = {
        "a": metrics({"macro_f1": 0.5}),
        "b": metrics({"macro_f1": 0.9}, environment={"dtype": "bfloat16"}, data={"n_leaked": 2}),
    }
    warnings = build(tmp_path, rows).boards[0].warnings
    assert any("float32: a; bfloat16: b" in warning for warning in warnings)
    assert any(warning.endswith("evaluated row in b") for warning in warnings)


def test_rows_that_were_left_out_are_counted(tmp_path: Path) -> None:
    dropped = {"n_dropped": {"train": 83, "test": 12}}
    rows = {"a": metrics({"macro_f1": 0.5}), "b": metrics({"macro_f1": 0.9}, data=dropped)}
    warnings = build(tmp_path, rows).boards[0].warnings
    (told,) = [warning for warning in warnings if "dataset.on_missing" in warning]
    assert told == "83 train + 12 test rows with an empty cell are left out (dataset.on_missing: drop) in b"


def test_seconds_of_different_devices_are_warned_about(tmp_path: Path) -> None:
    devices = {"a": "H200", "b": "A100", "c": "H200", "old": None}
    rows = {
        name: metrics({"macro_f1": 0.5}, environment={"device": device and "cuda", "device_name": device})
        for name, device in devices.items()
    }
    warned = [text for text in build(tmp_path, rows).boards[0].warnings if "devices" in text]
    assert warned == [
        "rows were timed on different devices, so that their seconds cannot be compared (H200: a, c; A100: b)"
    ]


def test_a_label_without_a_row_is_named_with_what_it_does(tmp_path: Path) -> None:
    def per_label(absent: int) -> dict[str, Any]:
        return {"per_label": {f"l{number}": {"support": 0 if number < absent else 4} for number in range(5)}}

    rows = {"a": metrics({"macro_f1": 0.5}, details=per_label(2) | {"dev": per_label(1)})}
    told = [text for text in build(tmp_path / "a", rows).boards[0].warnings if "label" in text]
    means = "which counts as 0 in means over labels"
    assert told == [
        f"no test row has the label l0, l1, {means}: macro_f1 on test rows is at most 0.6, even where every "
        "prediction is right",
        f"no dev row has the label l0, {means}: macro_f1 on dev rows is at most 0.8, even where every prediction is "
        "right",
    ]
    full = {"a": metrics({"macro_f1": 0.5}, details=per_label(0))}
    assert not any("label" in text for text in build(tmp_path / "b", full).boards[0].warnings)


def test_what_libraries_warned_of_is_shown_once_with_its_rows(tmp_path: Path) -> None:
    told = {"library_warnings": ["peft warns: strange"]}
    rows = {name: metrics({"macro_f1": 0.5}, environment=told if name != "c" else {}) for name in "abc"}
    warnings = build(tmp_path, rows).boards[0].warnings
    assert warnings[1:] == ('"peft warns: strange" while the model was loaded in a, b',)


def test_numbers_beside_the_metrics_never_rank(tmp_path: Path) -> None:
    beside = {"label_mass": 0.5, "uncalibrated_macro_f1": 0.9, "dev_label_mass": 0.9}
    rows = {"a": metrics(beside), "b": metrics(beside | {"other": 0.5})}
    boards = {name: build(tmp_path / name, {name: row}).boards[0] for name, row in rows.items()}
    assert {name: board.metric for name, board in boards.items()} == {"a": None, "b": "other"}


def test_a_low_label_mass_is_warned_about(tmp_path: Path) -> None:
    masses = {"a": {"label_mass": 0.5}, "b": {"label_mass": 0.09}, "c": {"label_mass": 0.9, "dev_label_mass": 0.05}}
    rows = {name: metrics({"macro_f1": 0.5, **mass}) for name, mass in masses.items()} | {
        "d": metrics({"macro_f1": 1})
    }
    (warning,) = [text for text in build(tmp_path, rows).boards[0].warnings if "label_mass" in text]
    assert "in b, c: look at the prompt" in warning


def test_what_calibrators_say_is_told_once_for_all_rows_it_holds_for(tmp_path: Path) -> None:
    looks = {"calibration": {"warnings": ["looks at all"]}}
    rows = {
        "a": metrics({"macro_f1": 0.5}, details=looks | {"dev": looks}),
        "b": metrics({"macro_f1": 0.5}, details={"dev": {"calibration": {"warnings": ["looks at all", "few rows"]}}}),
        "c": metrics({"macro_f1": 0.5}),
    }
    warnings = build(tmp_path, rows).boards[0].warnings
    assert warnings[1:] == ("looks at all in a, b", "few rows in b")


def test_a_threshold_fitted_on_trained_rows_is_told(tmp_path: Path) -> None:
    fitted = {"threshold": {"value": 0.3, "warnings": ["fitted on trained rows"]}}
    rows = {"a": metrics({"micro_f1": 0.5}, details=fitted | {"dev": fitted}), "b": metrics({"micro_f1": 0.5})}
    assert build(tmp_path, rows).boards[0].warnings[1:] == ("fitted on trained rows in a",)


def test_texts_of_which_only_the_beginning_is_measured_are_told(tmp_path: Path) -> None:
    rows = {
        name: metrics({"perplexity": 20.0}, data={"n_truncated": cut}) for name, cut in (("a", 2), ("b", 0), ("c", 1))
    }
    told = "of texts that are too long only the beginning is measured in a, c"
    assert told in build(tmp_path, rows, dataset={"task_type": "text"}).boards[0].warnings
    assert told not in build(tmp_path / "other", rows).boards[0].warnings


def test_what_metrics_cannot_see_is_told(tmp_path: Path) -> None:
    rows = {
        "a": metrics({"rougeL": 0.0}, details={"warnings": ["rougeL sees nothing"]}),
        "b": metrics({"rougeL": 0.5}),
    }
    assert build(tmp_path, rows).boards[0].warnings[1:] == ("rougeL sees nothing in a",)


def test_failed_experiments_are_on_no_board(tmp_path: Path) -> None:
    folder = ResultsBuilder(tmp_path)
    folder.failed("bad", "a" * 16, config(), ErrorRecord("crash", "why"))
    leaderboard = build_leaderboard([folder.results])
    assert leaderboard.boards == ()
    assert [record.name for record in leaderboard.without_result] == ["bad"]


def test_boards_of_corrected_and_uncorrected_gold_say_so(tmp_path: Path) -> None:
    made = ResultsBuilder(tmp_path / "results")
    correction = {
        "file": "fixes.csv",
        "changed": {"test": [3, 7]},
        "uncorrected_test_rows_sha256": "aa",
        "uncorrected_dev_rows_sha256": None,
    }
    made.done("plain", "1", made.config(), metrics({"accuracy": 0.5}))
    fixed = {"test_rows_sha256": "bb", "corrections": correction}
    made.done("fixed", "2", made.config(), metrics({"accuracy": 0.6}, data=fixed))
    made.done("other rows", "3", made.config(), metrics({"accuracy": 0.6}, data={"test_rows_sha256": "cc"}))
    plain, corrected, other = build_leaderboard([made.results]).boards
    remark = "the same rows stand on another board with other gold"
    assert [any(remark in text for text in board.warnings) for board in (plain, corrected, other)] == [
        True, True, False,
    ]  # fmt: skip
    assert "the gold of 2 test rows is corrected by fixes.csv" in corrected.warnings
    assert not any("corrected by" in text for text in plain.warnings)


def test_perplexities_over_other_tokens_are_warned_about(tmp_path: Path) -> None:
    def told(*means: float) -> list[str]:
        rows = {
            name: metrics({"perplexity": 9.0}, data={"prompt_tokens": {"min": 3, "mean": mean, "max": 9}})
            for name, mean in zip("abc", means, strict=False)
        }
        changes = {"dataset": {"task_type": "text"}, "evaluation": {"metrics": ["perplexity"]}}
        board = build(tmp_path / str(means), rows, **changes).boards[0]
        return [warning for warning in board.warnings if "tokenizer" in warning]

    assert told(6.0, 6.0) == []
    assert "(6 tokens: a, c; 4.5 tokens: b)" in told(6.0, 4.5, 6.0)[0]
