from collections.abc import Callable
from typing import Any

import pytest

from sft.config.experiment import ExperimentConfig
from sft.experiments.planning.checks.prompting import prompting_findings

CHATS = {"prompting": {"input_columns": ["messages"], "output_column": "messages"}}


@pytest.mark.parametrize(
    ("patch", "path", "told"),
    [
        ({"inference": {"icl_examples": 1}}, "inference.icl_examples", "takes no in-context examples; write 0"),
        ({"training": {"icl_examples": 1}}, "training.icl_examples", "takes no in-context examples; write 0"),
        ({"prompting": {"input_template": "{messages}"}}, "prompting.input_template", "no columns to write into"),
        ({"inference": {"prompting": {"input_columns": ["text"]}}}, "inference.prompting.input_columns", "in one"),
        ({"prompting": {"input_columns": ["text", "messages"]}}, "prompting.input_columns", "is among the inputs"),
        ({"model": {"auto_class": "AutoModelForSeq2SeqLM"}}, "prompting.input_columns", "seq2seq reads columns"),
    ],
)
def test_what_does_not_go_with_conversations(
    raw: Callable[..., dict[str, Any]], patch: dict[str, Any], path: str, told: str
) -> None:
    ((found, message),) = prompting_findings(ExperimentConfig.model_validate(raw(CHATS, patch)))
    assert found == path
    assert told in message


def test_conversations_alone_are_sound(raw: Callable[..., dict[str, Any]]) -> None:
    assert prompting_findings(ExperimentConfig.model_validate(raw(CHATS))) == []
