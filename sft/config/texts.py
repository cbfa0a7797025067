"""Texts as people see them: which ones look alike, and how a name is shown so that all of it can be seen."""

import re
import unicodedata
from collections.abc import Iterable
from typing import Any

LONE_SURROGATE = re.compile("[\ud800-\udfff]")
"""Half of a character, as `\\ud83d` in JSON: no encoding and no tokenizer takes it."""

_LOOK_LATIN = str.maketrans(
    # Letters that common fonts draw as Latin ones (Unicode TR 39, confusables.txt): Cyrillic, Greek, Armenian.
    "АВЕЅІЈКМНОРСТУХасеѕіјкорухһԁԛԝ" + "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧαικορυνϳ" + "օսհոԼՏ",
    "ABESIJKMHOPCTYXacesijkopyxhdqw" + "ABEZHIKMNOPTYXaikopuvj" + "ouhnLS",
)
_NO_WIDTH = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
"""Fillers and selectors of a variant, which Unicode counts among letters and marks and fonts draw as nothing."""


def normalised(text: str) -> str:
    """The text without differences of case, Unicode form and white space."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(unicodedata.normalize("NFKC", folded).split())


def as_seen(text: str) -> str:
    """A form that texts share where the eye cannot tell them apart, case aside (see `normalised`).

    Differences of Unicode form, white space, characters without width, and letters of other scripts that look Latin
    are gone.
    """
    drawn = "".join(character for character in _NO_WIDTH.sub("", text) if not _is_invisible(character))
    latin = unicodedata.normalize("NFKC", drawn).translate(_LOOK_LATIN)
    return " ".join(unicodedata.normalize("NFKC", latin).split())


def _is_invisible(character: str) -> bool:
    return unicodedata.category(character) in ("Cf", "Cc") and not character.isspace()


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


def json_kind(value: Any) -> str:
    """What kind of JSON value it is, for a message: an object, a list, text, true or false, null, a number."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    return {str: "text", bool: "true or false", type(None): "null"}.get(type(value), "a number")
