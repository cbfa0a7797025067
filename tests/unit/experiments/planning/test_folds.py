"""What a plan refuses of folds, in one line each, and what it says of them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sft.exceptions import InvalidExperiments
from sft.experiments.grids.loading import RawGrid
from sft.experiments.planning import planning
from sft.runs.files import ResultsFolder
from sft.terminal.plan import plan_lines

Raw = Callable[..., dict[str, Any]]
ICL = {"inference": {"icl_examples": 2}, "lora": ..., "training": ...}


def folds(n: int = 3, dataset: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {"dataset": {"path": "data/train.jsonl", "splits": {"folds": n, **more}, **(dataset or {})}}


@pytest.mark.parametrize(
    ("patches", "path", "message"),
    [
        ([folds(6)], "dataset.splits.folds", "6 folds, and labels have fewer rows (per label: bad: 5"),
        ([folds(stratify=False)], "dataset.splits.folds", "fold 0 of 0 to 2 has no row of the label good (5 in all)"),
        ([folds(16)], "dataset.splits.folds", "16 folds, and 15 rows make 15 parts"),
        ([folds(1)], "dataset.splits.folds", "must be a number >= 2, got 1"),
        ([folds(3, {"max_n_test": 2})], "dataset.max_n_test", "2 leaves no row to test in fold"),
        ([folds(dev=0.2)], "dataset.splits", "dev 0.2 cannot stand beside folds"),
        ([folds(test=0.3)], "dataset.splits", "test 0.3 cannot stand beside folds"),
        ([folds(), {"dataset": {"path": "data"}}], "dataset.splits", "more than one split to cut"),
        ([folds(3, {"shots": 4})], "dataset", "4 shots asked, 3 available"),
        ([folds(3, {"shots": 1}), ICL], "inference.icl_examples", "2 asked, the largest that works is 1"),
        ([folds(), {"training": {"trainer_args": {"eval_strategy": "epoch"}}}], "training.trainer_args", "dev"),
    ],
)
def test_what_cannot_be_is_one_line(
    project: Path, plan_of: Callable[..., Any], raw: Raw, patches: list[dict[str, Any]], path: str, message: str
) -> None:
    with pytest.raises(InvalidExperiments) as caught:
        plan_of(project, a=raw(*patches))
    assert caught.value.exit_code == 2
    (found,) = caught.value.findings
    assert found["path"].startswith(path)
    assert message in found["message"]


def test_a_plan_counts_the_stages_of_all_folds(
    project: Path, plan_of: Callable[..., Any], raw: Raw, zero_shot: dict[str, Any], tmp_path: Path
) -> None:
    plan = plan_of(project, lora=raw(folds()), zero=raw(zero_shot, folds()))
    lines = plan_lines(plan, ResultsFolder(tmp_path / "results"))
    assert lines[1:5] == [
        "  train    3 to run, 0 done, 0 shared (3 asked for)",
        "  infer    4 to run, 0 done, 0 shared (4 asked for)",
        "  evaluate 2 to run, 0 done, 0 shared (2 asked for)",
        "  baseline 2 to run, 0 done, 0 shared (2 asked for)",
    ]
    assert any(line.endswith(" · 6 shots, 15 test in 3 folds") for line in lines)
    assert not any("leaked" in line or "dataset.splits.test" in line for line in lines)


def test_a_row_does_not_stand_on_both_sides_of_a_profile(
    project: Path, no_tokenizer_child: None, raw: Raw, zero_shot: dict[str, Any]
) -> None:
    grid = RawGrid({"a": raw(zero_shot, folds())}, "grid.json", project)
    (data,) = planning.plan_grid(grid, {}, with_profiles=True).data
    assert [(split.name, split.n_used) for split in data.splits] == [("test", 15)]
    assert data.remarks == ()


def test_equal_texts_are_on_one_side_so_that_nothing_leaks(
    project: Path, plan_of: Callable[..., Any], raw: Raw
) -> None:
    path = project / "data" / "train.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(row) + "\n" for row in [*rows, *rows]))
    (planned,) = plan_of(
        project, a=raw(folds(3, {"shots": "all"}), {"evaluation": {"strict_leaks": True}})
    ).experiments
    assert (planned.data.n_test, planned.data.n_leaked) == (30, 0)


def test_a_row_that_is_left_out_counts_once(project: Path, plan_of: Callable[..., Any], raw: Raw) -> None:
    path = project / "data" / "train.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(row) + "\n" for row in [*rows, {"id": "x", "text": "", "label": "bad"}]))
    (planned,) = plan_of(project, a=raw(folds(3, {"on_missing": "drop"}))).experiments
    assert (planned.data.n_test, planned.data.n_dropped) == (15, {"test": 1})
