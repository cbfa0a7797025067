"""What no value of a config may be: a number that JSON cannot hold, half a character, a secret, an endless nesting."""

import math
from typing import Any, NamedTuple

from sft.config.secrets import ADVICE, is_secret
from sft.wording import LONE_SURROGATE

INTEGER_LIMIT = 2**53
MAX_DEPTH = 100
LABELS = "dataset.labels"


class Problem(NamedTuple):
    """A dotted path and what is wrong there."""

    path: str
    message: str


def value_problems(raw: dict[str, Any]) -> list[Problem]:
    """Problems of single values anywhere in a raw config; the words of labels may look like secrets."""
    problems: list[Problem] = []
    waiting: list[tuple[str, str | None, Any, int]] = [("", None, raw, 0)]
    while waiting:
        path, key, value, depth = waiting.pop()
        labels = path == LABELS or path.startswith(LABELS + ".")
        problem = _problem(key, value, depth, may_look_secret=labels)
        if problem:
            problems.append(Problem(path, problem))
        elif type(value) is dict:
            prefix = path + "." if path else ""
            waiting += [(f"{prefix}{name}", name, item, depth + 1) for name, item in value.items()]
        elif type(value) is list:
            waiting += [(f"{path}.{index}", None, item, depth + 1) for index, item in enumerate(value)]
    return sorted(problems)


def _problem(key: str | None, value: Any, depth: int, may_look_secret: bool) -> str | None:
    kind = type(value)
    if not may_look_secret and is_secret(key, value):
        return ADVICE
    if kind is str:
        return _half_character(value)
    if kind is bool or value is None:
        return None
    if kind is int:
        if -INTEGER_LIMIT < value < INTEGER_LIMIT:
            return None
        shown = str(value) if value.bit_length() < 200 else "a longer one"
        return f"integers must lie between -2^53 and 2^53, where JSON numbers are exact, got {shown}"
    if kind is float:
        return None if math.isfinite(value) else f"must be a finite number, got {value}"
    if kind is not dict and kind is not list:
        return f"must be a JSON value, got {kind.__name__}"
    if kind is dict and not all(type(name) is str for name in value):
        return "must have text keys only"
    if kind is dict and (half := _half_character("".join(value))):
        return f"has a key that {half}"
    return "is nested too deeply" if depth > MAX_DEPTH else None


def _half_character(text: str) -> str | None:
    half = LONE_SURROGATE.search(text)
    if half is None:
        return None
    return (
        f"holds \\u{ord(half[0]):04x}, half of a character (a lone surrogate), which no tokenizer takes; take it out"
    )
