"""What is written of effects: `leaderboard.json`, the terminal and the page."""

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sft.reporting.tables.effects import effect_text, short_lines
from sft.terminal.board import board_text
from tests.support.records import outcome
from tests.support.results import ResultsBuilder


@pytest.fixture
def made(tmp_path: Path) -> ResultsBuilder:
    return ResultsBuilder(tmp_path)


def fill(folder: ResultsBuilder, inits: list[str]) -> None:
    for number, (init, shots, seed) in enumerate(itertools.product(inits, (4, 8), (1, 2))):
        lora = {} if init == "default" else {"init_lora_weights": init}
        after, before = (np.arange(200) < count for count in (100 + 3 * number, 90))
        own = {"lora": {"r": 8} | lora, "dataset": {"shots": shots}, "seed": seed}
        own["inference"] = {"calibration_args": {"calibration_fn": "batch"}}
        parts: dict[str, Any] = {"results": {"uncalibrated_accuracy": 0.45}, "timing": {"train": 10.0 + number}}
        folder.scored(f"{init}/{shots}/seed{seed}", outcome(after, before), own, **parts)


def test_json_has_the_keys_that_were_promised(made: ResultsBuilder) -> None:
    fill(made, ["default", "pca"])
    board = made.record()
    assert set(board["effects"][0]) == {
        "axis", "also", "kind", "reference", "value", "reference_name", "value_name", "metric", "difference", "low",
        "high", "p", "p_holm", "n_pairs", "n_seeds", "covers", "test", "mark", "runs_only",
    }  # fmt: skip
    assert set(board["learning_curves"][0]) == {"name", "settings", "metric", "points"}
    assert set(board["learning_curves"][0]["points"][0]) == {
        "shots", "n_train", "group", "value", "low", "high", "n",
    }  # fmt: skip
    assert set(board["calibration_gains"][0]) == {
        "group", "calibrator", "metric", "uncalibrated", "calibrated", "difference", "low", "high", "p", "p_holm", "n",
        "covers", "test", "mark", "runs_only",
    }  # fmt: skip
    assert set(board["pareto"][0]) == {"cost", "unit", "metric", "higher_is_better", "points", "tolerance"}
    assert set(board["pareto"][0]["points"][0]) == {"group", "cost", "value", "on_front"}


def test_an_effect_reads_as_a_sentence() -> None:
    effect = {
        "axis": "lora.init_lora_weights", "also": [], "kind": "name", "reference": "default", "value": "pca",
        "reference_name": None, "value_name": None, "metric": "macro_f1", "difference": 0.008, "low": 0.001,
        "high": 0.015, "p": 0.01, "p_holm": 0.03, "n_pairs": 24, "n_seeds": 3, "covers": "test rows and seeds",
    }  # fmt: skip
    assert effect_text(effect) == "pca over default: +0.0080 macro_f1 [+0.0010, +0.0150], 24 pairs, p (Holm) 0.030"
    setting = effect | {"kind": "setting", "low": None, "high": None, "p_holm": None, "n_pairs": 1}
    assert effect_text(setting) == "lora.init_lora_weights pca over default: +0.0080 macro_f1, 1 pair"
    named = effect | {"kind": "setting", "value_name": "with-pca", "reference_name": "plain"}
    assert effect_text(named).startswith("with-pca over plain (lora.init_lora_weights): ")
    assert effect_text(named | {"also": ["lora.r"]}).startswith("with-pca over plain: ")


def test_the_terminal_and_the_page_show_them(made: ResultsBuilder) -> None:
    fill(made, ["default", "pca"])
    board = made.record()
    shown = board_text(json.loads((made.path / "leaderboard.json").read_text()), 200)
    page = (made.path / "leaderboard.md").read_text()
    for line in short_lines(board):
        assert line in shown
    assert "pca over default (lora.init_lora_weights): +0.0600 accuracy [" in shown
    assert "calibration of pca/8 (batch): +0.1475 accuracy [" in shown
    assert "Best accuracy for its seconds of training: default/4 (10.5 s, 0.5075), default/8" in shown
    for text in ("pca over default", "4 shots", "Calibration gains", "mean cost", "10.5 s"):
        assert text in page


def test_a_terminal_shows_a_dozen_lines_and_says_what_it_left_out(made: ResultsBuilder) -> None:
    fill(made, ["default", *(f"own{number}" for number in range(12))])
    lines = short_lines(made.record())
    assert len(lines) <= 12
    assert sum(" over " in line and "accuracy [" in line for line in lines) == 6
    assert any(line.startswith("(6 of 13,") for line in lines)


def test_a_board_without_any_has_no_lines(made: ResultsBuilder) -> None:
    made.scored("a", outcome(np.arange(200) < 100), {})
    board = made.record()
    assert short_lines(board) == []
    assert (board["effects"], board["learning_curves"], board["calibration_gains"]) == ([], [], [])
    assert short_lines({"metric": None}) == []
