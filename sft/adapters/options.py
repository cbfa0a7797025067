"""Checks of an adapter section before anything starts; torch and peft are not imported."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sft.adapters import adapter_registry
from sft.adapters.method import AdapterMethod, OptionFinding
from sft.registry import load


def check_adapter(method: str, options: Mapping[str, Any], folder: Path) -> list[tuple[str, str]]:
    """Everything wrong with a method's options, as (dotted path within them, message).

    Args:
        method: name of the adapter method.
        options: what stands beside `method`, or under `lora`.
        folder: the folder of the grid or config file, for own code.

    Raises:
        UserError: there is no such method.
    """
    found: list[OptionFinding] = adapter_method(method).check(options, folder)
    return [(finding.path, finding.message) for finding in found]


def check_continued(method: str, options: Mapping[str, Any], adapter: Path) -> list[tuple[str, str]]:
    """What in a method's options disagrees with the trained adapter it starts from, as (dotted path, message).

    Args:
        method: name of the adapter method.
        options: what stands beside `method`, or under `lora`.
        adapter: folder of the trained adapter.

    Raises:
        UserError: there is no such method, or no adapter in the folder.
    """
    found = adapter_method(method).check_continued(options, adapter)
    return [(finding.path, finding.message) for finding in found]


def adapter_method(method: str) -> AdapterMethod:
    """The registry's entry of that name.

    Raises:
        UserError: there is none.
    """
    entry: AdapterMethod = load(adapter_registry, method, "adapter method")
    return entry
