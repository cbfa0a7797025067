"""What counts as a number in results that were read from files."""

import math
from typing import Any


def finite_number(value: Any) -> float | None:
    """The value where it is a finite number; None for anything else, a truth value too."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return value if is_number else None
