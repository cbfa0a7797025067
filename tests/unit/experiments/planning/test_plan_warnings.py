"""Warnings of a plan about its label sets: each told once, for the first experiment that it holds for."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sft.experiments.grids.loading import RawGrid
from sft.experiments.planning import planning
from sft.experiments.planning.checks import sections
from sft.experiments.planning.checks.tokenizers import TokenizerAnswer

Raw = Callable[..., dict[str, Any]]
ALIKE = {"dataset": {"labels": {"bad": "Fine", "good": "fine", "mixed": "other"}}}
OPEN = {"inference": {"label_scoring": {"end_token": False}}}


def test_a_label_set_is_told_once_with_its_first_experiment(
    plan_of: Callable[..., Any], project: Path, raw: Raw
) -> None:
    assert plan_of(project, a=raw()).warnings == ()
    plan = plan_of(project, a=raw(), b=raw(ALIKE), c=raw(ALIKE, OPEN), d=raw(ALIKE, {"seed": 4}))
    (warning,) = plan.warnings
    assert warning.startswith("b and 2 more: label words differ in case or punctuation only ('Fine' and 'fine')")


def test_a_generation_is_not_warned_of(
    plan_of: Callable[..., Any], project: Path, raw: Raw, generation: dict[str, Any]
) -> None:
    assert plan_of(project, a=raw(generation, {"dataset": {"labels": ["Fine", "fine"]}})).warnings == ()


def test_what_the_tokens_show_is_told_of_every_experiment_that_shares_them(
    monkeypatch: pytest.MonkeyPatch, project: Path, raw: Raw
) -> None:
    answer = TokenizerAnswer(label_ids=((1,), (1, 2), (3,)))
    monkeypatch.setattr(planning, "ask", lambda questions: [answer for _ in questions])
    configs = {"stop": raw(), "open": raw(OPEN), "again": raw(OPEN, {"seed": 4})}
    (warning,) = planning.plan_grid(RawGrid(configs, "grid.json", project), {}).warnings
    assert warning.startswith("open and 1 more: the tokens of a label are the beginning of another's")


def test_the_child_process_tells_the_ids_of_the_labels(project: Path, raw: Raw) -> None:
    """The tokenizer of the tests has one token for each byte."""
    words = {"dataset": {"labels": {"bad": "no", "good": "not", "mixed": "yes and more"}}}
    configs = {"a": raw(words, OPEN), "b": raw()}
    found = planning.plan_grid(RawGrid(configs, "grid.json", project), {}).warnings
    assert [text.split(":")[0] for text in found] == ["a", "a"]
    assert "('no' of 'not') and end_token is false" in found[0]
    assert "labels are 2 ('no') to 12 tokens ('yes and more') long" in found[1]


def test_a_training_on_many_label_tokens_at_once_is_told(
    monkeypatch: pytest.MonkeyPatch, project: Path, raw: Raw
) -> None:
    answer = TokenizerAnswer(label_ids=tuple((label, label + 1, label + 2) for label in range(0, 300, 3)))
    monkeypatch.setattr(planning, "ask", lambda questions: [answer for _ in questions])

    def config(objective: str, size: int) -> dict[str, Any]:
        return raw({"training": {"objective": objective, "trainer_args": {"per_device_train_batch_size": size}}})

    configs = {"nll": config("nll", 8), "small": config("t_few", 3), "large": config("t_few", 8)}
    found = planning.plan_grid(RawGrid(configs, "grid.json", project), {}).warnings
    told = [text for text in found if "logits" in text]
    assert [text.split(" at once")[0] for text in told] == [
        "large: training on all labels holds the logits of 8 rows x 301 tokens"
    ]


def test_a_cell_that_may_hide_rows_is_told(plan_of: Callable[..., Any], project: Path, raw: Raw) -> None:
    rows = "".join(f"text {number},{label}\n" for number in range(9) for label in ("bad", "good"))
    (project / "rows.csv").write_text(f'text,label\n{rows}"one,bad\ntwo",good\n')
    data = {"dataset": {"path": "rows.csv", "splits": {"test": 0.5}}}
    (warning,) = plan_of(project, a=raw(data), b=raw(data, {"seed": 3})).warnings
    assert warning.startswith("a and 1 more: rows.csv: 1 row has a cell that spans lines and holds the separator")


def test_workers_that_may_hang_are_told_with_what_shared_memory_there_is(
    monkeypatch: pytest.MonkeyPatch, plan_of: Callable[..., Any], project: Path, raw: Raw
) -> None:
    workers = raw({"training": {"trainer_args": {"dataloader_num_workers": 2}}})
    free = SimpleNamespace(free=1 << 30)
    monkeypatch.setattr("shutil.disk_usage", lambda path: free)
    (warning,) = plan_of(project, plain=raw(), a=workers, b=workers).warnings
    assert warning.startswith("a and 1 more: training.trainer_args.dataloader_num_workers 2: ")
    assert warning.endswith("give --stall-timeout SECONDS")
    free.free = 1 << 20
    assert plan_of(project, a=workers).warnings[0].endswith("(/dev/shm has 1 MiB free, which is little)")


def test_a_metric_of_the_hub_is_told_to_be_in_no_id_and_a_local_one_is_not(
    plan_of: Callable[..., Any],
    project: Path,
    raw: Raw,
    generation: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sections, "require_loadable", lambda metrics, options, folder: None)
    (project / "mine").mkdir()
    (project / "mine" / "mine.py").write_text("")
    hub, local = (raw(generation, {"evaluation": {"metrics": ["rougeL", name]}}) for name in ("meteor", "./mine"))
    (warning,) = plan_of(project, hub=hub, local=local).warnings
    assert warning.startswith("hub: the version of the metric 'meteor'")
