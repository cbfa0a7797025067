"""The leaderboard on the terminal: what is said of rows without a result."""

from typing import Any

from sft.terminal.board import board_text


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


def made_board(n: int = 2, **changes: Any) -> dict[str, Any]:
    """A board of so many rows without statistics, as `leaderboard.json` has it."""
    rows = [
        row(f"set-up{place}", "done") | {"board": "b", "results": {"macro_f1": 0.9 - place / 10, "ece": 0.1}}
        for place in range(n)
    ]
    board = {
        "board": "b", "task_type": "classification", "output_column": "label", "metric": "macro_f1",
        "higher_is_better": True, "warnings": ["look [here]"], "groups": [], "statistics": None,
        "ranking": [{"rank": place + 1, "name": item["name"], "id": item["id"]} for place, item in enumerate(rows)],
    }  # fmt: skip
    rows[0]["timing"] = {"train": 12.34, "infer": 5.0}
    return {"boards": [board | changes], "rows": rows}


def baseline(shots: Any, value: float, sets: str = "", name: str = "majority class") -> dict[str, Any]:
    title = f"{name} (shots {shots}{sets})"
    return {"board": "b", "name": name, "shots": shots, "title": title, "results": {"macro_f1": value}}


def test_the_whole_text_is_known() -> None:
    rows = [*made_board()["rows"], row("late", "failed", "no rows")]
    assert board_text(made_board() | {"rows": rows}) == (
        "classification of label, ranked by macro_f1\n"
        "\n"
        "#  experiment  macro_f1     ece  train s  infer s\n"
        "─────────────────────────────────────────────────\n"
        "1  set-up0       0.9000  0.1000     12.3      5.0\n"
        "2  set-up1       0.8000  0.1000      n/a      n/a\n"
        "note: look [here]\n"
        "\n"
        "late: failed at train: no rows"
    )


def test_baselines_with_equal_numbers_take_one_line() -> None:
    found = [baseline(4, 0.23931), baseline(8, 0.23929), baseline(16, 0.3), baseline("all", 0.3, ", mean of 3 sets")]
    left = [{"board": "b", "name": "TF-IDF", "shots": shots, "reason": "gone"} for shots in (4, 8)]
    lines = board_text(made_board() | {"baselines": found, "baselines_left_out": left}).splitlines()
    assert lines[6:10] == [
        "baseline, not ranked: majority class (shots 4, 8): macro_f1 0.2393",
        "baseline, not ranked: majority class (shots 16): macro_f1 0.3000",
        "baseline, not ranked: majority class (shots all, mean of 3 sets): macro_f1 0.3000",
        "note: TF-IDF of shots 4, 8 left out: gone",
    ]


def test_the_best_of_each_column_stands_out_in_its_own_direction() -> None:
    board = made_board()
    for item, value in zip(board["rows"], (0.2, 0.1), strict=True):
        item["results"]["ece"] = value
    shown = board_text(board, 80, colour=True)
    assert "\x1b[1;32m  0.9000\x1b[0m" in shown
    assert "\x1b[1;32m0.1000\x1b[0m" in shown
    assert "\x1b[1;32m0.2000" not in shown


def test_a_board_says_how_it_ranks() -> None:
    assert "ranked by ece (lower is better)" in board_text(made_board(metric="ece", higher_is_better=False))
    assert "not ranked: the first experiment has no metric" in board_text(made_board(metric=None))
    assert board_text({"boards": [], "rows": []}) == "No experiment yet."
