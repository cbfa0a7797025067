"""The leaderboard on the terminal: what is said of rows without a result."""

from typing import Any

from sft.cli.board import board_text


def row(name: str, state: str, message: str | None = None) -> dict[str, Any]:
    error = None if message is None else {"stage": "train", "message": message}
    return {"name": name, "id": name, "state": state, "board": None, "results": {}, "timing": {}, "error": error}


def test_rows_that_stand_alike_take_one_line() -> None:
    failed = [row(f"e{number}", "failed", f"loss became NaN at step {number} of 9") for number in range(100)]
    rows = [*failed, row("a", "pending"), row("b", "pending"), row("c", "failed", "no rows")]
    assert board_text({"boards": [], "rows": rows}).splitlines() == [
        "e0, e1, e2, e3, e4 and 95 more: failed at train: loss became NaN at step 0 of 9",
        "a, b: pending",
        "c: failed at train: no rows",
    ]


def test_the_ranking_metric_stands_first_and_without_the_calibrator_beside_it() -> None:
    results = {"accuracy": 0.5, "macro_f1": 0.6, "uncalibrated_accuracy": 0.3, "uncalibrated_macro_f1": 0.4}
    ranked = row("a", "done") | {"board": "b", "results": results | {"label_mass": 0.9}}
    board = {"board": "b", "task_type": "t", "output_column": "c", "metric": "macro_f1", "warnings": []}
    board["ranking"] = [{"rank": 1, "name": "a", "id": "a"}]
    shown = [board_text({"boards": [board], "rows": [ranked]}, width).splitlines()[2].split() for width in (300, 85)]
    names = ["macro_f1", "uncalibrated_macro_f1", "accuracy", "uncalibrated_accuracy", "label_mass"]
    assert shown[0][2:7] == names
    assert shown[1][2:4] == names[:2]
