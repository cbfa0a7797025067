"""Takes credentials out of what is written down: error texts and logs."""

import re
from collections.abc import Mapping, Sequence

from sft.config.secrets import masked

MIN_LENGTH = 8
"""Shorter values are words that stand in any log."""
_NAMES = re.compile(r"TOKEN(?!IZERS)|API_KEY|PASSWORD|SECRET", re.IGNORECASE)
_PLACES = ("_PATH", "_FILE", "_DIR")


def secret_values(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The values of the variables that hold credentials, by their names; the longest first."""
    found = {value for name, value in environment.items() if _holds_secret(name) and len(value) >= MIN_LENGTH}
    return tuple(sorted(found, key=lambda value: (-len(value), value)))


def mask(text: str, secrets: Sequence[str]) -> str:
    """The text with these values, Hugging Face tokens and logins in URLs replaced by `***`."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return masked(text)


def _holds_secret(name: str) -> bool:
    return _NAMES.search(name) is not None and not name.upper().endswith(_PLACES)
