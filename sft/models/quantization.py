"""Quantisation by the name of a transformers class: what can be checked without importing it, and building it."""

import importlib.util
import os
from collections.abc import Mapping
from typing import Any

from sft.config.library.keys import class_exists, quantization_classes, quantization_parameters
from sft.config.model import QuantizationConfig
from sft.exceptions import PackageMissing, UserError
from sft.models.stored_kinds import CLASSES_OF_KINDS, KINDS_OF_CLASSES, TORCHAO_TRAINED, kind_of, stored_kind
from sft.registry import nearest, unknown_name

DTYPES = ("float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2", "uint8", "int8")
FOUR_BITS = ("fp4", "nf4")
INSTALL = "pip install 'sft-grid[quantization]'"
PACKAGES = {
    "BitsAndBytesConfig": ("bitsandbytes", INSTALL),
    "AwqConfig": ("gptqmodel", "pip install gptqmodel"),
    "GPTQConfig": ("gptqmodel", "pip install gptqmodel optimum"),
    "HqqConfig": ("hqq", "pip install hqq"),
    "TorchAoConfig": ("torchao", "pip install torchao"),
    "QuantoConfig": ("optimum.quanto", "pip install optimum-quanto"),
    "CompressedTensorsConfig": ("compressed_tensors", "pip install compressed-tensors"),
}
"""Quantisation class -> the package that it needs, and how that is installed."""
IMPORTED = {name: (package,) for name, (package, _) in PACKAGES.items()} | {
    "GPTQConfig": ("gptqmodel", "optimum.gptq")
}
"""Quantisation class -> the modules that loading a model imports because of it."""
TORCHAO_TYPES = "torchao.quantization"
PACKED = ("gptq", "awq")
"""Kinds that gptqmodel loads, with one of several kernels."""
CPU_KERNELS = {"gptq": "gptq_torch", "awq": "torch_awq"}
"""Those for a CPU that take every group size and pass gradients on; what is chosen by itself may do neither."""
GPU_KERNELS = "auto_trainable"
FREE = ("backend", "max_input_length", "tokenizer", "dataset")
"""Arguments of theirs that say nothing of how a model was quantised."""


def check_quantization(config: QuantizationConfig) -> list[str]:
    """What is wrong with a quantisation section, from the installed source; nothing heavy is imported."""
    classes = quantization_classes()
    if config.config_class not in classes:
        return [unknown_name("quantization class", config.config_class, classes)]
    unusable = kind_of(KINDS_OF_CLASSES.get(config.config_class, "")).unusable
    if unusable is not None:
        return [f"{config.config_class}: {unusable}; BitsAndBytesConfig and TorchAoConfig quantise at loading"]
    parameters = quantization_parameters(config.config_class)
    messages = [
        f"args.{name} is missing; {config.config_class} needs it"
        for name, info in parameters.items()
        if info.default_text is None and name not in config.args
    ]
    for name, value in config.args.items():
        if name not in parameters:
            hint = nearest(name, parameters)
            unknown = f"{config.config_class} has no argument {name!r}" + (f" (did you mean {hint}?)" if hint else "")
            messages.append(f"args.{name}: {unknown}; it takes: {', '.join(parameters)}")
        elif name.endswith("dtype") and isinstance(value, str) and value.removeprefix("torch.") not in DTYPES:
            messages.append(f"args.{name} is {value!r}; allowed: {', '.join(DTYPES)}")
    if config.config_class == "BitsAndBytesConfig" and not messages:
        messages += _check_bits(config.args) + _check_four_bits(config.args)
    if config.config_class == "TorchAoConfig" and "quant_type" in config.args:
        messages += _check_torchao(config.args["quant_type"])
    return messages


def build_quantization(config: QuantizationConfig) -> Any:
    """The transformers object that `from_pretrained` takes.

    Raises:
        UserError: the class refuses its arguments, or needs a GPU and there is none.
        PackageMissing: the package behind the class is not installed.
    """
    messages = check_quantization(config)
    if messages:
        raise UserError(f"model.quantization: {messages[0]}")
    require_package(config.config_class)
    import torch
    import transformers

    needs_gpu = kind_of(stored_kind(config, {})).unloadable_on_cpu
    if needs_gpu is not None and not torch.cuda.is_available():
        text = f"model.quantization {config.config_class}: {needs_gpu}, and there is none"
        raise UserError(f"{text}; bitsandbytes and torchao need none", kind="model")
    args = _plain_dtypes(config.args)
    if config.config_class == "TorchAoConfig":
        args["quant_type"] = _torchao_type(args["quant_type"])
    try:
        return getattr(transformers, config.config_class)(**args)
    except (TypeError, ValueError, AttributeError) as error:
        raise UserError(f"model.quantization: {config.config_class} refuses its args: {error}") from error


def loading_quantization(written: QuantizationConfig | None, stored: Mapping[str, Any]) -> Any:
    """What `from_pretrained` is given for a model whose `config.json` says `stored`; None where that says it all.

    GPTQ and AWQ models get kernels that pass gradients on, in training as in measuring, unless `backend` is written:
    what a kernel rounds is part of what the model computes.

    Raises:
        UserError: what is written is not how the model was quantised, or see `build_quantization`.
        PackageMissing: the package that reads such weights is not installed.
    """
    kind = stored.get("quant_method")
    if kind not in PACKED:
        return None if written is None else build_quantization(written)
    name = CLASSES_OF_KINDS[kind]
    args = {} if written is None else dict(written.args)
    if written is not None and written.config_class != name:
        text = f"model.quantization: {written.config_class}, but the model is stored as {kind}; leave it out"
        raise UserError(text, kind="model")
    for key, value in args.items():
        if key not in FREE and key in stored and stored[key] != value:
            text = f"model.quantization: args.{key} is {value!r}, but the model is stored with {stored[key]!r}"
            raise UserError(f"{text}; leave it out", kind="model")
    # With fewer workers than it wants by itself, gptqmodel refuses to start on two cores.
    os.environ.setdefault("GPTQMODEL_CPU_WORKERS", str(os.cpu_count() or 1))
    import torch

    kernels = GPU_KERNELS if torch.cuda.is_available() else CPU_KERNELS[kind]
    given = {"bits": stored.get("bits", 4), "backend": kernels, **args}
    return build_quantization(QuantizationConfig(config_class=name, args=given))


def needed_class(written: QuantizationConfig | None, model_config: Mapping[str, Any]) -> str | None:
    """The quantisation class that loads a model: as written, else as its `config.json` says; None for a plain one."""
    if written is not None:
        return written.config_class
    stored = model_config.get("quantization_config")
    if not isinstance(stored, Mapping):
        return None
    name = str(stored.get("quant_method", "bitsandbytes"))
    return "BitsAndBytesConfig" if name == "bitsandbytes" else CLASSES_OF_KINDS.get(name)


def require_package(config_class: str) -> None:
    """Raise PackageMissing unless the package that a quantisation class needs is installed."""
    package, install = PACKAGES.get(config_class, (None, ""))
    if package is not None and importlib.util.find_spec(package.partition(".")[0]) is None:
        raise PackageMissing(package, f"a model with {config_class}", install)


def _plain_dtypes(args: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments with `torch.bfloat16` as `bfloat16`, the form the classes take."""
    return {
        name: value.removeprefix("torch.") if name.endswith("dtype") and isinstance(value, str) else value
        for name, value in args.items()
    }


def _check_bits(args: Mapping[str, Any]) -> list[str]:
    """Neither width, which transformers takes for 4 bits, or both."""
    asked = [name for name in ("load_in_4bit", "load_in_8bit") if args.get(name)]
    if len(asked) == 1:
        return []
    what = "both load_in_4bit and load_in_8bit are true" if asked else "neither load_in_4bit nor load_in_8bit is true"
    return [f"args: {what}; write one of them, or leave model.quantization out"]


def _check_four_bits(args: Mapping[str, Any]) -> list[str]:
    """A type of 4 bits that bitsandbytes does not have, which transformers takes as it is written."""
    written = args.get("bnb_4bit_quant_type", FOUR_BITS[0])
    if written in FOUR_BITS:
        return []
    return [f"args.bnb_4bit_quant_type is {written!r}; allowed: {', '.join(FOUR_BITS)}"]


def _check_torchao(written: Any) -> list[str]:
    """What is wrong with a `quant_type`; where torchao is not installed, that is told instead."""
    name = written.get("_type") if isinstance(written, Mapping) else written
    if importlib.util.find_spec("torchao") is None:
        return []
    if isinstance(name, str) and name.isidentifier() and class_exists(f"{TORCHAO_TYPES}:{name}"):
        return []
    how = f"name a class of {TORCHAO_TYPES}, or write what torchao.core.config.config_to_dict gives of one"
    return [f"args.quant_type is {written!r}; {how}: {', '.join(TORCHAO_TRAINED)}, ..."]


def _torchao_type(written: Any) -> Any:
    """The object of torchao that a name with all its defaults, or torchao's own JSON, stands for."""
    from torchao import quantization
    from torchao.core.config import config_from_dict

    try:
        return config_from_dict(dict(written)) if isinstance(written, Mapping) else getattr(quantization, written)()
    except (TypeError, ValueError, KeyError) as error:
        raise UserError(f"model.quantization: args.quant_type is refused by torchao: {error}") from error
