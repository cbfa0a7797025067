"""How times, counts, names and paths are written for people."""

import re
from collections.abc import Sequence
from pathlib import Path

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_KILO = 1000
_NUMBERS = re.compile(r"\d+(?:[.,]\d+)*(?:e[+-]?\d+)?")
EXACT_BELOW = 10.0
"""Seconds below which a tenth is worth telling."""


def duration(seconds: float) -> str:
    """A time as one or two units: `3.2 s`, `45 s`, `12 min 5 s`, `2 h 13 min`, `3 d 4 h`."""
    if seconds < EXACT_BELOW:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for size, unit, part_size, part_unit in (
        (_DAY, "d", _HOUR, "h"),
        (_HOUR, "h", _MINUTE, "min"),
        (60, "min", 1, "s"),
    ):
        if whole >= size:
            part = whole % size // part_size
            return f"{whole // size} {unit}" + (f" {part} {part_unit}" if part else "")
    return f"{whole} s"


def clock(seconds: float) -> str:
    """A time in a narrow column: `12.3`, `4:05`, `1:02:03`."""
    return f"{seconds:.1f}" if seconds < _MINUTE else whole_clock(seconds)


def whole_clock(seconds: float) -> str:
    """A time in whole seconds: `0:09`, `4:05`, `1:02:03`."""
    minutes, rest = divmod(round(seconds), _MINUTE)
    hours, minutes = divmod(minutes, _MINUTE)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def counted(number: int, noun: str) -> str:
    """A number with its noun, `1 stage` or `2 stages`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def some(names: Sequence[str], shown: int = 5) -> str:
    """The first names, and how many more there are."""
    text = ", ".join(one_line(name) for name in names[:shown])
    return f"{text} and {len(names) - shown} more" if len(names) > shown else text


def first_of(names: Sequence[str]) -> str:
    """The first name, and how many more there are."""
    return names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else "")


def without_numbers(text: str) -> str:
    """The text with every number alike: reasons that differ in a step or a size are the same reason."""
    return _NUMBERS.sub("0", text)


def one_line(text: str) -> str:
    """The text without what would break a line or steer a terminal; names and messages may hold anything."""
    return "".join(character if character.isprintable() else " " for character in text).strip()


def shown_path(path: Path) -> str:
    """The path as a person in this working directory would write it."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def size_text(n_bytes: float) -> str:
    """An amount of data: `12 bytes`, `3.4 kB`, `1.2 GB`."""
    if n_bytes < _KILO:
        return counted(round(n_bytes), "byte")
    for unit in ("kB", "MB", "GB"):
        n_bytes /= _KILO
        if n_bytes < _KILO:
            return f"{n_bytes:.1f} {unit}"
    return f"{n_bytes / _KILO:.1f} TB"
