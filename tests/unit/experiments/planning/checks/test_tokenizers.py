"""What the planner makes of the child that reads tokenizers."""

import json
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from sft.config.reading import read_experiment
from sft.exceptions import MachineError
from sft.experiments.planning.checks.tokenizer_child import examine
from sft.experiments.planning.checks.tokenizers import TokenizerQuestion, ask

QUESTION = TokenizerQuestion({}, "/anywhere", None, None, [])


def test_a_tokenizer_that_cannot_be_fetched_is_the_machine_s_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def ended(*_: Any, **__: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess([], 5, "", 'noise\nmodel "owner/name" not found locally\n')

    monkeypatch.setattr(subprocess, "run", ended)
    with pytest.raises(MachineError, match=r'^model "owner/name" not found locally$') as caught:
        ask([QUESTION])
    assert caught.value.kind == "network"


def test_a_child_that_hangs_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def hangs(*_: Any, **options: Any) -> None:
        raise subprocess.TimeoutExpired("child", options["timeout"])

    monkeypatch.setattr(subprocess, "run", hangs)
    with pytest.raises(MachineError, match="within 300 s"):
        ask([QUESTION])


def asked(project: Path, raw: dict[str, Any], **changes: Any) -> list[tuple[str, str]]:
    """What the child finds of a config over a model whose `config.json` is changed."""
    file = project / "model" / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | changes), "utf-8")
    config, _ = read_experiment(raw, "one")
    assert config is not None
    labels = [["bad", "bad"], ["good", "good"]]
    return examine(asdict(TokenizerQuestion(config.resolved(), str(project), None, labels, []))).findings


@pytest.mark.parametrize(
    ("rows", "prompt_format", "told"),
    [
        (260, "chat", None),
        (300, "chat", None),
        (258, "chat", "gives the id 258 ('<|im_start|>'), but the model's embedding has 258 rows"),
        (259, "chat", "gives the id 259 ('<|im_end|>')"),
        (258, "plain", None),  # of the vocabulary's rest nothing is in a prompt
        (257, "plain", "gives the id 257 ('</s>')"),  # batches are padded with it
        (200, "plain", "gives the id 200"),
    ],
)
def test_a_tokenizer_that_outgrew_its_model(project: Path, raw: Any, rows: int, prompt_format: str, told: str | None):
    found = asked(project, raw({"prompting": {"format": prompt_format}}), vocab_size=rows)
    assert [path for path, _ in found] == ([] if told is None else ["model.name"])
    assert told is None or told in found[0][1]


@pytest.mark.parametrize("changes", [{"model_type": "bert"}, {"model_type": "t5"}, {"is_causal": False}])
def test_a_model_that_is_no_decoder_is_found_without_torch(project: Path, raw: Any, changes: dict[str, Any]):
    ((path, message),) = asked(project, raw(), **changes)
    assert path == "model.name"
    assert "; causal_lm takes decoders (causal language models), such as those of type llama" in message
    everything = "decoders (causal language models), encoders with a decoder, encoders"
    assert message.endswith(f"; dataset.task_type classification takes {everything}")
