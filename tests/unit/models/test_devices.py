"""bf16 is taken only where the GPU computes in it; a device that emulates it gets fp32, wherever that is decided."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import sft
from sft.models.devices import has_bf16
from sft.models.loading import dtype_name
from sft.training import trainer
from sft.training.checkpoints import CheckpointFolder


@pytest.fixture(params=[True, False], ids=["own", "emulated"])
def own_bf16(request: Any, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the GPU that is pretended to be there has bf16 of its own; torch says yes to both unless it is asked."""
    own: bool = request.param
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: own or including_emulation)
    return own


def test_a_gpu_that_emulates_bf16_has_none(own_bf16: bool) -> None:
    assert has_bf16() == own_bf16
    assert dtype_name({}) == ("bfloat16" if own_bf16 else "float32")
    assert dtype_name({"dtype": "bfloat16"}) == "bfloat16", "what is written counts"


def test_a_training_there_is_in_fp32(own_bf16: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(trainer, "SFTConfig", lambda **args: SimpleNamespace(n_gpu=1, **args))
    for written, expected in (({}, own_bf16), ({"fp16": True}, False), ({"bf16": True}, True)):
        args: Any = trainer._sft_config(trainer.TrainerSettings(written, 1, CheckpointFolder(tmp_path)))
        assert args.bf16 == expected


def test_without_a_gpu_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert not has_bf16()


def test_one_function_answers() -> None:
    asking = [path.name for path in Path(sft.__file__).parent.rglob("*.py") if "is_bf16_supported" in path.read_text()]
    assert asking == ["devices.py"]
