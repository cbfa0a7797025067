"""A user's own metric: a function `f(predictions, references)` in a file or module.

    def first_word(predictions: list[str], references: list[str]) -> float: ...
    first_word.higher_is_better = True   # default; False makes boards rank downwards

It gets the predicted and gold values (of classification) or texts as equally long lists of text, and returns a number,
or a map from names to numbers whose first entry ranks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sft.errors import UserError
from sft.registry import load


@dataclass(frozen=True)
class OwnResult:
    """What an own metric returned, and in which direction it ranks."""

    value: float | Mapping[str, float]
    higher_is_better: bool


def own_result_name(name: str) -> str:
    """The function's name, under which its numbers stand."""
    return name.rpartition(":")[2]


def compute_own_metric(name: str, predictions: Sequence[str], references: Sequence[str], folder: Path) -> OwnResult:
    """Call the function behind `file.py:function` or `package.module:function`.

    Raises:
        UserError: it cannot be found, or returns something else than numbers. What it raises itself passes through.
    """
    function = load({}, name, "metric", folder)
    value = function(list(predictions), list(references))
    numbers = value.values() if isinstance(value, Mapping) else [value]
    if not numbers or not all(_is_number(number) for number in numbers):
        raise UserError(f"metric {name!r} returned {value!r}; it must return a number or a map of numbers")
    return OwnResult(value, bool(getattr(function, "higher_is_better", True)))


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return not isinstance(value, str)
