"""Whether options of PEFT's methods fit the sizes of the layers they go to, by the rules that rows of the table name.

PEFT asks the same of each layer while it builds the adapter, after the model was loaded.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

from sft.adapters.layer_sizes import MOST_CANDIDATES, Sizes, ranks_of
from sft.adapters.method import OptionFinding
from sft.adapters.peft.row import Bound, PeftRow, SizeRule
from sft.config.library.defaults import dataclass_defaults
from sft.wording import counted

BOUNDS: Mapping[Bound, tuple[str, Callable[[int, int], int]]] = {
    "inputs": ("its inputs", lambda outputs, inputs: inputs),
    "weights": ("its weights", lambda outputs, inputs: outputs * inputs),
    "weights_by_sides": (
        "its weights over the sum of its outputs and inputs",
        lambda outputs, inputs: outputs * inputs // (outputs + inputs),
    ),
}
"""What bounds an option: in words, and its value on a layer of so many outputs and inputs."""


def size_findings(
    row: PeftRow, options: Mapping[str, Any], sizes: Sizes, blocks: int | None = None
) -> list[OptionFinding]:
    """The options that do not fit a model, with what would.

    Args:
        row: of the method.
        options: as written.
        sizes: of the layers that get an adapter; none where they are not known.
        blocks: how many blocks the model has; None where that is not known.
    """
    written = {key: value for key, value in options.items() if value is not None}
    known = {**_defaults(row, written), **written}
    faults = [(rule.option, _fault(rule, known, sizes)) for rule in row.sizes]
    found = [OptionFinding(option, fault) for option, fault in faults if fault is not None]
    for option, fit in row.fitted.items():
        if fit == "blocks" and blocks is not None and written.get(option, 0) > blocks:
            text = (
                f"{written[option]}: the model has {counted(blocks, 'block')}; write {blocks} or less, or leave it out"
            )
            found.append(OptionFinding(option, text))
    return found


def _defaults(row: PeftRow, written: Mapping[str, Any]) -> dict[str, Any]:
    """What holds where nothing is written, without what is made to fit the model."""
    left_out = {*row.fitted, *(rule.option for rule in row.sizes if rule.is_adjusted)}
    if row.either and any(written.get(key) for key in row.either):
        left_out |= set(row.either)
    known = {**dataclass_defaults(row.config), **row.defaults}
    return {key: value for key, value in known.items() if key not in left_out}


def _fault(rule: SizeRule, options: Mapping[str, Any], sizes: Sizes) -> str | None:
    value = options.get(rule.option)
    if not value or (rule.where is not None and options.get(rule.where[0]) != rule.where[1]):
        return None
    patterns = options.get(rule.pattern) if rule.pattern else None
    values = ranks_of({"r": value, "rank_pattern": patterns}, sizes, value)
    if rule.at_most is not None:
        return _above(values, sizes, *BOUNDS[rule.at_most])
    return _indivisible(rule, value, values, options, sizes)


def _above(values: Mapping[str, int], sizes: Sizes, words: str, bound: Callable[[int, int], int]) -> str | None:
    """Values by layer above what bounds them."""
    bounds = {name: bound(*sizes[name]) for name in values}
    name = next((name for name, value in values.items() if value > bounds[name]), None)
    if name is None:
        return None
    text = f"{values[name]}, above the {bounds[name]} that layer {name} can take ({words})"
    return f"{text}; the largest for all layers is {min(bounds.values())}"


def _indivisible(
    rule: SizeRule, value: int, values: Mapping[str, int], options: Mapping[str, Any], sizes: Sizes
) -> str | None:
    """Values by layer that do not divide the sides of their layer, or another option."""
    sides = {
        f"the {length} {side} of layer {name}": (values[name], length)
        for name in values
        for side, length in zip(("outputs", "inputs"), sizes[name], strict=True)
        if side in rule.divides
    }
    other = options.get(rule.divides_option) if rule.divides_option else None
    if other:
        sides = {f"{rule.divides_option}, {other}": (value, other), **sides}
    fits = _fitting(math.gcd(*(length for _, length in sides.values())), value, rule.is_even)
    if rule.is_even and value % 2:
        return f"{value}: must be even{fits}"
    wrong = next((what for what, (size, length) in sides.items() if length % size), None)
    return None if wrong is None else f"{sides[wrong][0]}: does not divide {wrong}{fits}"


def _fitting(common: int, value: int, is_even: bool) -> str:
    """The divisors of a number that are nearest to a value, in words; nothing where the number is 0."""
    divisors = [size for size in range(1, common + 1) if common % size == 0 and not (is_even and size % 2)]
    nearest = sorted(sorted(divisors, key=lambda size: abs(size - value))[:MOST_CANDIDATES])
    return f"; for all layers these fit: {', '.join(map(str, nearest))}" if nearest else ""
