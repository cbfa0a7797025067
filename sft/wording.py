"""How times, counts, sizes, settings, names and paths are written for people, and which texts look alike to them."""

import json
import re
import unicodedata
from collections.abc import Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

_MINUTE, _HOUR, _DAY = 60, 3600, 86400

_KILO = 1000

_NUMBERS = re.compile(r"\d+(?:[.,]\d+)*(?:e[+-]?\d+)?")

EXACT_BELOW = 10.0
"""Seconds below which a tenth is worth telling."""

UNSET = "none"

LONGEST_CELL = 60
"""Characters of a setting's value in a table."""

_BEFORE = 20
"""Characters that are shown of what comes before a difference."""

GIB = 1 << 30
"""Bytes."""

LONE_SURROGATE = re.compile("[\ud800-\udfff]")
"""Half of a character, as `\\ud83d` in JSON: no encoding and no tokenizer takes it."""

_LOOK_LATIN = str.maketrans(
    # Letters that common fonts draw as Latin ones (Unicode TR 39, confusables.txt): Cyrillic, Greek, Armenian.
    "АВЕЅІЈКМНОРСТУХасеѕіјкорухһԁԛԝ" + "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧαικορυνϳ" + "օսհոԼՏ",
    "ABESIJKMHOPCTYXacesijkopyxhdqw" + "ABEZHIKMNOPTYXaikopuvj" + "ouhnLS",
)

_NO_WIDTH = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
"""Fillers and selectors of a variant, which Unicode counts among letters and marks and fonts draw as nothing."""


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
    """The first names, and how many more there are: `a, b and 3 more`."""
    return ", ".join(one_line(name) for name in names[:shown]) + and_more(len(names), shown)


def and_more(total: int, shown: int) -> str:
    """` and 3 more` after the `shown` of `total` things; nothing where all of them are shown."""
    return f" and {total - shown} more" if total > shown else ""


def without_numbers(text: str) -> str:
    """The text with every number alike: reasons that differ in a step or a size are the same reason."""
    return _NUMBERS.sub("0", text)


_CUT_OUT = " […] "

FORMULA_MARKS = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What a spreadsheet takes for the beginning of a formula, or trims so that one begins the cell."""


def spreadsheet_text(text: str) -> str:
    """The text with an apostrophe in front where a spreadsheet would run it as a formula."""
    return f"'{text}" if text.startswith(FORMULA_MARKS) else text


def both_ends(text: str, most: int) -> str:
    """A text of at most so many characters, from both of its ends where it has more."""
    if len(text) <= most:
        return text
    half = (most - len(_CUT_OUT)) // 2
    return f"{text[:half]}{_CUT_OUT}{text[-half:]}"


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


def plain_text(value: Any) -> str:
    """A setting's value in one cell: null as `none`, a list with commas, long texts cut."""
    return _cut(_text(value, "g"))


def whole_text(value: Any) -> str:
    """A setting's value at its full length."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else _text(value, "g")


def distinct_texts(values: Sequence[Any]) -> list[str]:
    """Each value as `plain_text`, but unequal values as unequal texts.

    Long texts that begin alike are cut around the place where they differ: `…in one word`, `…in one sentence`.

    Args:
        values: of one setting, as JSON has them.
    """
    keys = [value if type(value) in (int, float) else json.dumps(value, sort_keys=True) for value in values]
    distinct = dict(zip(keys, values, strict=True))
    texts = {key: _text(value, "g") for key, value in distinct.items()}
    for group in _alike(texts):
        texts |= {key: _text(distinct[key], "") for key in group}
    if _alike(texts):
        texts = {key: json.dumps(value, sort_keys=True) for key, value in distinct.items()}
    cuts = _distinct_cuts(texts, 0)
    return [cuts[key] for key in keys]


def _text(value: Any, float_form: str) -> str:
    if value is None:
        return UNSET
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ", ".join(_text(item, float_form) for item in value)
    return format(value, float_form) if isinstance(value, float) else str(value)


def _alike(texts: Mapping[Hashable, str]) -> list[list[Hashable]]:
    """Keys that have the same text."""
    found: dict[str, list[Hashable]] = {}
    for key, text in texts.items():
        found.setdefault(text, []).append(key)
    return [keys for keys in found.values() if len(keys) > 1]


def distinct_cuts(texts: Sequence[str], most: int) -> list[str]:
    """Texts of at most `most` characters; unlike ones stay unlike, as in `distinct_texts`."""
    cuts = _distinct_cuts({text: text for text in texts}, 0, most)
    return [cuts[text] for text in texts]


def _distinct_cuts(texts: Mapping[Hashable, str], start: int, most: int = LONGEST_CELL) -> dict[Hashable, str]:
    """Unlike cuts of unlike texts that are equal up to `start`."""
    cuts = {key: _cut(text, start, most) for key, text in texts.items()}
    for keys in _alike(cuts):
        own = {key: texts[key] for key in keys}
        places = (place for place, found in enumerate(zip(*own.values(), strict=False)) if len(set(found)) > 1)
        cuts |= _distinct_cuts(own, next(places, min(map(len, own.values()))), most)
    return cuts


def _cut(text: str, start: int = 0, most: int = LONGEST_CELL) -> str:
    """What fits a cell, from the beginning or from a word shortly before `start`."""
    begin = max(0, start - _BEFORE)
    begin = max(begin, text.find(" ", begin, start) + 1)
    shown = f"…{text[begin:]}" if begin else text
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"


def normalised(text: str) -> str:
    """The text without differences of case, Unicode form and white space."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(unicodedata.normalize("NFKC", folded).split())


def as_seen(text: str) -> str:
    """A form that texts share where the eye cannot tell them apart, case aside (see `normalised`).

    Differences of Unicode form, white space, characters without width, and letters of other scripts that look Latin
    are gone.
    """
    drawn = "".join(
        character
        for character in _NO_WIDTH.sub("", text)
        if character.isspace() or unicodedata.category(character) not in ("Cf", "Cc")
    )
    latin = unicodedata.normalize("NFKC", drawn).translate(_LOOK_LATIN)
    return " ".join(unicodedata.normalize("NFKC", latin).split())


def quoted(text: str) -> str:
    """The text in quotes, what cannot be seen as escapes; accents that stand apart from their letters as well."""
    return repr(text) if unicodedata.is_normalized("NFC", text) else ascii(text)


def shown(name: str) -> str:
    """A name in a list of names: as it is, or in quotes where its end or a part of it could not be seen."""
    plain = name and name == quoted(name)[1:-1] and name == name.strip() and "," not in name
    return name if plain else quoted(name)


def listed(names: Iterable[str]) -> str:
    """Names one after the other, as `shown`."""
    return ", ".join(shown(name) for name in names)


def p_text(p: float) -> str:
    """A p-value in three digits."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def json_kind(value: Any) -> str:
    """What kind of JSON value it is, for a message: an object, a list, text, true or false, null, a number."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    return {str: "text", bool: "true or false", type(None): "null"}.get(type(value), "a number")
