"""Which initialisers a method of PEFT takes, and how one of them begins its adapter."""

import ast
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sft.adapters.lora.initialization import KEY, InitChoice, check_initialization
from sft.adapters.method import OptionFinding, initialiser_methods
from sft.adapters.peft.row import Beginning, PeftRow
from sft.exceptions import UserError
from sft.initialization.initializers import needed_by
from sft.registry import import_object, is_own_code, load, own_code_tree, unknown_name

LOOKING_AT_ROWS = ("eva",)
"""The project's initialisers that look at training rows."""
NO_ROWS = "it looks at training rows, and this method begins from the weights alone"

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
        if options.get(row.beginning.option) is False:
            text = "false: refused: the change would not begin at 0, and the model be another before the first step"
            return [OptionFinding(row.beginning.option, text)]
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
        UserError: the initialiser does not fit a layer, or looks at training rows.
    """
    from sft.initialization.directions import begin_directions
    from sft.initialization.factors import needs_of
    from sft.initialization.initializers import initializer_registry

    initializer = load(initializer_registry, name, "initialiser", folder)
    if needs_of(initializer) is not None:
        raise UserError(f"adapter.{beginning.option}: {name!r} is refused: {NO_ROWS}")
    begin_directions(model, initializer, name, import_object(beginning.fill))


def _check(method: str, beginning: Beginning, name: str, folder: Path) -> list[OptionFinding]:
    choice = InitChoice.of(name)
    if choice.kind == "unknown":
        told = unknown_name("initialiser", name, [*beginning.names, "true"])
        return [OptionFinding(beginning.option, f"{told}, or your own file.py:function")]
    if choice.kind == "own" or name in beginning.names:
        found = [message for _, message in check_initialization({KEY: name}, folder)]
        if found or not _looks_at_rows(name, folder):
            return [OptionFinding(beginning.option, message) for message in found]
    reason = beginning.not_others if choice.kind == "ours" else "it is PEFT's, for lora and dora"
    reason = NO_ROWS if choice.kind == "own" or name in LOOKING_AT_ROWS else reason
    taken = f"{method} takes {', '.join(beginning.names)}, true, or your own file.py:function"
    return [OptionFinding(beginning.option, f"{name!r} is refused: {reason}; {taken}")]


def _looks_at_rows(name: str, folder: Path) -> bool:
    """Whether own code that is sound says that it needs something of the training rows."""
    function = name.rpartition(":")[2]
    for node in own_code_tree(name, folder).body if is_own_code(name) else []:
        if isinstance(node, ast.FunctionDef) and node.name == function:
            return needed_by(node) is not None
    return False
