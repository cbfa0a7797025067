"""Quantisation by the name of a transformers class: what can be checked without importing it, and building it."""

import importlib.util
from collections.abc import Mapping
from typing import Any

from sft.config.library.keys import quantization_classes, quantization_parameters
from sft.config.model import QuantizationConfig
from sft.exceptions import PackageMissing, UserError
from sft.registry import nearest, unknown_name

DTYPES = ("float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2", "uint8", "int8")
INSTALL = "pip install 'sft-grid[quantization]'"
PACKAGES = {
    "BitsAndBytesConfig": ("bitsandbytes", INSTALL),
    "AwqConfig": ("gptqmodel", "pip install gptqmodel"),
    "GPTQConfig": ("gptqmodel", "pip install gptqmodel"),
    "HqqConfig": ("hqq", "pip install hqq"),
    "TorchAoConfig": ("torchao", "pip install torchao"),
    "QuantoConfig": ("optimum.quanto", "pip install optimum-quanto"),
}


def check_quantization(config: QuantizationConfig) -> list[str]:
    """What is wrong with a quantisation section, from the installed source; nothing heavy is imported."""
    classes = quantization_classes()
    if config.config_class not in classes:
        return [unknown_name("quantization class", config.config_class, classes)]
    parameters = quantization_parameters(config.config_class)
    messages = []
    for name, value in config.args.items():
        if name not in parameters:
            hint = nearest(name, parameters)
            unknown = f"{config.config_class} has no argument {name!r}" + (f" (did you mean {hint}?)" if hint else "")
            messages.append(f"args.{name}: {unknown}; it takes: {', '.join(parameters)}")
        elif name.endswith("dtype") and isinstance(value, str) and value.removeprefix("torch.") not in DTYPES:
            messages.append(f"args.{name} is {value!r}; allowed: {', '.join(DTYPES)}")
    return messages


def build_quantization(config: QuantizationConfig) -> Any:
    """The transformers object that `from_pretrained` takes.

    Raises:
        UserError: the class refuses its arguments.
        PackageMissing: the package behind the class is not installed.
    """
    messages = check_quantization(config)
    if messages:
        raise UserError(f"model.quantization: {messages[0]}")
    require_package(config.config_class)
    import transformers

    try:
        return getattr(transformers, config.config_class)(**_plain_dtypes(config.args))
    except (TypeError, ValueError, AttributeError) as error:
        raise UserError(f"model.quantization: {config.config_class} refuses its args: {error}") from error


def require_package(config_class: str) -> None:
    """Raise PackageMissing unless the package that a quantisation class needs is installed."""
    package, install = PACKAGES.get(config_class, (None, ""))
    if package is not None and importlib.util.find_spec(package.partition(".")[0]) is None:
        raise PackageMissing(package, f"model.quantization {config_class}", install)


def _plain_dtypes(args: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments with `torch.bfloat16` as `bfloat16`, the form the classes take."""
    return {
        name: value.removeprefix("torch.") if name.endswith("dtype") and isinstance(value, str) else value
        for name, value in args.items()
    }
