"""What a plan refuses of models with heads, before anything starts."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sft.adapters.head_labels import FILE
from sft.exceptions import InvalidExperiments

LABELS = ["bad", "good", "mixed"]
HEAD = "AutoModelForSequenceClassification"
SHOTS = {"dataset": {"shots": 2}, "lora": {}}
BERT = {"model_type": "bert", "architectures": ["BertForMaskedLM"], "hidden_size": 32}
DECODER = {"model_type": "llama", "hidden_size": 32}
SAVED = {"peft_type": "LORA", "r": 8, "task_type": "SEQ_CLS"}
MEASURED = {"model": {"adapter": "mine"}}
OWN_HEAD = {"architectures": ["BertForSequenceClassification"]}
TRAINER = [
    ({"packing": True, "max_length": 64}, "packing", "it joins rows, and a head answers once for each"),
    ({"padding_free": True}, "padding_free", "it joins rows"),
    ({"label_smoothing_factor": 0.1}, "label_smoothing_factor", "which a head does not write"),
    ({"loss_type": "dft"}, "loss_type", "a model that answers as sequence_head has one loss, the mean over rows"),
]


@pytest.fixture
def lines_of(plan_of: Callable[..., Any], project: Path, raw: Callable[..., Any]) -> Callable[..., list[str]]:
    """What the plan of a config says without the experiment and the file, for a model of this `config.json`."""

    def told(described: dict[str, Any], *patches: dict[str, Any]) -> list[str]:
        (project / "model" / "config.json").write_text(json.dumps(described))
        try:
            plan_of(project, a=raw(*patches))
        except InvalidExperiments as error:
            found = error
        else:
            return []
        assert found.exit_code == 2
        return [line.removeprefix('#1 "a": ').removesuffix(" [grid.json]") for line in found.lines]

    return told


def test_a_new_head_without_shots(lines_of: Callable[..., list[str]], zero_shot: dict[str, Any]) -> None:
    (line,) = lines_of(BERT, zero_shot)
    assert line.startswith("dataset.shots: 0: the model has no head for labels, and a new one would answer at random")
    assert lines_of(BERT, SHOTS) == []
    (line,) = lines_of(BERT, {"dataset": {"shots": 2}, "lora": None, "adapter": {"method": "none"}})
    assert line.startswith("model.name: ")
    assert "add lora: {} or an adapter" in line


def test_a_head_with_other_labels(lines_of: Callable[..., list[str]], zero_shot: dict[str, Any]) -> None:
    own = {**BERT, **OWN_HEAD, "id2label": dict(enumerate(reversed(LABELS)))}
    assert lines_of(own, zero_shot) == []
    (line,) = lines_of({**own, "id2label": {"0": "LABEL_0", "1": "LABEL_1"}}, zero_shot)
    assert "its head answers with 'LABEL_0', 'LABEL_1', and the labels of the data are" in line


@pytest.fixture
def trained(project: Path) -> Path:
    """The folder of a LoRA adapter that was trained with a head for `LABELS`."""
    folder = project / "mine"
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps(SAVED))
    header = json.dumps({}).encode()
    (folder / "adapter_model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    (folder / FILE).write_text(json.dumps(LABELS))
    return folder


def test_a_trained_adapter_of_other_labels_or_another_way_to_answer(
    lines_of: Callable[..., list[str]], zero_shot: dict[str, Any], trained: Path
) -> None:
    assert lines_of(BERT, zero_shot, MEASURED) == []
    (trained / FILE).write_text(json.dumps(["a", "b"]))
    (line,) = lines_of(BERT, zero_shot, MEASURED)
    assert line.startswith(f"model.adapter: the head of {trained} was trained for 'a', 'b', and the labels here are ")
    (trained / "adapter_config.json").write_text(json.dumps({**SAVED, "task_type": "CAUSAL_LM"}))
    (line,) = lines_of(BERT, zero_shot, MEASURED)
    assert line == "model.adapter: 'mine' was trained for another way to answer (task_type CAUSAL_LM, not SEQ_CLS)"


def test_a_trained_adapter_without_labels_needs_a_head_of_the_model(
    lines_of: Callable[..., list[str]], zero_shot: dict[str, Any], trained: Path
) -> None:
    (trained / FILE).unlink()
    (line,) = lines_of(BERT, zero_shot, MEASURED)
    assert line.startswith("model.adapter: 'mine' has no head_labels.json, and the model no head: ")
    assert lines_of({**BERT, **OWN_HEAD, "id2label": dict(enumerate(LABELS))}, zero_shot, MEASURED) == []


@pytest.mark.parametrize("text", ["[", '{"bad": 0}', "[0, 1, 2]"])
def test_labels_of_a_trained_head_that_are_damaged(
    lines_of: Callable[..., list[str]], zero_shot: dict[str, Any], trained: Path, text: str
) -> None:
    (trained / FILE).write_text(text)
    for config in (zero_shot, {"dataset": {"shots": 2}, "lora": {"r": 8}}):
        (line,) = lines_of(BERT, config, MEASURED)
        assert line.startswith(f"model.adapter: {trained / FILE} ")
        assert line.endswith("copy the folder again")


def test_only_its_labels_tell_that_an_adapter_of_another_method_has_a_head(
    lines_of: Callable[..., list[str]], zero_shot: dict[str, Any], trained: Path
) -> None:
    (trained / "adapter_config.json").unlink()
    (trained / "adapter_model.safetensors").rename(trained / "method.safetensors")
    (trained / "method.json").write_text(json.dumps({"schema": 1, "method": "ssf", "options": {}}))
    assert lines_of(BERT, zero_shot, MEASURED) == []
    (line,) = lines_of(DECODER, zero_shot, MEASURED)
    assert line == "model.adapter: 'mine' was trained for another way to answer: with a head, and here it is causal_lm"
    (trained / FILE).unlink()
    assert lines_of(DECODER, zero_shot, MEASURED) == []
    (line,) = lines_of(BERT, zero_shot, MEASURED)
    assert line.endswith("another way to answer: without a head, and here it is sequence_head")


@pytest.mark.parametrize(("args", "key", "reason"), TRAINER, ids=[case[1] for case in TRAINER])
def test_arguments_of_the_trainer_that_make_no_sense(
    lines_of: Callable[..., list[str]], args: dict[str, Any], key: str, reason: str
) -> None:
    (line,) = lines_of(BERT, SHOTS, {"training": {"trainer_args": args}})
    assert line.startswith(f"training.trainer_args.{key}: ")
    assert reason in line


@pytest.mark.parametrize("name", ["t_few", "dft"])
def test_losses_of_written_answers(lines_of: Callable[..., list[str]], name: str) -> None:
    (line,) = lines_of(BERT, SHOTS, {"training": {"objective": name}})
    assert line.startswith(f"training.objective: '{name}': a model that answers as sequence_head has one loss")


def test_an_auto_class_that_is_not_known_or_does_not_load_the_model(lines_of: Callable[..., list[str]]) -> None:
    written = {"model": {"auto_class": "AutoModelForSequenceClasification"}}
    (line,) = lines_of(BERT, SHOTS, written)
    assert f"(did you mean {HEAD}?); dataset.task_type classification takes AutoModelForCausalLM" in line
    (line,) = lines_of({"model_type": "t5", "is_encoder_decoder": True}, SHOTS, {"model": {"auto_class": HEAD}})
    assert line.startswith(f"model.auto_class: '{HEAD}': model 'model' is of type t5, and sequence_head takes ")


def test_a_method_that_trains_no_head(lines_of: Callable[..., list[str]]) -> None:
    tokens = {"lora": None, "adapter": {"method": "trainable_tokens", "token_indices": [1]}}
    (line,) = lines_of(BERT, SHOTS, tokens)
    assert line.startswith("adapter.method: trainable_tokens trains no module of the base, which a head is; ")
    virtual = {"lora": None, "adapter": {"method": "prompt_tuning"}, "model": {"auto_class": HEAD}}
    (line,) = lines_of(DECODER, SHOTS, virtual)
    assert line.startswith("adapter.method: prompt_tuning puts vectors in place of tokens")
