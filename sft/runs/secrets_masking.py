"""Takes credentials out of what is written down: error texts and logs."""

import re
from collections.abc import Mapping, Sequence

from sft.config.secrets import masked

MIN_LENGTH = 8
"""Shorter values are words that stand in any log."""
_NAMES = re.compile(
    r"TOKEN(?!S|IZER)|(?:API|ACCESS|PRIVATE|SECRET)_?KEY|(?:^|_)KEY$|PASSW|PASSPHRASE|SECRET|CREDENTIAL",
    re.IGNORECASE,
)
_PLACES = ("_PATH", "_FILE", "_DIR")


def secret_values(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The values of the variables that hold credentials, by their names; the longest first."""
    found = {value for name, value in environment.items() if holds_secret(name) and len(value) >= MIN_LENGTH}
    return tuple(sorted(found, key=lambda value: (-len(value), value)))


def mask(text: str, secrets: Sequence[str]) -> str:
    """The text with these values, Hugging Face tokens and logins in URLs replaced by `***`."""
    text = masked(text)
    for secret in secrets:
        text = text.replace(secret, "***")
    return text


def holds_secret(name: str) -> bool:
    """Whether a variable of this name holds a credential."""
    return _NAMES.search(name) is not None and not name.upper().endswith(_PLACES)
