"""How the weights of a model will be stored, as its configuration and the user's say, and what goes with each kind.

One table, by which a plan refuses before anything is loaded; nothing heavy is imported. How a layer of each kind is
recognised and read once it is in memory says `sft.models.storages`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sft.config.model import QuantizationConfig

PLAIN = "plain"
DEQUANTIZE = "dequantize"
"""Argument of some classes by which a packed model is unpacked while it is loaded."""
NO_GRADIENT = "its kernels pass no gradient on"
GPU_ONLY = "its kernels need a GPU"
TORCHAO_TRAINED = ("Int8WeightOnlyConfig", "IntxWeightOnlyConfig", "Float8WeightOnlyConfig")
"""`quant_type` of torchao whose layers pass a gradient on. What rounds its inputs as well gives outputs without one:
adapters then learn from what goes past those layers alone, and nothing says so."""


@dataclass(frozen=True)
class StoredKind:
    """What can be done with weights that are stored in one way."""

    untrained: str | None = None
    """Why nothing can be trained beside such weights; None where adapters can."""

    unusable: str | None = None
    """Why no model can be quantised so with the libraries of today; None where one can."""

    unloadable_on_cpu: str | None = None
    """Why a model is not quantised so without a GPU; None where it is."""


KINDS: Mapping[str, StoredKind] = {
    PLAIN: StoredKind(),
    "nf4": StoredKind(),
    "fp4": StoredKind(),
    "int8": StoredKind(),
    "torchao": StoredKind(),
    "gptq": StoredKind(),
    "awq": StoredKind(),
    "fp8": StoredKind(unloadable_on_cpu=GPU_ONLY),
    "aqlm": StoredKind(unloadable_on_cpu=GPU_ONLY),
    "eetq": StoredKind(unloadable_on_cpu=GPU_ONLY),
    "sinq": StoredKind(unloadable_on_cpu=GPU_ONLY),
    "hqq": StoredKind(unusable="transformers does not quantise with HQQ at present"),
    "quanto": StoredKind(),
    "compressed-tensors": StoredKind(untrained="its layers hold no weights before a forward pass has unpacked them"),
    "auto-round": StoredKind(NO_GRADIENT),
    "bitnet": StoredKind(NO_GRADIENT),
    "fbgemm_fp8": StoredKind(NO_GRADIENT, unloadable_on_cpu=GPU_ONLY),
    "fouroversix": StoredKind(NO_GRADIENT, unloadable_on_cpu=GPU_ONLY),
    "fp_quant": StoredKind(NO_GRADIENT, unloadable_on_cpu=GPU_ONLY),
    "gemma": StoredKind(NO_GRADIENT),
    "gguf": StoredKind(NO_GRADIENT),
    "higgs": StoredKind(NO_GRADIENT, unloadable_on_cpu=GPU_ONLY),
    "metal": StoredKind(NO_GRADIENT),
    "mxfp4": StoredKind(NO_GRADIENT),
    "mxfp8": StoredKind(NO_GRADIENT, unloadable_on_cpu=GPU_ONLY),
    "nvfp4": StoredKind(NO_GRADIENT, unloadable_on_cpu=GPU_ONLY),
    "quark": StoredKind(NO_GRADIENT),
    "spqr": StoredKind(NO_GRADIENT, unloadable_on_cpu=GPU_ONLY),
    "vptq": StoredKind(NO_GRADIENT, unloadable_on_cpu=GPU_ONLY),
}
"""By the name of the kind; that of `quant_method` in a model's file where it is not what the table below says."""
UNKNOWN = StoredKind("nothing is known of weights stored so")

KINDS_OF_CLASSES: Mapping[str, str] = {
    "AqlmConfig": "aqlm",
    "AutoRoundConfig": "auto-round",
    "AwqConfig": "awq",
    "BitNetQuantConfig": "bitnet",
    "CompressedTensorsConfig": "compressed-tensors",
    "EetqConfig": "eetq",
    "FPQuantConfig": "fp_quant",
    "FbgemmFp8Config": "fbgemm_fp8",
    "FineGrainedFP8Config": "fp8",
    "FourOverSixConfig": "fouroversix",
    "GPTQConfig": "gptq",
    "GemmaQuantizationConfig": "gemma",
    "GgufConfig": "gguf",
    "HiggsConfig": "higgs",
    "HqqConfig": "hqq",
    "MetalConfig": "metal",
    "Mxfp4Config": "mxfp4",
    "NVFP4Config": "nvfp4",
    "QuantoConfig": "quanto",
    "QuarkConfig": "quark",
    "SinqConfig": "sinq",
    "SpQRConfig": "spqr",
    "TorchAoConfig": "torchao",
    "VptqConfig": "vptq",
}
"""Quantisation class of transformers -> what its weights are called here; bitsandbytes' own is told by its options."""
CLASSES_OF_KINDS: Mapping[str, str] = {kind: name for name, kind in KINDS_OF_CLASSES.items()}
READ_AS_PLAIN = frozenset({"nf4", "fp4", "int8", "torchao", "gptq", "awq", "fp8"})
"""Kinds of which `sft.models.dequantization` makes plain weights."""


def stored_kind(quantization: QuantizationConfig | None, model_config: Mapping[str, Any]) -> str:
    """What the weights are called: `plain`, `nf4`, `fp4`, `int8`, `gptq`, ...; the class's name where it has no other.

    Args:
        quantization: as the user wrote it; None leaves what the model's files hold.
        model_config: what the model's `config.json` says; empty where it is not known yet.
    """
    if quantization is not None:
        args = quantization.args
        if quantization.config_class == "BitsAndBytesConfig":
            return _bitsandbytes(args)
        if args.get(DEQUANTIZE):
            return PLAIN
        kind = KINDS_OF_CLASSES.get(quantization.config_class, quantization.config_class)
        return _torchao(args.get("quant_type")) if kind == "torchao" else kind
    stored = model_config.get("quantization_config")
    if not isinstance(stored, Mapping):
        return PLAIN
    name = str(stored.get("quant_method", "bitsandbytes"))
    if stored.get(DEQUANTIZE):
        return PLAIN
    if name == "torchao":
        types = stored.get("quant_type")
        return _torchao(types.get("default") if isinstance(types, Mapping) else types)
    return _bitsandbytes(stored) if name == "bitsandbytes" else name


def kind_of(storage: str) -> StoredKind:
    """The row of a kind by the name that `stored_kind` gives it."""
    if storage.startswith("torchao "):
        return StoredKind(NO_GRADIENT)
    return KINDS.get(storage, UNKNOWN)


def _torchao(written: Any) -> str:
    """`torchao`; with the type's name behind it where nothing is known to train on it."""
    name = written.get("_type") if isinstance(written, Mapping) else written
    return "torchao" if name is None or name in TORCHAO_TRAINED else f"torchao {name}"


def _bitsandbytes(args: Mapping[str, Any]) -> str:
    """What is not in 8 bits is in 4: transformers asks for no more than that."""
    return "int8" if args.get("load_in_8bit") else str(args.get("bnb_4bit_quant_type", "fp4"))
