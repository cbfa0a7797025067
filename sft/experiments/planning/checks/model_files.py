"""What the files of a model and of a trained adapter tell before any of them is loaded; nothing heavy is imported."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sft.adapters.method import OF_THE_TRAINED
from sft.adapters.saving import adapter_fault
from sft.adapters.virtual_tokens import KEY, context_fault, planned_virtual_tokens
from sft.config.experiment import ExperimentConfig
from sft.config.findings import PathMessage
from sft.config.model import ModelConfig
from sft.exceptions import UserError
from sft.models.config_file import context_tokens, local_config
from sft.models.reading import model_fault
from sft.models.references import locate

ELSEWHERE = ("subfolder", "variant", "transformers_weights")
"""Arguments of `from_pretrained`, the last also a key of `config.json`, under which other files are read than those of
the usual names at the top of the folder."""


def known_config(name: str, folder: Path) -> Mapping[str, Any]:
    """What the `config.json` of a local model says; empty of a hub id, and where there is nothing of that name.

    Args:
        name: of the model.
        folder: what local paths are relative to.
    """
    try:
        local = locate(name, folder)
    except UserError:
        return {}
    return {} if local is None else local_config(local)


def file_findings(model: ModelConfig, folder: Path) -> list[PathMessage]:
    """A name that means nothing, weights that are cut or not all there, and a folder that holds no whole adapter.

    Args:
        model: the section of the config.
        folder: what local paths are relative to.
    """
    faults = {"model.name": _fault_of_the_model(model, folder)}
    if model.adapter is not None:
        faults[OF_THE_TRAINED] = _fault_of_the_adapter(model.adapter, folder)
    return [(path, fault) for path, fault in faults.items() if fault is not None]


def virtual_token_findings(config: ExperimentConfig, folder: Path) -> list[PathMessage]:
    """Virtual tokens that leave nothing of the model's context, where its `config.json` tells of one.

    Args:
        config: an experiment of which neither the adapter nor the model's files are at fault.
        folder: what local paths are relative to.
    """
    known = {**known_config(config.model.name, folder), **config.model.model_args}
    context = context_tokens(known)
    fault = None if context is None else context_fault(context, planned_virtual_tokens(config, folder))
    path = f"{config.adapter_section}.{KEY}" if config.model.adapter is None else OF_THE_TRAINED
    return [] if fault is None else [(path, fault)]


def _fault_of_the_model(model: ModelConfig, folder: Path) -> str | None:
    try:
        local = locate(model.name, folder)
    except UserError as error:
        return str(error)
    told = {**known_config(model.name, folder), **model.model_args}
    lies_elsewhere = any(told.get(key) for key in ELSEWHERE)
    return None if local is None or lies_elsewhere else model_fault(local)


def _fault_of_the_adapter(name: str, folder: Path) -> str | None:
    try:
        return adapter_fault(name, folder)
    except UserError as error:
        return str(error).removeprefix(f"{OF_THE_TRAINED}: ")
