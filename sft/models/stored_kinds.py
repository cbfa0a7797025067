"""How the weights of a model will be stored, as its configuration and the user's say; nothing heavy is imported."""

from collections.abc import Mapping
from typing import Any

from sft.config.model import QuantizationConfig

PLAIN = "plain"
KINDS_OF_CLASSES: Mapping[str, str] = {
    "AwqConfig": "awq",
    "CompressedTensorsConfig": "compressed-tensors",
    "FbgemmFp8Config": "fp8",
    "FineGrainedFP8Config": "fp8",
    "GPTQConfig": "gptq",
    "HqqConfig": "hqq",
    "QuantoConfig": "quanto",
    "TorchAoConfig": "torchao",
}
"""Quantisation class of transformers -> what its weights are called here; bitsandbytes' own is told by its options."""
KINDS_OF_METHODS: Mapping[str, str] = {"fbgemm_fp8": "fp8"}
"""`quant_method` of a model's file, where it is not what its weights are called here."""


def stored_kind(quantization: QuantizationConfig | None, model_config: Mapping[str, Any]) -> str:
    """What the weights are called: `plain`, `nf4`, `fp4`, `int8`, `gptq`, ...; the class's name where it has no other.

    Args:
        quantization: as the user wrote it; None leaves what the model's files hold.
        model_config: what the model's `config.json` says; empty where it is not known yet.
    """
    if quantization is not None:
        if quantization.config_class == "BitsAndBytesConfig":
            return _bitsandbytes(quantization.args)
        return KINDS_OF_CLASSES.get(quantization.config_class, quantization.config_class)
    stored = model_config.get("quantization_config")
    if not isinstance(stored, Mapping):
        return PLAIN
    name = str(stored.get("quant_method", "bitsandbytes"))
    return _bitsandbytes(stored) if name == "bitsandbytes" else KINDS_OF_METHODS.get(name, name)


def _bitsandbytes(args: Mapping[str, Any]) -> str:
    if args.get("load_in_4bit"):
        return str(args.get("bnb_4bit_quant_type", "fp4"))
    return "int8" if args.get("load_in_8bit") else PLAIN
