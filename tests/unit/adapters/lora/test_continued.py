"""Which options agree with a trained adapter, told before anything starts."""

import json
from pathlib import Path
from typing import Any

import pytest

from sft.adapters.method import adapter_method
from sft.exceptions import UserError


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    saved = {"peft_type": "LORA", "r": 16, "lora_alpha": 32, "target_modules": ["q_proj", "v_proj"]}
    (tmp_path / "adapter_config.json").write_text(json.dumps(saved), "utf-8")
    (tmp_path / "adapter_model.safetensors").write_bytes(b"")
    return tmp_path


@pytest.mark.parametrize(
    ("options", "paths"),
    [
        ({"r": 16}, []),
        ({}, ["r"]),
        ({"r": 16, "lora_alpha": 32.0, "lora_dropout": 0.1, "bias": None}, []),
        ({"r": 16, "target_modules": ["v_proj", "q_proj"]}, []),
        ({"r": 16, "target_modules": "all-linear"}, []),
        ({"r": 8, "lora_alpha": 16}, ["r", "lora_alpha"]),
        ({"r": 16, "init_lora_weights": "pissa"}, ["init_lora_weights"]),
    ],
)
def test_options_that_disagree(adapter: Path, options: dict[str, Any], paths: list[str]):
    assert [path for path, _ in adapter_method("lora").check_continued(options, adapter)] == paths


def test_the_message_gives_the_value_to_write(adapter: Path):
    ((_, message),) = adapter_method("lora").check_continued({"r": 8}, adapter)
    assert message == "8, but model.adapter has exported_rank 16; write r: 16"


def test_no_adapter(tmp_path: Path):
    with pytest.raises(UserError, match="holds no trained adapter"):
        adapter_method("lora").check_continued({}, tmp_path)
