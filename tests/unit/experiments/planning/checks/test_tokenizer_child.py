"""What only a tokenizer and its template tell of a config, without the child process."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sft.config.experiment import ExperimentConfig
from sft.experiments.planning.checks.tokenizer_child import Examination, examine
from sft.labels.label_set import LabelSet
from sft.prompts import Example
from sft.tasks.prompting import PromptMaker
from tests.conftest import MODEL_CONFIG

Raw = Callable[..., dict[str, Any]]
TURNS = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
REFUSES = {
    "blank": "{% for m in messages %}{% if not m.content | trim %}{{ raise_exception('say something') }}{% endif %}"
    "{% endfor %}",
    "long": "{% if messages | length > 8 %}{{ raise_exception('too many turns') }}{% endif %}",
}


@pytest.fixture
def examined(project: Path) -> Callable[..., Examination]:
    def run(
        written: dict[str, Any], rows: Any = (), labels: Any = (("bad", "bad"), ("good", "good")), texts: Any = ()
    ) -> Examination:
        config = ExperimentConfig.model_validate(written).resolved()
        revisions = {"revision": None, "template_revision": None}
        return examine(
            {"config": config, "folder": str(project), "labels": labels, "rows": rows, "texts": texts, **revisions}
        )

    for name, refusal in REFUSES.items():
        (project / f"{name}.jinja").write_text(refusal + TURNS)
    return run


def _with(template: str) -> dict[str, Any]:
    return {"model": {"chat_template_from": f"{template}.jinja"}}


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"inference": {"calibration_args": {"calibration_fn": "contextual"}}}, "inference.calibration_args"),
        ({"inference": {"label_scoring": {"normalization": "pmi"}}}, "inference.label_scoring.normalization"),
    ],
)
def test_a_template_that_refuses_a_prompt_without_content(
    examined: Callable[..., Examination], raw: Raw, change: dict[str, Any], path: str
) -> None:
    [(where, message)] = examined(raw(_with("blank"), change)).findings
    assert where == path
    assert "refuses the conversation: say something" in message
    assert not examined(raw(_with("blank"))).findings
    several = {"prompting": {"input_columns": ["text", "id"]}}
    assert not examined(raw(_with("blank"), change, several)).findings


def test_a_template_that_refuses_a_row_or_so_many_turns(examined: Callable[..., Examination], raw: Raw) -> None:
    [(where, message)] = examined(raw(_with("blank")), rows=[["test row 4", {"text": " "}, None]]).findings
    assert (where, message.endswith("say something (test row 4)")) == ("prompting.input_columns", True)
    assert not examined(raw(_with("long"), {"inference": {"icl_examples": 1}})).findings
    [(where, message)] = examined(raw(_with("long"), {"inference": {"icl_examples": 2}})).findings
    assert (where, "too many turns" in message) == ("prompting", True)


def test_what_is_told_of_prompts_for_keys(examined: Callable[..., Examination], raw: Raw, project: Path) -> None:
    (project / "switch.jinja").write_text("{% if '/x' in messages[0].content %}X{% endif %}" + TURNS)
    reads = raw(_with("switch"), {"inference": {"prompting": {"instruction": "One. /x"}}})
    assert examined(reads).traits == {"infer": ["read_instruction"], "train": []}
    assert examined(raw()).traits == {"infer": [], "train": []}
    assert examined(raw({"lora": ..., "training": ...})).traits == {"infer": []}


def test_what_is_told_of_the_layers_of_a_model(examined: Callable[..., Examination], raw: Raw, project: Path) -> None:
    file = project / "model" / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"model_type": "mixtral"}))
    assert examined(raw()).traits == {"infer": [], "train": [], "model": ["other_layers"]}
    file.write_text(json.dumps(json.loads(file.read_text()) | {"hidden_size": 1537}))
    assert examined(raw()).traits["model"] == ["other_layers", "wide_layers"]
    file.write_text(json.dumps(json.loads(file.read_text()) | {"model_type": "llama", "hidden_size": 1536}))
    assert "model" not in examined(raw()).traits


@pytest.mark.parametrize(("objective", "answer"), [("nll", len("bad")), ("t_few", len("better"))])
def test_a_limit_that_no_row_can_keep(
    examined: Callable[..., Examination], raw: Raw, objective: str, answer: int
) -> None:
    def told(limit: int) -> list[Any]:
        training = {"objective": objective, "trainer_args": {"max_length": limit}}
        labels = (("bad", "bad"), ("better", "better"))
        return examined(raw({"training": training}), labels=labels).findings

    [(path, message)] = told(5)
    assert path == "training.trainer_args.max_length"
    enough = int(message.rpartition(" ")[2])
    assert f"the answer behind it up to {answer + 1}; write" in message  # with its stop
    assert told(enough) == told(enough - 1) == []
    assert told(enough - 2)


def test_texts_are_counted_in_tokens_of_the_model(examined: Callable[..., Examination], raw: Any) -> None:
    """The tokenizer of the tests has one token for each byte."""
    assert examined(raw(), texts=[["abc", "", "é"], []]).lengths == [[3, 0, 2], []]


@pytest.mark.parametrize("columns", [["text"], ["text", "title"]])
def test_parts_of_prompts_add_up_to_whole_ones(
    examined: Callable[..., Examination], raw: Any, project: Path, columns: list[str]
) -> None:
    """With one token for each byte the estimate is exact."""
    labels = (("bad", "bad"), ("good", "good"))
    written = raw({"prompting": {"input_columns": columns}})
    shape = examined(written, labels=labels).shape
    assert shape is not None
    assert shape.context == MODEL_CONFIG.get("max_position_embeddings")
    config = ExperimentConfig.model_validate(written)
    prompts = PromptMaker(config, project, {}, LabelSet(("bad", "good"), ("bad", "good"))).inference
    row = Example(dict.fromkeys(columns, "a row of bytes"))
    rounds = [[replace(row, output=word) for word in ("bad", "good")]] * 3
    lengths = [len(prompts.encode(shown, row, None).prompt_ids) for shown in ([], rounds)]
    text = len(columns) * len("a row of bytes")
    assert lengths == [shape.frame + text, shape.frame + text + 3 * (shape.round + 2 * text)]
