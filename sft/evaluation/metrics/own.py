"""A user's own metric: a function `f(predictions, references)` in a file or module.

    def first_word(predictions: list[str], references: list[str]) -> float: ...
    first_word.higher_is_better = True   # default; False makes boards rank downwards
    first_word.per_row = first_words     # of the same arguments: a number per row, whose mean is the metric
    first_word.range = (0, 1)            # the least and the largest value, None for no largest; default unknown

It gets the predicted and gold values (of classification) or texts as equally long lists of text, and returns a number,
or a map from names to numbers whose first entry ranks.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sft.evaluation.metrics.entry import SAME_NUMBER, Range
from sft.exceptions import UserError
from sft.registry import load

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class OwnResult:
    """What an own metric returned and says of itself.

    Attributes:
        value: a number, or numbers by name.
        higher_is_better: in which direction they rank.
        range: of them; None where it does not say.
        per_row: a number per row whose mean is the value, truth values where all are 0 or 1; None where it has none.
    """

    value: float | Mapping[str, float]
    higher_is_better: bool
    range: Range | None = None
    per_row: "NDArray[Any] | None" = None


def own_result_name(name: str) -> str:
    """The function's name, under which its numbers stand."""
    return name.rpartition(":")[2]


def compute_own_metric(name: str, predictions: Sequence[str], references: Sequence[str], folder: Path) -> OwnResult:
    """Call the function behind `file.py:function` or `package.module:function`.

    Raises:
        UserError: it cannot be found, returns something else than numbers or one outside of its range, has a range
            that is none, or numbers per row that are not as many as the rows or have another mean. What it raises
            itself passes through.
    """
    function = load({}, name, "metric", folder)
    value = function(list(predictions), list(references))
    numbers = list(value.values()) if isinstance(value, Mapping) else [value]
    if not numbers or not all(_is_number(number) for number in numbers):
        raise UserError(f"metric {name!r} returned {value!r}; it must return a number or a map of numbers")
    per_row = getattr(function, "per_row", None)
    return OwnResult(
        value,
        bool(getattr(function, "higher_is_better", True)),
        _range(function, name, numbers),
        None
        if per_row is None
        else _row_values(name, value, per_row(list(predictions), list(references)), references),
    )


def _row_values(name: str, value: Any, given: Any, references: Sequence[str]) -> "NDArray[Any]":
    import numpy as np

    said = f"metric {name!r}: per_row"
    if isinstance(value, Mapping):
        raise UserError(f"{said} is for a metric of one number, and it returned {value!r}; split it into several")
    try:
        values = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        values = np.array(np.nan)
    if values.shape != (len(references),) or not np.isfinite(values).all():
        raise UserError(
            f"{said} must return one finite number for each of the {len(references)} rows, not {given!r:.60}"
        )
    mean = float(values.mean())
    if abs(mean - float(value)) > SAME_NUMBER * max(1.0, abs(float(value))):
        raise UserError(f"{said} has the mean {mean:.9g}, and the metric is {float(value):.9g}; they must be equal")
    return values == 1 if np.isin(values, (0, 1)).all() else values


def _range(function: Any, name: str, numbers: Sequence[Any]) -> Range | None:
    written = getattr(function, "range", None)
    if written is None:
        return None
    try:
        low, high = written
        found = (float(low), None if high is None else float(high))
        ends = [end for end in found if end is not None]
        is_range = all(map(math.isfinite, ends)) and sorted(set(ends)) == ends
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
