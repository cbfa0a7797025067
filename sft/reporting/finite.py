"""What counts as a number in results that were read from files, and the mean of such numbers."""

import math
from collections.abc import Iterable
from statistics import fmean
from typing import Any


def finite_number(value: Any) -> float | None:
    """The value where it is a finite number; None for anything else, a truth value too."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return value if is_number else None


def finite_numbers(values: Iterable[Any]) -> list[float]:
    """Those of the values that are finite numbers."""
    return [number for value in values if (number := finite_number(value)) is not None]


def mean(values: Iterable[Any]) -> float | None:
    """The mean of those values that are finite numbers, as of the runs that have one; None where there is none."""
    known = finite_numbers(values)
    return fmean(known) if known else None
