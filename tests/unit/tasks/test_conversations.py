from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sft.config.experiment import ExperimentConfig
from sft.evaluation.predictions import kept_columns
from sft.exceptions import DataError
from sft.pipeline.inspection import inspect_experiment
from sft.tasks.corrections import scored
from sft.tasks.inputs import load_inputs
from sft.tasks.row_sets import RowSet, check_row_set

Raw = Callable[..., dict[str, Any]]
CHATS = {"prompting": {"input_columns": ["messages"], "output_column": "messages", "instruction": None}}


@pytest.fixture
def chats(project: Path, rewrite: Callable[..., None]) -> Path:
    """The project with two rounds in each row; the last assistant turn is its label."""
    for split in ("train", "test"):
        rewrite(project, split, lambda rows: [{"id": row["id"], "messages": _turns(row)} for row in rows])
    return project


def _turns(row: dict[str, Any]) -> list[dict[str, str]]:
    texts = ("hello", "yes", row["text"], row["label"])
    return [{"role": ("user", "assistant")[place % 2], "content": text} for place, text in enumerate(texts)]


def test_the_loss_covers_the_last_answer_or_all_of_them(chats: Path, plan_of: Callable[..., Any], raw: Raw) -> None:
    masks = {}
    for turns in ("last", "all"):
        plan = plan_of(chats, a=raw(CHATS, {"prompting": {"train_turns": turns}}))
        rows = inspect_experiment(plan.experiments[0].experiment, 1)["rows"]
        masks[turns] = {row["split"]: row["loss_mask"] for row in rows}
    assert masks["last"]["test"] == masks["all"]["test"]
    runs = {turns: "".join(map(str, masks[turns]["train"])).strip("0").count("01") + 1 for turns in masks}
    assert runs == {"last": 1, "all": 2}


def test_the_last_turn_is_the_label_of_a_classification(chats: Path, raw: Raw) -> None:
    inputs = load_inputs(ExperimentConfig.model_validate(raw(CHATS)), chats, {})
    assert inputs.labels is not None
    assert inputs.labels.values == ("bad", "good", "mixed")
    with pytest.raises(DataError, match="a conversation has no prompt without content"):
        check_row_set(inputs, RowSet.parse("content_free:contextual:1"))


def test_a_corrected_answer_leaves_the_turns_before_it(chats: Path, raw: Raw) -> None:
    (chats / "fixes.csv").write_text("source_index,gold\n1,bad\n", "utf-8")
    config = ExperimentConfig.model_validate(raw(CHATS, {"dataset": {"corrections": "fixes.csv"}}))
    before = load_inputs(config, chats, {})
    row = scored(before, chats).inputs.evaluated()["test"][1]
    plain = before.evaluated()["test"][1]
    assert (plain.text("messages"), row.text("messages")) == ("good", "bad")
    assert row.input_text("messages") == plain.input_text("messages")
    assert kept_columns(row.values, None, "messages")["messages.prompt"] == plain.values["messages"].prompt


def test_turns_that_are_trained_are_in_the_key_of_the_training(
    chats: Path, plan_of: Callable[..., Any], raw: Raw, zero_shot: dict[str, Any]
) -> None:
    every = {"prompting": {"train_turns": "all"}}
    configs = {"last": raw(CHATS), "all": raw(CHATS, every), "zero": raw(CHATS, zero_shot, every)}
    last, all_turns, zero = (planned.keys for planned in plan_of(chats, **configs).experiments)
    assert last.train != all_turns.train
    (alone,) = (planned.keys for planned in plan_of(chats, z=raw(CHATS, zero_shot)).experiments)
    assert zero == alone
