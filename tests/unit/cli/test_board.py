"""The leaderboard on the terminal: what is said of rows without a result."""

from typing import Any

import pytest

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
    board = made_board(group("a", 1, **results, label_mass=0.9))
    shown = [board_text(board, width).splitlines()[2].split("parameters")[-1].split() for width in (300, 140)]
    names = ["uncalibrated_macro_f1", "accuracy", "uncalibrated_accuracy", "label_mass"]
    assert shown == [names, names[:2]]


COSTS: dict[str, Any] = {
    "train_seconds": None, "seconds_per_1000": 50.0, "seconds_cover": None, "prompt_tokens": 54.5,
    "adapter_bytes": None, "trainable_parameters": 0.0, "peak_rss_bytes": 1 << 30, "peak_gpu_bytes": None,
    "devices": ["one CPU"],
}  # fmt: skip


def group(name: str, rank: int | None, sd: float | None = None, n: int = 1, **results: float) -> dict[str, Any]:
    """A set-up without anything that statistics tell, as `leaderboard.json` has it."""
    summaries = {key: {"n": n, "mean": mean, "sd": sd, "median": mean} for key, mean in results.items()}
    return {
        "name": name, "rank": rank, "n": n, "n_seeds": n, "expected_seeds": n, "complete": True,
        "no_seed_effect": False, "rows": [{"name": name, "id": name}], "value": results.get("macro_f1"),
        "results": summaries, "interval": None, "against_best": None, "mark": None, "provisional": False,
        "not_above": [], "costs": COSTS,
    }  # fmt: skip


def made_board(*groups: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A board of these or of two set-ups, without statistics unless they are among the changes."""
    groups = groups or tuple(
        group(f"set-up{place}", place + 1, macro_f1=0.9 - place / 10, ece=0.1) for place in (0, 1)
    )
    rows = [row(item["name"], "done") | {"board": "b"} for item in groups]
    board = {
        "board": "b", "task_type": "classification", "output_column": "label", "metric": "macro_f1",
        "higher_is_better": True, "directions": {"macro_f1": True, "ece": False},
        "warnings": ["look [here]"], "groups": list(groups), "statistics": None,
        "verdict": {"lines": []},
        "ranking": [{"rank": place + 1, "name": item["name"], "id": item["id"]} for place, item in enumerate(rows)],
    }  # fmt: skip
    return {"boards": [board | changes], "rows": rows}


STATISTICS = {
    "metric": "macro_f1", "n_rows": 200, "n_groups": 4, "chosen_on": "test", "detectable": 0.05, "samples": 2000,
    "confidence": 0.95, "power": 0.8, "margin": 0.02,
}  # fmt: skip


def judged(name: str, rank: int | None, mark: str | None, **changes: Any) -> dict[str, Any]:
    """A set-up of three seeds with interval and mark."""
    against = {
        "difference": -0.1, "low": -0.2, "high": 0.0, "p": 0.01, "p_holm": 0.03, "test": "t", "tie": False,
        "mark": mark, "runs_only": False,
    }  # fmt: skip
    return group(name, rank, 0.0123, 3, macro_f1=0.5, accuracy=0.6) | {
        "interval": {"low": 0.4, "high": 0.6, "covers": "test rows"},
        "against_best": None if mark in (None, "best") else against,
        "mark": mark,
        **changes,
    }


GRID = made_board(
    judged("base/lora-pissa/contextual", 1, "best"),
    judged("base/lora-pissa/plain", 2, "equivalent", provisional=True, complete=False, n_seeds=2),
    judged("base/lora-default/contextual", 3, "not told apart"),
    judged("zero-shot", None, "worse", not_above=["majority class (shots 8)"]),
    statistics=STATISTICS,
    verdict={"lines": ["base/lora-pissa/contextual leads."]},
)


def test_at_80_columns_numbers_and_marks_stand_whole_and_what_is_left_out_is_named() -> None:
    assert board_text(GRID, 80).split("\nMarks")[0] == (
        "classification of label, ranked by macro_f1\n"
        "base/lora-pissa/contextual leads.\n"
        "\n"
        "  #  set-up                      n    macro_f1 ± sd     95 % interval  mark\n"
        "────────────────────────────────────────────────────────────────────────────────\n"
        "  1  base/lora-pissa/            3  0.5000 ± 0.0123  [0.4000, 0.6000]  best\n"
        "     contextual\n"
        " 2*  base/lora-pissa/plain     2/3  0.5000 ± 0.0123  [0.4000, 0.6000]  ≈ equal\n"
        "  3  base/lora-default/          3  0.5000 ± 0.0123  [0.4000, 0.6000]  ? unclear\n"
        "     contextual\n"
        "n/a  zero-shot                   3  0.5000 ± 0.0123  [0.4000, 0.6000]  − worse †\n"
        "No room at this width for: train s, s per 1,000, prompt tokens, peak GiB,\n"
        "adapter MB, trained parameters, to the best, p (Holm), accuracy"
    )


def test_where_there_is_no_terminal_the_files_hold_all_but_what_set_ups_are_chosen_by() -> None:
    assert board_text(GRID).split("\n95 % intervals")[0].splitlines()[3:] == [
        "  #  set-up                          n    macro_f1 ± sd     95 % interval  mark       train s  s per 1,000",
        "──────────────────────────────────────────────────────────────────────────────────────────────────────────",
        "  1  base/lora-pissa/contextual      3  0.5000 ± 0.0123  [0.4000, 0.6000]  best           n/a         50.0",
        " 2*  base/lora-pissa/plain         2/3  0.5000 ± 0.0123  [0.4000, 0.6000]  ≈ equal        n/a         50.0",
        "  3  base/lora-default/contextual    3  0.5000 ± 0.0123  [0.4000, 0.6000]  ? unclear      n/a         50.0",
        "n/a  zero-shot                       3  0.5000 ± 0.0123  [0.4000, 0.6000]  − worse †      n/a         50.0",
        "Only in leaderboard.md, .html and .csv: prompt tokens, peak GiB, adapter MB, trained parameters, "
        "to the best and 2 more",
        "Costs: means over runs, measured on one CPU; a training that several set-ups share counts in full in each",
        "Marks: ≈ equal: the 90 % interval of the difference to the best lies within ±0.02; − worse: p (Holm) < 0.05; "
        "? unclear: not told from the best, which does not say that it is as good",
        "*: provisional, seeds are missing; ranked by the mean of those that are there",
        "†: not shown to be better than majority class (shots 8)",
    ]


def test_the_best_rows_are_shown_and_the_others_counted() -> None:
    shown = board_text(GRID, 80, top=2)
    assert "and 2 more: leaderboard.md, .html and .csv" in shown
    assert "zero-shot" not in shown
    assert "unclear" not in shown
    assert "more" not in board_text(GRID, 80, top=4)


@pytest.mark.parametrize("width", range(40, 200, 7))
def test_it_fits_every_width_without_folding_a_number_or_a_mark(width: int) -> None:
    lines = board_text(GRID, width).splitlines()
    assert max(map(len, lines)) <= width
    for part in ("0.5000 ± 0.0123", "− worse †", "? unclear", "2*"):
        assert any(part in shown for shown in lines), part


def baseline(shots: Any, value: float, sets: str = "", name: str = "majority class") -> dict[str, Any]:
    title = f"{name} (shots {shots}{sets})"
    return {"board": "b", "name": name, "shots": shots, "title": title, "results": {"macro_f1": value}}


def test_the_whole_text_is_known() -> None:
    rows = [*made_board()["rows"], row("late", "failed", "no rows")]
    assert board_text(made_board() | {"rows": rows}, 60) == (
        "classification of label, ranked by macro_f1\n"
        "\n"
        "#  set-up   macro_f1  train s  s per 1,000  prompt tokens\n"
        "─────────────────────────────────────────────────────────\n"
        "1  set-up0    0.9000      n/a         50.0             54\n"
        "2  set-up1    0.8000      n/a         50.0             54\n"
        "No room at this width for: peak GiB, adapter MB, trained\n"
        "parameters, ece\n"
        "Costs: means over runs, measured on one CPU; a training that\n"
        "several set-ups share counts in full in each\n"
        "note: look [here]\n"
        "\n"
        "late: failed at train: no rows"
    )


def test_baselines_with_equal_numbers_take_one_line() -> None:
    found = [baseline(4, 0.23931), baseline(8, 0.23929), baseline(16, 0.3), baseline("all", 0.3, ", mean of 3 sets")]
    left = [{"board": "b", "name": "TF-IDF", "shots": shots, "reason": "gone"} for shots in (4, 8)]
    lines = board_text(made_board() | {"baselines": found, "baselines_left_out": left}, 200).splitlines()
    assert lines[7:11] == [
        "baseline, not ranked: majority class (shots 4, 8): macro_f1 0.2393",
        "baseline, not ranked: majority class (shots 16): macro_f1 0.3000",
        "baseline, not ranked: majority class (shots all, mean of 3 sets): macro_f1 0.3000",
        "note: TF-IDF of shots 4, 8 left out: gone",
    ]


def test_the_best_of_each_column_stands_out_in_its_own_direction() -> None:
    board = made_board(group("a", 1, macro_f1=0.9, ece=0.2), group("b", 2, macro_f1=0.8, ece=0.1))
    shown = board_text(board, 200, colour=True)
    assert "\x1b[1;32m0.1000\x1b[0m" in shown
    assert "\x1b[1;32m0.2000" not in shown


def test_a_board_says_how_it_ranks() -> None:
    assert "ranked by ece (lower is better)" in board_text(made_board(metric="ece", higher_is_better=False))
    assert "not ranked: the first experiment has no metric" in board_text(made_board(metric=None))
    assert board_text({"boards": [], "rows": []}) == "No experiment yet."
