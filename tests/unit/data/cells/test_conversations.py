import json
from pathlib import Path
from typing import Any

import pytest

from sft.config.dataset import DatasetConfig
from sft.data.loading import load_splits
from sft.data.rows import Splits
from sft.exceptions import DataError

TURNS = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "2+2?"},
    {"role": "assistant", "content": "4"},
    {"role": "user", "content": "And 3+3?"},
    {"role": "assistant", "content": "6"},
]
SHAREGPT = {"system": "system", "user": "human", "assistant": "gpt"}


def _written(folder: Path, *rows: Any, **dataset: Any) -> DatasetConfig:
    for split in ("train", "test"):
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{split}.jsonl").write_text(text, "utf-8")
    return DatasetConfig.model_validate({"path": ".", "task_type": "generation", "shots": 1, **dataset})


def _load(dataset: DatasetConfig, folder: Path, column: str = "messages") -> Splits:
    return load_splits(dataset, [column], column, folder, None)


@pytest.mark.parametrize(
    "row",
    [
        {"messages": TURNS},
        {"messages": json.dumps(TURNS)},
        {"conversations": [{"from": SHAREGPT[turn["role"]], "value": turn["content"]} for turn in TURNS]},
        {"messages": [*TURNS, {"role": "user", "content": "Thanks."}]},
        {"messages": [{**turn, "content": [{"type": "text", "text": turn["content"]}]} for turn in TURNS]},
    ],
    ids=["messages", "json text", "sharegpt", "turns after the answer", "parts"],
)
def test_every_shape_is_one_conversation(tmp_path: Path, row: dict[str, Any]) -> None:
    split = _load(_written(tmp_path, row), tmp_path).test
    (read,) = split.rows
    assert read.values["messages"] == TURNS
    assert read.text("messages") == "6"
    assert read.input_text("messages") == "Be brief.\n2+2?\n4\nAnd 3+3?"
    assert "messages" in split.columns


def test_columns_of_alpaca_are_two_turns(tmp_path: Path) -> None:
    rows = [
        {"instruction": "Translate.", "input": "Haus", "output": "house"},
        {"instruction": "Say hello.", "input": "", "output": "Hello."},
    ]
    first, second = _load(_written(tmp_path, *rows), tmp_path).test.rows
    assert [first.input_text("messages"), first.text("messages")] == ["Translate.\n\nHaus", "house"]
    assert [turn["role"] for turn in second.values["messages"]] == ["user", "assistant"]
    assert second.input_text("messages") == "Say hello."


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        (
            TURNS[:2],
            "has no assistant turn; write one, or leave such rows out with dataset.on_missing: drop",
        ),
        (
            [*TURNS[:2], {"role": "assistant", "content": " "}],
            "'messages' has an empty last assistant turn",
        ),
        (None, "'messages' has no turn; write one"),
        ([{"role": "tool", "content": "x"}, *TURNS], "the role 'tool' in turn 0 .*roles are system, user, assistant"),
        ([{"role": "user", "content": None}, TURNS[-1]], "'messages' has no text in turn 0"),
        ([TURNS[-1]], "nothing before its assistant turn"),
        ("hello", "holds text and not a list of turns.*only a column of conversations may be both"),
        (["hello"], "holds text as turn 0"),
    ],
)
def test_a_row_that_is_no_conversation_is_named(tmp_path: Path, cell: Any, told: str) -> None:
    with pytest.raises(DataError, match=rf"^train.jsonl row 1 \(counted from 0\): .*{told}"):
        _load(_written(tmp_path, {"messages": TURNS}, {"messages": cell}), tmp_path)


def test_rows_without_an_answer_may_be_left_out(tmp_path: Path) -> None:
    dataset = _written(tmp_path, {"messages": TURNS}, {"messages": TURNS[:2]}, {"messages": []}, on_missing="drop")
    test = _load(dataset, tmp_path).test
    assert [row.source_index for row in test.rows] == [0]
    assert test.n_dropped == 2


def test_conversations_are_no_text(tmp_path: Path) -> None:
    dataset = _written(tmp_path, {"messages": TURNS, "label": "a"})
    with pytest.raises(
        DataError, match=r"'messages' holds conversations .*\['messages'\] and output_column: 'messages'"
    ):
        load_splits(dataset, ["messages"], "label", tmp_path, None)


def test_dotted_names_reach_fields_and_list_positions(tmp_path: Path) -> None:
    row = {"messages": TURNS, "translation": {"de": "Haus", "en": None}, "a.b": "own"}
    dataset = _written(tmp_path, row, {**row, "translation": {"de": "Hund", "en": "dog"}})
    used = ["messages.1.content", "translation.de", "a.b"]
    splits = load_splits(dataset.model_copy(update={"on_missing": "drop"}), used, "translation.en", tmp_path, None)
    (found,) = splits.test.rows
    assert [found.text(column) for column in [*used, "translation.en"]] == ["2+2?", "Hund", "own", "dog"]
    with pytest.raises(DataError, match=r'column "messages.9.content" not found; columns are: messages'):
        load_splits(dataset, ["messages.9.content"], "translation.de", tmp_path, None)


def test_equal_prompts_stay_on_one_side_of_a_cut(tmp_path: Path) -> None:
    rows = [{"messages": [{"role": "user", "content": f"q{n // 2}"}, TURNS[-1]]} for n in range(20)]
    dataset = _written(tmp_path, *rows, path="train.jsonl", splits={"test": 0.5})
    splits = _load(dataset, tmp_path)
    assert splits.train is not None
    sides = [{row.input_text("messages") for row in split.rows} for split in (splits.train, splits.test)]
    assert sides[0].isdisjoint(sides[1])
