"""A user's own metric: a function `f(predictions, references)` in a file or module.

    def first_word(predictions: list[str], references: list[str]) -> float: ...
    first_word.higher_is_better = True   # default; False makes boards rank downwards
    first_word.range = (0, 1)            # the least and the largest value, None for no largest; default unknown

It gets the predicted and gold values (of classification) or texts as equally long lists of text, and returns a number,
or a map from names to numbers whose first entry ranks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sft.errors import UserError
from sft.evaluation.metrics.entry import Range
from sft.registry import load


@dataclass(frozen=True)
class OwnResult:
    """What an own metric returned, in which direction it ranks, and the range of its numbers where it says so."""

    value: float | Mapping[str, float]
    higher_is_better: bool
    range: Range | None = None


def own_result_name(name: str) -> str:
    """The function's name, under which its numbers stand."""
    return name.rpartition(":")[2]


def compute_own_metric(name: str, predictions: Sequence[str], references: Sequence[str], folder: Path) -> OwnResult:
    """Call the function behind `file.py:function` or `package.module:function`.

    Raises:
        UserError: it cannot be found, returns something else than numbers or one outside of its range, or has a range
            that is none. What it raises itself passes through.
    """
    function = load({}, name, "metric", folder)
    value = function(list(predictions), list(references))
    numbers = list(value.values()) if isinstance(value, Mapping) else [value]
    if not numbers or not all(_is_number(number) for number in numbers):
        raise UserError(f"metric {name!r} returned {value!r}; it must return a number or a map of numbers")
    return OwnResult(value, bool(getattr(function, "higher_is_better", True)), _range(function, name, numbers))


def _range(function: Any, name: str, numbers: Sequence[Any]) -> Range | None:
    written = getattr(function, "range", None)
    if written is None:
        return None
    try:
        low, high = written
        found = (float(low), None if high is None else float(high))
        is_range = found[1] is None or found[0] < found[1]
    except (TypeError, ValueError):
        is_range = False
    if not is_range:
        raise UserError(f"metric {name!r} has the range {written!r}; write (least, largest), None for no largest")
    for number in map(float, numbers):
        if number < found[0] or (found[1] is not None and number > found[1]):
            raise UserError(f"metric {name!r} returned {number:g}, outside of its range {written!r}; mend one of them")
    return found


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return not isinstance(value, str)
