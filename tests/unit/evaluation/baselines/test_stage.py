"""The baseline stage measures on the shots and rows of its experiments, keeps its rows, and takes no model."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sft.evaluation.metrics.formulas import classification_numbers
from sft.evaluation.rows import read_rows
from sft.evaluation.selection import DEV
from sft.exceptions import DataError, UserError
from sft.runs.manifest import is_done
from sft.runs.records import write_record
from tests.support.baselines import NAMES, BaselineGrid


@pytest.fixture
def grid(tmp_path: Path) -> BaselineGrid:
    return BaselineGrid(tmp_path)


def written(grid: BaselineGrid) -> Any:
    (job,) = grid.jobs()
    return json.loads(job.folder.baselines.read_text())


def test_numbers_are_of_the_shots_and_evaluated_rows_of_the_experiments(grid: BaselineGrid) -> None:
    grid.done("a", dataset={"splits": {"dev": "dev"}})
    assert grid.measure() == 1
    found = written(grid)
    assert list(found["baselines"]) == NAMES
    majority, regression = (entry["results"] for entry in found["baselines"].values())
    assert (majority["accuracy"], majority["macro_f1"]) == (pytest.approx(4 / 6), pytest.approx(0.4))
    assert majority["dev_accuracy"] == pytest.approx(3 / 5)
    assert (regression["accuracy"], regression["dev_accuracy"]) == (1.0, 1.0)
    assert found["data"]["n_train"] == len(found["data"]["train_indices"]) == 4
    assert found["data"]["labels"] == ["neg", "pos"]


def test_rows_are_kept_as_those_of_an_experiment_and_give_the_numbers(grid: BaselineGrid) -> None:
    grid.done("a", dataset={"splits": {"dev": "dev"}})
    grid.measure()
    (job,) = grid.jobs()
    assert is_done(job.folder)
    for name, entry in written(grid)["baselines"].items():
        for prefix, n_rows in (("", 6), (DEV, 5)):
            rows = read_rows(job.folder.baseline_rows(name), prefix)
            assert rows is not None
            assert rows.log_loss is not None
            assert len(rows) == n_rows
            assert rows.correct.mean() == pytest.approx(entry["results"][f"{prefix}accuracy"])
            assert rows.log_loss.mean() == pytest.approx(entry["results"][f"{prefix}log_loss"])


def test_the_arguments_of_the_calibration_error_count(grid: BaselineGrid) -> None:
    grid.done("a", evaluation={"metrics": ["macro_f1", "ece"], "ece_bins": 1, "ece_norm": "max"})
    grid.measure()
    gold, found = np.array([1, 1, 1, 1, 0, 0]), np.tile([5 / 15, 10 / 15], (6, 1))
    expected = classification_numbers(gold, found, 1, "max")["ece"]
    assert written(grid)["baselines"][NAMES[0]]["results"]["ece"] == pytest.approx(expected)


@pytest.mark.parametrize("changes", [{"lora": None, "training": None}, {"dataset": {"shots": 0}, "lora": None}])
def test_experiments_without_shots_have_the_majority_class_of_the_train_split_only(
    grid: BaselineGrid, changes: dict[str, Any]
) -> None:
    grid.done("zero", **{"training": None} | changes)
    grid.measure()
    found = written(grid)
    assert list(found["baselines"]) == NAMES[:1]
    assert found["data"]["train_indices"] == []
    assert found["baselines"][NAMES[0]]["results"]["accuracy"] == pytest.approx(4 / 6)


def test_a_baseline_that_cannot_be_had_is_a_result_with_a_reason_and_has_no_rows(grid: BaselineGrid) -> None:
    grid.write("train", [("pos", 1), ("pos", 2)])
    grid.done("a", dataset={"if_fewer": "use_all", "labels": ["neg", "pos"]})
    grid.measure()
    (job,) = grid.jobs()
    assert is_done(job.folder)
    assert written(grid)["baselines"][NAMES[1]] == {"results": {}, "reason": "the shots have a single label"}
    assert not job.folder.baseline_rows(NAMES[1]).exists()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda grid: grid.write("train", [("pos", 50), ("neg", 51)] * 9), "train.jsonl changed since the plan"),
        (lambda grid: grid.write("test", [("pos", 50)]), "test.jsonl changed since the plan"),
        (lambda grid: (grid.data / "test.jsonl").unlink(), "test"),
    ],
)
def test_data_that_changed_or_are_gone_fail_the_job(
    grid: BaselineGrid, change: Callable[[BaselineGrid], Any], reason: str
) -> None:
    grid.done("a")
    change(grid)
    with pytest.raises((DataError, UserError), match=reason):
        grid.measure()


def test_equal_shots_and_rows_are_measured_once(grid: BaselineGrid) -> None:
    for seed in (1, 2):
        grid.done(f"a{seed}", seed=seed)
        grid.done(f"b{seed}", seed=seed, lora={"r": 4})
    grid.done("zero", lora=None, training=None)
    assert len(grid.jobs()) == 3
    assert (grid.measure(), grid.measure()) == (3, 0)


def test_a_worker_needs_neither_torch_nor_evaluate(grid: BaselineGrid) -> None:
    grid.done("a")
    (job,) = grid.jobs()
    write_record(job.folder.job, job.record)
    program = f"""
import sys, time

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name in ("torch", "evaluate", "transformers", "datasets", "trl", "peft"):
            raise ImportError(name)

sys.meta_path.insert(0, Blocked())  # not None in sys.modules: scipy takes what stands there for torch
from pathlib import Path
from sft.worker.job import run_job
sys.exit(run_job(Path({str(job.folder.path)!r}), time.perf_counter()))
"""
    subprocess.run([sys.executable, "-c", program], check=True)
    assert is_done(job.folder)
    assert not any(attempt.out.exists() for attempt in job.folder.attempts())


def test_the_rows_of_a_fold_are_told_by_what_the_others_have(grid: BaselineGrid) -> None:
    grid.done("a", dataset={"path": str(grid.data / "train.jsonl"), "shots": "all", "splits": {"folds": 3}})
    grid.measure()
    found = written(grid)
    assert [len(own) for own in found["data"]["train_indices"]] == [8, 9, 9]
    assert found["data"]["n_train"] == 8
    (job,) = grid.jobs()
    fold_of = {
        index: fold for fold, own in enumerate(found["data"]["train_indices"]) for index in {*range(13)} - {*own}
    }
    rows = read_rows(job.folder.baseline_rows("majority class"))
    assert rows is not None
    assert rows.gold is not None
    assert rows.log_loss is not None
    for index, (gold, loss) in enumerate(zip(rows.gold, rows.log_loss, strict=True)):
        known = [rows.gold[other] for other in range(13) if fold_of[other] != fold_of[index]]
        assert np.exp(-loss) == pytest.approx((known.count(gold) + 1) / (len(known) + 2))
