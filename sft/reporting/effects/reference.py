"""Which value of an axis the others are compared with."""

import re
from collections.abc import Hashable, Sequence

from sft.reporting.effects.axis import AxisValue
from sft.reporting.setting_differences import SECTION, value_key
from sft.reporting.settings import default_settings

_NUMBERED = re.compile(r"(\D*)(\d+(?:\.\d+)?)(\D*)", re.ASCII)
_AS_UNWRITTEN = {"adapter.method": "none", "inference.calibration_args.calibration_fn": "none", "dataset.shots": 0}
"""Values that say the same as a section left out; no shots are what the fewest are."""


def reference_of(values: Sequence[AxisValue], defaults: Sequence[Hashable]) -> Hashable:
    """The default where it is among them, else the smallest number, else the first.

    Args:
        values: at least one, in the grid's order.
        defaults: keys of those that say what a config has where nothing is written; the first is taken.
    """
    if defaults:
        return defaults[0]
    numbers = {value.key: number for value in values if (number := _plain_number(value)) is not None}
    if not numbers:
        numbers = _numbers_in_texts(values)
    return min(numbers, key=lambda key: numbers[key]) if numbers else values[0].key


def is_default(path: str, key: Hashable) -> bool:
    """Whether a setting is what a config has where nothing is written."""
    if key is None:
        return True
    if key == SECTION:  # an adapter that trains nothing is told by its method
        return path == "adapter" or any(other.startswith(f"{path}.") for other in default_settings())
    return key == _AS_UNWRITTEN.get(path, value_key(default_settings().get(path)))


def _plain_number(value: AxisValue) -> float | None:
    written = value.written
    return written if isinstance(written, int | float) and not isinstance(written, bool) else None


def _numbers_in_texts(values: Sequence[AxisValue]) -> dict[Hashable, float]:
    """Numbers of texts that are alike but for them, such as `r8` and `r16`; nothing where one is not."""
    found = {value.key: _NUMBERED.fullmatch(value.text) for value in values}
    around = {match and (match[1], match[3]) for match in found.values()}
    if len(around) > 1:
        return {}
    return {key: float(match[2]) for key, match in found.items() if match}
