"""What the planner makes of the child that reads tokenizers."""

import subprocess
from typing import Any

import pytest

from sft.errors import MachineError
from sft.experiments.tokenizer_checks import TokenizerQuestion, ask

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
