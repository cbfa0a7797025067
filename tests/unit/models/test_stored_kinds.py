"""What the weights of a model will be called, by its configuration and the user's alone."""

from typing import Any

import pytest

from sft.config.library.keys import quantization_classes
from sft.config.model import QuantizationConfig
from sft.models.stored_kinds import KINDS, KINDS_OF_CLASSES, kind_of, stored_kind

INSIDE = {"VptqLayerConfig"}
"""Classes of transformers that are parts of others."""


def written(name: str, **args: Any) -> str:
    return stored_kind(QuantizationConfig(config_class=name, args=args), {})


def test_each_class_of_the_installed_transformers_has_a_row():
    classes = set(quantization_classes()) - {"BitsAndBytesConfig"} - INSIDE
    assert classes == set(KINDS_OF_CLASSES)
    assert set(KINDS_OF_CLASSES.values()) <= set(KINDS)


@pytest.mark.parametrize(
    ("name", "args", "kind"),
    [
        ("BitsAndBytesConfig", {"load_in_4bit": True}, "fp4"),
        ("BitsAndBytesConfig", {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}, "nf4"),
        ("BitsAndBytesConfig", {"load_in_8bit": True}, "int8"),
        ("BitsAndBytesConfig", {}, "fp4"),
        ("GPTQConfig", {"bits": 4}, "gptq"),
        ("TorchAoConfig", {"quant_type": "Int8WeightOnlyConfig"}, "torchao"),
        ("TorchAoConfig", {"quant_type": {"_type": "IntxWeightOnlyConfig", "_data": {}}}, "torchao"),
        ("TorchAoConfig", {"quant_type": "Int4WeightOnlyConfig"}, "torchao Int4WeightOnlyConfig"),
        ("FineGrainedFP8Config", {}, "fp8"),
        ("FineGrainedFP8Config", {"dequantize": True}, "plain"),
        ("Mxfp4Config", {"dequantize": True}, "plain"),
        ("OtherConfig", {}, "OtherConfig"),
    ],
)
def test_what_the_user_writes_has_a_name(name: str, args: dict[str, Any], kind: str):
    assert written(name, **args) == kind


@pytest.mark.parametrize(
    ("stored", "kind"),
    [
        (None, "plain"),
        ({"quant_method": "gptq", "bits": 4}, "gptq"),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}, "nf4"),
        ({"load_in_8bit": True}, "int8"),
        ({"quant_method": "torchao", "quant_type": {"default": {"_type": "Int8WeightOnlyConfig"}}}, "torchao"),
        (
            {"quant_method": "torchao", "quant_type": {"default": {"_type": "Int4WeightOnlyConfig"}}},
            "torchao Int4WeightOnlyConfig",
        ),
        ({"quant_method": "mxfp4"}, "mxfp4"),
        ({"quant_method": "mxfp4", "dequantize": True}, "plain"),
    ],
    ids=str,
)
def test_what_a_models_files_hold_has_a_name(stored: dict[str, Any] | None, kind: str):
    assert stored_kind(None, {"quantization_config": stored} if stored else {}) == kind


def test_what_nothing_is_known_of_trains_nothing():
    assert kind_of("plain").untrained is None
    assert kind_of("torchao").untrained is None
    for unknown in ("OtherConfig", "torchao Int4WeightOnlyConfig", "gguf", "mxfp4", "compressed-tensors"):
        assert kind_of(unknown).untrained
