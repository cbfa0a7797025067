"""Which initialisers a method of PEFT takes, and how one of them begins its adapter."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sft.adapters.lora.initialization import KEY, InitChoice, check_initialization
from sft.adapters.method import OptionFinding, initialiser_methods
from sft.adapters.peft.row import Beginning, PeftRow
from sft.registry import import_object, load, unknown_name

OPTIONS = re.compile(r"init_(?:\w+_)?weights")
"""What PEFT's classes call the option that says how an adapter begins."""


def named_initialiser(row: PeftRow, options: Mapping[str, Any]) -> dict[str, str]:
    """The option that names an initialiser, and what it says; empty where PEFT begins the adapter."""
    option = "" if row.beginning is None else row.beginning.option
    written = options.get(option)
    return {option: written} if isinstance(written, str) else {}


def begun_by_peft(row: PeftRow, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options without the one that names an initialiser."""
    named = named_initialiser(row, options)
    return {key: value for key, value in options.items() if key not in named}


def check_initialisers(row: PeftRow, options: Mapping[str, Any], folder: Path) -> list[OptionFinding]:
    """Initialisers that a method does not take; own code is parsed, never imported."""
    if row.beginning is not None:
        named = named_initialiser(row, options)
        return [finding for name in named.values() for finding in _check(row.name, row.beginning, name, folder)]
    return [
        OptionFinding(key, f"{value!r}: {row.name} takes no initialiser; these do: {initialiser_methods()}")
        for key, value in options.items()
        if OPTIONS.fullmatch(key) and isinstance(value, str) and InitChoice.of(value).kind in ("ours", "own")
    ]


def begin(model: Any, beginning: Beginning, name: str, folder: Path) -> None:
    """Fill the adapter of a freshly attached `PeftModel` as an initialiser says.

    Args:
        model: before its first step; it computes the same afterwards.
        beginning: of the model's method.
        name: of the initialiser, or own code.
        folder: the folder of the grid or config file, for own code.

    Raises:
        UserError: the initialiser does not fit a layer.
    """
    from sft.initialization.directions import begin_directions
    from sft.initialization.initializers import initializer_registry

    initializer = load(initializer_registry, name, "initialiser", folder)
    begin_directions(model, initializer, name, import_object(beginning.fill))


def _check(method: str, beginning: Beginning, name: str, folder: Path) -> list[OptionFinding]:
    choice = InitChoice.of(name)
    if choice.kind == "own" or name in beginning.names:
        return [OptionFinding(beginning.option, message) for _, message in check_initialization({KEY: name}, folder)]
    if choice.kind == "unknown":
        told = unknown_name("initialiser", name, [*beginning.names, "true"])
        return [OptionFinding(beginning.option, f"{told}, or your own file.py:function")]
    reason = beginning.not_others if choice.kind == "ours" else "it is PEFT's, for lora and dora"
    taken = f"{method} takes {', '.join(beginning.names)}, true, or your own file.py:function"
    return [OptionFinding(beginning.option, f"{name!r} is refused: {reason}; {taken}")]
