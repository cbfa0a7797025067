"""What may stand in `model.model_args`, checked without importing anything heavy."""

import importlib.util
from collections.abc import Mapping
from typing import Any

from sft.config.findings import PathMessage
from sft.exceptions import PackageMissing

OWN_KEYS = frozenset({"parallelize", "no_split_module_classes", "dtype", "torch_dtype"})
REMOTE_CODE = "trust_remote_code"
DEFAULTS: Mapping[str, Any] = {"parallelize": False, REMOTE_CODE: False}
"""What those keys that are not passed on as they are mean where they are left out."""
DTYPES = ("auto", "float32", "bfloat16", "float16", "float64")
REFUSED = {
    "quantization_config": "write it in model.quantization",
    "load_in_4bit": "write it in model.quantization with config_class BitsAndBytesConfig",
    "load_in_8bit": "write it in model.quantization with config_class BitsAndBytesConfig",
    "gguf_file": "name the GGUF file in model.name",
    "revision": "the commit of a hub model is pinned by the results folder",
    "use_safetensors": "only safetensors are read",
    "pretrained_model_name_or_path": "write it in model.name",
}
ATTENTION = "attn_implementation"
ATTENTION_PACKAGES: Mapping[str, tuple[str, str]] = {
    "flash_attention_2": ("flash_attn", "flash-attn"),
    "flash_attention_3": ("flash_attn_interface", "flash-attn-3"),
}
"""Way to compute attention -> module and package that it needs; they run on GPUs only."""
KERNELS = "kernels"
"""A package that transformers takes such attention from where the other one is not installed."""


def require_attention_package(args: Mapping[str, Any]) -> None:
    """Check that the package behind the attention that is asked for is installed, without importing it.

    Raises:
        PackageMissing: it is not.
    """
    module, package = ATTENTION_PACKAGES.get(str(args.get(ATTENTION)), (None, ""))
    if module is not None and not any(importlib.util.find_spec(name) for name in (module, KERNELS)):
        asked = f"model.model_args.{ATTENTION} {args[ATTENTION]}, which runs on GPUs only,"
        raise PackageMissing(package, asked, f"pip install {package}; or write sdpa, which runs everywhere")


def check_model_args(args: Mapping[str, Any]) -> list[PathMessage]:
    """What is wrong with `model_args`, as (key, message); keys that `from_pretrained` alone knows are not checked."""
    findings = [(key, f"refused: {reason}") for key, reason in REFUSED.items() if key in args]
    if "dtype" in args and "torch_dtype" in args:
        findings.append(("torch_dtype", "dtype is there too; write one of them"))
    for key in ("dtype", "torch_dtype"):
        value = args.get(key, "auto")
        if not isinstance(value, str) or value.removeprefix("torch.") not in DTYPES:
            findings.append((key, f"{value!r}; allowed: {', '.join(DTYPES)}"))
    if not isinstance(args.get(REMOTE_CODE, False), bool):
        findings.append((REMOTE_CODE, f"{args[REMOTE_CODE]!r}; allowed: true, false"))
    return findings + _placement(args)


def runs_remote_code(args: Mapping[str, Any]) -> bool:
    """Whether Python code that comes with a model may run; false unless `model_args` says so."""
    return args.get(REMOTE_CODE) is True


def spreads_over_gpus(args: Mapping[str, Any]) -> bool:
    """Whether a model is to be placed on several GPUs; no process of any other sees more than one."""
    return args.get("parallelize") is True or "device_map" in args


def _placement(args: Mapping[str, Any]) -> list[PathMessage]:
    findings = []
    parallelize = args.get("parallelize", False)
    if not isinstance(parallelize, bool):
        findings.append(("parallelize", f"{parallelize!r}; allowed: true, false"))
    classes = args.get("no_split_module_classes")
    if classes is not None and not (isinstance(classes, list) and all(isinstance(name, str) for name in classes)):
        findings.append(("no_split_module_classes", f"{classes!r}; it is a list of module class names"))
    elif classes and parallelize is not True:
        findings.append(("no_split_module_classes", "has an effect only with parallelize: true"))
    if parallelize is True and "device_map" in args:
        findings.append(("device_map", "parallelize places the model itself; write one of them"))
    return findings
