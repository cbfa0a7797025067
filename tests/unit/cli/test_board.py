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
