"""Options of PEFT's methods whose default does not fit every model, made to fit the one that is there."""

import math
import re
from collections.abc import Mapping
from itertools import chain
from typing import Any

from sft.adapters.lora.targets import ALL_LINEAR, text_layers
from sft.adapters.peft.row import PeftRow
from sft.config.library.defaults import dataclass_defaults

SIDES = (("out_features", "in_features"), ("nf", "nx"))
"""What layers call their outputs and inputs; the second is GPT-2's."""


def fitted_options(model: Any, row: PeftRow, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a row that are not written, as its table says that they fit.

    Args:
        model: the loaded base model.
        row: of the method.
        options: what is written and what targets are taken.
    """
    missing = [key for key in row.fitted if key not in options]
    return {key: _fitted(model, row, key, options) for key in missing}


def _fitted(model: Any, row: PeftRow, key: str, options: Mapping[str, Any]) -> int | str | None:
    if row.fitted[key] == "tokenizer":
        return str(model.config.name_or_path) if options.get("prompt_tuning_init") == "TEXT" else None
    if row.fitted[key] == "blocks":
        return int(model.config.get_text_config().num_hidden_layers)
    step = 2 if row.fitted[key] == "even_divisor" else 1
    shared = math.gcd(*chain(*target_sizes(model, options).values()))
    most = int(dataclass_defaults(row.config)[key])
    return next((size for size in range(most, 0, -1) if shared % size == 0 and size % step == 0), most)


def target_sizes(model: Any, options: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """Outputs and inputs of the layers that are targets, by name; those that are taken out again are among them.

    Args:
        model: the loaded base model.
        options: of a method, with `target_modules`.
    """
    targets = options["target_modules"]
    linear = text_layers(model, options.get("task_type")) if targets == ALL_LINEAR else ()
    pattern = targets if isinstance(targets, str) else rf"(?:.*\.)?(?:{'|'.join(map(re.escape, targets))})"
    found = {}
    for name, layer in model.named_modules():
        if name in linear or (not linear and re.fullmatch(pattern, name)):
            known = vars(layer)
            sides = next((sides for sides in SIDES if sides[0] in known), None)
            if sides is not None:
                found[name] = (known[sides[0]], known[sides[1]])
    return found
