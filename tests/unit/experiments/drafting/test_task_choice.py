"""What kind of task a first grid takes a column for, and what it writes then."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sft import api
from sft.exceptions import UserError
from sft.experiments.drafting.columns import free_text
from sft.experiments.drafting.draft import draft
from sft.experiments.drafting.reading import bring
from sft.experiments.grids.loading import GridOptions, load_grid
from sft.experiments.planning.plan import GridPlan
from sft.experiments.planning.planning import plan_grid
from tests.support.tickets import SWITCHED_OFF, TICKETS, write_tickets

TOPICS = [["sport"], [], ["money", "sport"], ["music"], ["money", "music", "sport"], ["money"], ["music", "sport"]]


def test_free_text_becomes_a_generation_and_says_why(
    brought: Path, checked: Callable[..., tuple[str, GridPlan]]
) -> None:
    write_tickets(brought / "a.csv", TICKETS)
    text, plan = checked("a.csv", ["subject"], "text")
    assert "task_type: 'generation',  // 'text' has 90 different values in 90 rows; --task overrides" in text
    config = plan.experiments[0].experiment.config
    assert (config.dataset.task_type, config.prompting.max_output_length) == ("generation", 32)
    text, plan = checked("a.csv", ["text"], "category", task="generation")
    assert plan.experiments[0].experiment.config.dataset.task_type == "generation"


@pytest.mark.parametrize(
    ("texts", "is_free"),
    [
        (["yes", "no"] * 5, False),
        ([f"intent {n % 77}" for n in range(770)], False),
        ([f"intent {n % 77}" for n in range(100)], True),
        ([f"what one person said about {n % 90} and more of it" for n in range(900)], True),
        ([str(n) for n in range(30)], True),
    ],
)
def test_labels_are_told_from_free_text(tmp_path: Path, texts: list[str], is_free: bool) -> None:
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"text": "t", "y": text}) + "\n" for text in texts))
    assert free_text(bring("a.jsonl", tmp_path), "y")[0] is is_free


def test_conversations_are_prompt_and_output_in_one(
    brought: Path, checked: Callable[..., tuple[str, GridPlan]]
) -> None:
    turns = [[{"from": "human", "value": f"question {n}"}, {"from": "gpt", "value": f"answer {n}"}] for n in range(20)]
    (brought / "chats.jsonl").write_text("".join(json.dumps({"id": 1, "conversations": own}) + "\n" for own in turns))
    with pytest.raises(UserError, match=r"sft new chats\.jsonl --inputs conversations --label conversations"):
        api.new("chats.jsonl")
    with pytest.raises(UserError, match="holds conversations and not text"):
        api.new("chats.jsonl", ["conversations"], "id")
    text, plan = checked("chats.jsonl", ["conversations"], "conversations")
    assert "// the last turn of the assistant is the output; --task overrides" in text
    assert list(plan.named()) == ["lora", "zero"]
    assert plan.experiments[0].experiment.config.prompting.train_turns == "last"


def _topics(folder: Path, separator: str | None, n_rows: int = 210) -> str:
    """Writes rows of several topics each; gives the file's name."""
    rows = [(f"the text number {n} of all", TOPICS[n % len(TOPICS)]) for n in range(n_rows)]
    if separator is None:
        lines = [json.dumps({"text": text, "topics": own}) for text, own in rows]
    else:
        lines = ["text\ttopics", *(f"{text}\t{separator.join(own) or '[]'}" for text, own in rows)]
    file = folder / ("topics.jsonl" if separator is None else "topics.tsv")
    file.write_text("\n".join([*lines, ""]))
    return file.name


@pytest.mark.parametrize("separator", [None, ";", ", ", " | "])
def test_lists_of_labels_and_joined_ones_are_label_sets(
    brought: Path, checked: Callable[..., tuple[str, GridPlan]], separator: str | None
) -> None:
    text, plan = checked(_topics(brought, separator), ["text"], "topics")
    assert list(plan.named()) == ["icl", "lora", "zero"]
    dataset = plan.named()["lora"].experiment.config.dataset
    assert (dataset.task_type, dataset.labels, dataset.shots) == ("multilabel", ["money", "music", "sport"], 8)
    assert dataset.labels_separator == (None if separator is None else separator.strip())
    assert "3 different ones in 210 rows; --task overrides" in text
    assert "2 examples in each prompt" in text
    assert "trained on 8 rows per label" in text
    assert "instruction: 'Say whether the label after the text applies to it: yes or no.'" in text
    (brought / "grid.jsonnet").write_text(SWITCHED_OFF.sub(r"\1", text.replace("Qwen/Qwen2.5-1.5B-Instruct", "model")))
    wide = plan_grid(load_grid("grid.jsonnet", GridOptions()), {})
    assert {planned.experiment.config.inference.threshold for planned in wide.experiments} == {0.5, "fit"}


def test_rare_combinations_of_labels_are_tested_too(
    brought: Path, checked: Callable[..., tuple[str, GridPlan]]
) -> None:
    _, plan = checked(_topics(brought, None, 350), ["text"], "topics")
    assert plan.experiments[0].experiment.config.dataset.splits.test == 0.3


@pytest.mark.parametrize(
    "cells",
    [
        ["billing, refund", "bug", "other"],  # one label with a comma in it
        [f"no, the price of number {n} was {n}" for n in range(60)],
    ],
)
def test_a_comma_alone_makes_no_label_sets(brought: Path, cells: list[str]) -> None:
    rows = [{"text": f"t {n}", "y": cells[n % len(cells)]} for n in range(120)]
    (brought / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert draft(bring("a.jsonl", brought), ["text"], "y", None, None).task.name != "multilabel"


@pytest.mark.parametrize("options", [{"label": None}, {"label": "body", "task": "text"}])
def test_a_lone_column_is_learned_whole(
    brought: Path, checked: Callable[..., tuple[str, GridPlan]], options: dict[str, Any]
) -> None:
    (brought / "a.jsonl").write_text("".join(f'{{"body": "the report number {n} of all"}}\n' for n in range(20)))
    text, plan = checked("a.jsonl", [], **options)
    assert list(plan.named()) == ["lora", "zero"]
    config = plan.named()["lora"].experiment.config
    assert (config.dataset.task_type, config.dataset.shots) == ("text", 16)
    assert (config.prompting.output_column, config.prompting.instruction) == ("body", None)
    (brought / "grid.jsonnet").write_text(SWITCHED_OFF.sub(r"\1", text.replace("Qwen/Qwen2.5-1.5B-Instruct", "model")))
    wide = plan_grid(load_grid("grid.jsonnet", GridOptions()), {})
    assert all(planned.experiment.config.training is not None for planned in wide.experiments)


@pytest.mark.parametrize(
    ("task", "asked", "first"),
    [
        ("summarization", "Sum up the text in one short sentence.", "rougeLsum"),
        ("translation", "Translate the text into text.", "bleu"),
    ],
)
def test_what_the_data_cannot_tell_is_written(
    brought: Path, checked: Callable[..., tuple[str, GridPlan]], task: str, asked: str, first: str
) -> None:
    write_tickets(brought / "a.csv", TICKETS)
    text, plan = checked("a.csv", ["subject"], "text", task=task)
    assert f"instruction: '{asked} Answer with nothing else.'" in text
    config = plan.experiments[0].experiment.config
    assert config.dataset.task_type == task
    assert config.evaluation.metrics is not None
    assert config.evaluation.metrics[0] == first
