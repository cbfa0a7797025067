"""What is written of effects: `leaderboard.json`, the terminal and the page."""

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sft.evaluation.rows import write_rows
from sft.reporting.tables.effects import compared_text, effect_text, short_lines
from sft.runs.manifest import write_manifest
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
        "axis", "also", "kind", "reference", "value", "reference_name", "value_name", "changes",
        "higher_is_better", "metric", "difference", "low",
        "high", "p", "p_holm", "n_pairs", "n_seeds", "covers", "rows", "test", "mark", "runs_only",
    }  # fmt: skip
    assert set(board["learning_curves"][0]) == {"name", "settings", "metric", "points"}
    assert set(board["learning_curves"][0]["points"][0]) == {
        "shots", "n_train", "group", "value", "low", "high", "n",
    }  # fmt: skip
    assert set(board["calibration_gains"][0]) == {
        "group", "calibrator", "metric", "higher_is_better",
        "uncalibrated", "calibrated", "difference", "low", "high", "p", "p_holm", "n",
        "covers", "test", "mark", "runs_only",
    }  # fmt: skip
    assert set(board["pareto"][0]) == {"cost", "unit", "metric", "higher_is_better", "points", "tolerance"}
    assert set(board["pareto"][0]["points"][0]) == {"group", "cost", "value", "on_front"}


def test_with_dev_rows_effects_are_told_for_choosing_and_for_reporting(made: ResultsBuilder) -> None:
    for place, (init, seed) in enumerate(itertools.product(("default", "pca"), (1, 2))):
        test, dev = np.arange(200) < 100 + 10 * place, np.arange(100) < 50 - 5 * place
        own = {"lora": {"r": 8} if init == "default" else {"r": 8, "init_lora_weights": init}, "seed": seed}
        parts = {"results": {"dev_accuracy": float(dev.mean())}, "data": {"dev_rows_sha256": "dd", "n_dev": 100}}
        name = f"{init}/seed{seed}"
        job = made.experiment(name, made.scored(name, outcome(test), own, **parts))
        write_rows(job.rows, {"test": outcome(test), "dev": outcome(dev)})
        write_manifest(job, [job.metrics, job.rows])
    board = made.record()
    (on_test,), (on_dev,) = board["effects"], board["effects_dev"]
    assert (on_test["metric"], on_test["rows"], on_test["difference"]) == ("accuracy", "test", pytest.approx(0.1))
    assert (on_dev["metric"], on_dev["rows"], on_dev["difference"]) == ("dev_accuracy", "dev", pytest.approx(-0.1))
    assert (on_test["covers"], on_dev["covers"]) == ("test rows and seeds", "dev rows and seeds")
    assert on_dev["low"] < -0.1 < on_dev["high"]
    text = (made.path / "leaderboard.md").read_text()
    assert text.index("on dev rows (to choose by)") < text.index("on test rows (to report)")


def test_an_effect_reads_as_a_sentence() -> None:
    effect = {
        "axis": "lora.init_lora_weights", "also": [], "kind": "name", "reference": "default", "value": "pca",
        "reference_name": None, "value_name": None, "metric": "macro_f1", "difference": 0.008, "low": 0.001,
        "higher_is_better": True,
        "changes": [{"setting": "lora.init_lora_weights", "value": "pca", "reference": "default"}],
        "high": 0.015, "p": 0.01, "p_holm": 0.03, "n_pairs": 24, "n_seeds": 3, "covers": "test rows and seeds",
    }  # fmt: skip
    assert effect_text(effect) == (
        "pca over default (lora.init_lora_weights): +0.0080 macro_f1 [+0.0010, +0.0150], 24 pairs, p (Holm) 0.030"
    )
    setting = effect | {"kind": "setting", "low": None, "high": None, "p_holm": None, "n_pairs": 1}
    assert effect_text(setting) == "lora.init_lora_weights pca over default: +0.0080 macro_f1, 1 pair"
    named = effect | {"kind": "setting", "value_name": "with-pca", "reference_name": "plain"}
    assert effect_text(named).startswith("with-pca over plain (lora.init_lora_weights pca over default): ")
    assert effect_text(setting | {"higher_is_better": False, "metric": "log_loss"}).endswith(
        "+0.0080 log_loss ↓, 1 pair"
    )


def test_an_effect_names_all_that_differs_between_its_sides(made: ResultsBuilder) -> None:
    """LoRA against in-context, with names that say nothing."""
    shown = {"lora": None, "training": None, "adapter": {"method": "none"}, "inference": {"icl_examples": 2}}
    made.scored("a", outcome(np.arange(200) < 150), {})
    made.scored("b", outcome(np.arange(200) < 100), shown)
    (effect,) = made.record()["effects"]
    assert compared_text(effect) == (
        "adapter.method lora over none (also inference.icl_examples 0 over 2, lora.r 8 over none, "
        "training.trainer_args.learning_rate 0.0003 over none)"
    )
    assert {"setting": "inference.icl_examples", "value": "0", "reference": "2"} in effect["changes"]
    assert "training.icl_examples" not in {change["setting"] for change in effect["changes"]}  # 0 in every training


def test_shots_beside_none_are_no_effect_of_shots_alone(made: ResultsBuilder) -> None:
    zero: dict[str, Any] = {"lora": None, "training": None, "dataset": {"shots": 0}}
    made.scored("zero", outcome(np.arange(200) < 80), zero)
    for number, (init, shots) in enumerate(itertools.product((None, "pissa"), (4, 8))):
        lora = {"r": 8} if init is None else {"r": 8, "init_lora_weights": init}
        made.scored(f"n{number}", outcome(np.arange(200) < 100 + number), {"lora": lora, "dataset": {"shots": shots}})
    texts = [compared_text(effect) for effect in made.record()["effects"]]
    assert texts[0] == (
        "dataset.shots 4 over 0 (also adapter.method lora over none, lora.init_lora_weights not alike in all pairs, "
        "lora.r 8 over none and 1 more)"
    )


def test_parts_of_names_that_are_alike_are_told_apart_by_what_they_set(made: ResultsBuilder) -> None:
    for rank, model in itertools.product((8, 16), ("a", "b")):
        name = f"{'base' if rank == 8 else 'alt'}/{'base' if model == 'a' else 'alt'}"
        n_right = 100 + (20 if rank == 16 else 0) - (10 if model == "b" else 0)
        made.scored(name, outcome(np.arange(200) < n_right), {"lora": {"r": rank}, "model": {"name": model}})
    assert {compared_text(effect): round(effect["difference"], 3) for effect in made.record()["effects"]} == {
        "alt over base (model.name b over a)": -0.05,
        "alt over base (lora.r 16 over 8)": 0.1,
    }


def test_a_part_of_names_that_sets_now_this_and_now_that_says_so(made: ResultsBuilder) -> None:
    for place, model in enumerate("ab"):
        own = {"model": {"name": model}}
        made.scored(f"x/{model}", outcome(np.arange(200) < 100), own)
        other = {"lora": {"r": 16 + place}, "prompting": {"max_input_length": 9}}
        made.scored(f"y/{model}", outcome(np.arange(200) < 120), own | other)
    texts = [compared_text(effect) for effect in made.record()["effects"]]
    assert texts == [
        "model.name b over a",
        "y over x (lora.r various over 8, prompting.max_input_length 9 over 64)",
        "b over a (model.name, lora.r not alike in all pairs)",
    ]


def test_where_less_is_better_effects_and_tables_say_so(tmp_path: Path) -> None:
    folder = ResultsBuilder(tmp_path, "log_loss")
    for rank, n_right in ((8, 100), (16, 150)):
        rows = outcome(np.arange(200) < n_right)
        assert rows.log_loss is not None
        folder.scored(f"n{rank}", rows, {"lora": {"r": rank}}, results={"log_loss": float(rows.log_loss.mean())})
    board = folder.record()
    assert board["directions"] == {"accuracy": True, "log_loss": False}
    assert "-0.3125 log_loss ↓" in effect_text(board["effects"][0])
    assert "difference (less is better)" in (tmp_path / "leaderboard.md").read_text()


def test_the_terminal_and_the_page_show_them(made: ResultsBuilder) -> None:
    fill(made, ["default", "pca"])
    board = made.record()
    shown = board_text(json.loads((made.path / "leaderboard.json").read_text()), 200)
    page = (made.path / "leaderboard.md").read_text()
    for line in short_lines(board):
        assert line in shown
    assert "pca over default (lora.init_lora_weights): +0.0600 accuracy [" in shown
    assert "calibration of pca/8 (batch): +0.1475 accuracy [" in shown
    assert "Pareto front of mean accuracy by seconds of training: default/4 (10.5 s, 0.5075), default/8" in shown
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
