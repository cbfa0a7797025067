"""Loading a base model: device, data type, quantisation, placement."""

import contextlib
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sft.config.model import QuantizationConfig
from sft.exceptions import MachineError, SftError, UserError
from sft.models.answering.new_heads import with_new_head
from sft.models.answering.whole import require_whole, some
from sft.models.config_file import CONTEXT_NAMES, context_tokens, read_config, require_kind
from sft.models.gguf import converted_gguf
from sft.models.layers.weight_files import WeightFiles, note_weight_files
from sft.models.library_warnings import judged_warnings
from sft.models.model_args import OWN_KEYS, REMOTE_CODE, check_model_args, runs_remote_code
from sft.models.objective import Objective
from sft.models.quantization import PACKED, check_quantization, loading_quantization
from sft.models.reading import reading_error, shortened
from sft.models.references import locate
from sft.models.room import loading_room

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedConfig, PreTrainedModel

__all__ = [
    "ModelSource",
    "check_model_args",
    "check_quantization",
    "context_length",
    "dtype_name",
    "load_config",
    "load_model",
    "local_model",
]

CAST_LOGGER = "bitsandbytes.autograd._functions"  # warns of its cast to fp16 at every single product of 8-bit weights
SEED_LIMIT = 2**32
"""NumPy takes seeds below this; larger ones are folded into the range."""
KERNEL_CHOICE = r"already has a `quantization_config` attribute"  # what is given beside it was held against it
NOT_TRUSTED = (
    "comes with Python code of its own, which does not run unless you allow it: read it, then set "
    "model.model_args.trust_remote_code to true"
)


@dataclass(frozen=True)
class ModelSource:
    """Which model, and how it is loaded."""

    name: str
    """Hub id, local folder or local GGUF file; relative to `folder`."""

    folder: Path
    """The folder of the grid or config file."""

    revision: str | None = None
    """Pinned commit of a hub id."""

    quantization: QuantizationConfig | None = None
    """Quantisation at loading."""

    model_args: Mapping[str, Any] = field(default_factory=dict)
    """For `from_pretrained`; also `parallelize` and `no_split_module_classes`."""

    labels: tuple[str, ...] = ()
    """Gold values that a head answers with, in the order of a new one's outputs; not read where there is no head."""

    head_seed: int = 0
    """Of the initial weights of a new head, below `SEED_LIMIT`."""


def load_model(source: ModelSource, objective: Objective) -> "PreTrainedModel":
    """The model in eval mode, on the GPU when there is one.

    Weights are bf16 on a CUDA device that has it, else fp32, unless `model_args` says otherwise. Only safetensors are
    read: a pickled checkpoint can run code. Code that comes with a model runs only where `model_args` says
    `trust_remote_code`.

    Args:
        source: which model, and how it is loaded.
        objective: how it will answer.

    Raises:
        UserError: there is no such model, it is an adapter's folder, or its arguments do not fit.
        MachineError: it is not cached and the hub does not answer, or a package is missing.
    """
    auto_class = objective.loader()
    for path, message in check_model_args(source.model_args):
        raise UserError(f"model.model_args.{path}: {message}")
    local = local_model(source.name, source.folder)
    place = {"pretrained_model_name_or_path": str(local or source.name), "revision": source.revision}
    config = read_config(source.name, local, source.revision)
    require_kind(source.name, config, objective, source.model_args)
    stored = (config or {}).get("quantization_config") or {}
    arguments = _arguments(source, stored)
    try:
        arguments = with_new_head(arguments, place, config or {}, objective, source.labels, source.head_seed)
        if source.model_args.get("parallelize") and source.model_args.get("no_split_module_classes"):
            arguments["device_map"] = _device_map(source, arguments, auto_class)
        with _judged(source.name, stored):
            model, found = auto_class.from_pretrained(
                **place, **arguments, use_safetensors=True, output_loading_info=True
            )
    except Exception as error:
        told = _explained(source, local, error)
        if told is None:
            raise
        raise told from error
    require_whole(source.name, model, found, has_head=objective.has_head)
    note_weight_files(model, WeightFiles(str(local or source.name), source.revision))
    return _readable(model).eval()


@contextlib.contextmanager
def _judged(name: str, stored: Mapping[str, Any]) -> Iterator[None]:
    logging.getLogger(CAST_LOGGER).setLevel(logging.ERROR)
    left = KERNEL_CHOICE if stored.get("quant_method") in PACKED else None
    with loading_room(f"model {name!r} was loaded"), judged_warnings(f"model {name!r}", left=left):
        yield


def load_config(source: ModelSource) -> "PreTrainedConfig":
    """The configuration of a model, without its weights.

    Raises:
        UserError: there is no such model, or transformers does not know its kind.
        MachineError: it is not cached and the hub does not answer.
    """
    from transformers import AutoConfig

    local = local_model(source.name, source.folder)
    trusted = runs_remote_code(source.model_args)
    try:
        return AutoConfig.from_pretrained(
            str(local or source.name), revision=source.revision, trust_remote_code=trusted
        )
    except Exception as error:
        told = _explained(source, local, error)
        if told is None:
            raise
        raise told from error


def local_model(name: str, folder: Path) -> Path | None:
    """The folder to load a local model from (of a GGUF file, its conversion), or None for a hub id.

    Raises:
        UserError: what is there is no model in safetensors: an adapter, a pickled checkpoint, another folder or file.
    """
    path = locate(name, folder)
    if path is None:
        return None
    if path.suffix == ".gguf":
        return converted_gguf(path)
    if (path / "adapter_config.json").is_file() and not (path / "config.json").is_file():
        text = f"model.name: {path} is the folder of a trained adapter; name it in model.adapter, and here its base"
        raise UserError(text, kind="model")
    if not (path / "config.json").is_file():
        raise UserError(f"model.name: {path} holds no model: it has no config.json", kind="model")
    if not any(name.endswith(".safetensors") for name in os.listdir(path)):
        raise UserError(f"model.name: {path} has no *.safetensors; only safetensors are read", kind="model")
    return path


def context_length(model: Any) -> int | None:
    """The most tokens a model (or its configuration) is made for; None when it does not say."""
    config = getattr(model, "config", model)
    text = config.get_text_config() if hasattr(config, "get_text_config") else config
    names = (*CONTEXT_NAMES, "model_type", "pad_token_id")
    return context_tokens({name: getattr(text, name, None) for name in names})


def dtype_name(model_args: Mapping[str, Any]) -> str:
    """The data type of the weights as `load_model` would choose it here: `float32`, `bfloat16`, `auto`, ..."""
    written = model_args.get("dtype", model_args.get("torch_dtype"))
    return str(_default_dtype() if written is None else written).removeprefix("torch.")


def _arguments(source: ModelSource, stored: Mapping[str, Any]) -> dict[str, Any]:
    import torch

    arguments = {key: value for key, value in source.model_args.items() if key not in OWN_KEYS}
    written = source.model_args.get("dtype", source.model_args.get("torch_dtype"))
    if written is None:
        arguments["dtype"] = _default_dtype()
    else:
        arguments["dtype"] = written if written == "auto" else getattr(torch, written.removeprefix("torch."))
    if source.model_args.get("parallelize"):
        arguments.setdefault("device_map", "auto")
    elif torch.cuda.is_available():
        arguments.setdefault("device_map", {"": torch.cuda.current_device()})
    # Where nothing is said, transformers asks at the terminal.
    arguments[REMOTE_CODE] = runs_remote_code(source.model_args)
    quantization = loading_quantization(source.quantization, stored)
    if quantization is not None:
        arguments["quantization_config"] = quantization
    return arguments


def _default_dtype() -> "torch.dtype":
    import torch

    from sft.models.devices import has_bf16

    return torch.bfloat16 if has_bf16() else torch.float32


def _device_map(source: ModelSource, arguments: Mapping[str, Any], auto_class: Any) -> Any:
    """A placement over all devices that never cuts a module of the classes `no_split_module_classes`."""
    from accelerate import infer_auto_device_map, init_empty_weights
    from accelerate.utils import get_balanced_memory

    kept_whole = list(source.model_args["no_split_module_classes"])
    dtype = arguments["dtype"] if arguments["dtype"] != "auto" else None
    with init_empty_weights():
        model = auto_class.from_config(load_config(source), trust_remote_code=runs_remote_code(source.model_args))
    model.tie_weights()
    memory = get_balanced_memory(model, arguments.get("max_memory"), kept_whole, dtype)
    return infer_auto_device_map(model, memory, kept_whole, dtype)


def _require_quantized(model: "PreTrainedModel") -> None:
    """Refuse a model of which torchao left layers as they were: it only logs that a size does not fit."""
    from torch.nn import Linear

    from sft.models.storages import known_storage

    quantizer: Any = getattr(model, "hf_quantizer", None)
    if quantizer is None or quantizer.quantization_config.quant_method != "torchao" or quantizer.pre_quantized:
        return
    plain = [
        name
        for name, module in model.named_modules()
        if isinstance(module, Linear)
        and getattr(known_storage(module), "name", "") != "torchao"
        and quantizer.param_needs_quantization(model, f"{name}.weight")
    ]
    if plain:
        kind = type(quantizer.quantization_config.quant_type).__name__
        text = f"model.quantization: {kind} leaves layers as they are: {some(plain)}"
        raise UserError(f"{text}; choose a group_size that divides their inputs", kind="model")


def _readable(model: "PreTrainedModel") -> "PreTrainedModel":
    """The model with all its weights stored as asked for, such that they can be read at any time."""
    _require_quantized(model)
    if any(type(module).__module__.startswith("bitsandbytes.") for module in model.modules()):
        from sft.models.layers.bitsandbytes_layers import keep_weights_readable

        keep_weights_readable(model)
    return model


def _explained(source: ModelSource, local: Path | None, error: Exception) -> SftError | None:
    """The error in the project's words; None where it stays as it is."""
    told = reading_error(f"model {source.name!r} cannot be loaded", source.name, local, error)
    if not isinstance(told, UserError):
        return told
    reason = shortened(str(error))
    if REMOTE_CODE in reason and not runs_remote_code(source.model_args):
        return UserError(f"model {source.name!r} {NOT_TRUSTED}", kind="model")
    if isinstance(error, ImportError):
        return MachineError(f"model {source.name!r} needs a package that is not installed: {reason}")
    return told
