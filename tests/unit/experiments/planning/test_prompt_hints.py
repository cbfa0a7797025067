"""Trainings that are wanted only for other words in the prompt: the plan says how the finished ones serve."""

from typing import Any

import pytest

from sft.experiments.planning.prompt_hints import prompt_hints
from sft.runs.records import JobRecord

OLD: dict[str, Any] = {"method": "lora", "prompting": {"instruction": "Old.", "input_columns": ["text"]}}
NEW: dict[str, Any] = {**OLD, "prompting": {**OLD["prompting"], "instruction": "New."}}


def hints(trainings: dict[str, dict[str, Any]]) -> list[str]:
    other = {**OLD, "prompting": {"instruction": "Other.", "input_columns": ["body"]}}
    records = [JobRecord("train", "k", "old", {}, "/", {}, key_fields=fields) for fields in (other, OLD)]
    return list(prompt_hints(trainings, records))


def test_those_that_differ_in_words_alone_are_one_line() -> None:
    assert hints(dict.fromkeys("abcde", NEW)) == [
        "5 trainings (a, b, c and 2 more) would run only because prompting.instruction is not as in finished ones: "
        "with the old words there and the new ones under inference.prompting nothing is trained again"
    ]


@pytest.mark.parametrize(
    "fields",
    [
        {**NEW, "method": "ssf"},
        {**NEW, "prompting": {**NEW["prompting"], "output_column": "label"}},
        {**NEW, "init_seed": 5},
    ],
)
def test_what_differs_in_more_is_none_of_them(fields: dict[str, Any]) -> None:
    assert hints({"a": fields}) == []
