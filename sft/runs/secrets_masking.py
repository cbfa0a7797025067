"""Takes credentials out of what is written down: error texts and logs."""

import json
import re
from collections.abc import Mapping, Sequence

from sft.config.secrets import masked

MIN_LENGTH = 8
"""Shorter values are words that stand in any log."""
_NAMES = re.compile(
    r"TOKEN(?!S|IZER)|(?:API|ACCESS|PRIVATE|SECRET)_?KEY|(?:^|_)KEY$|PASSW|PASSPHRASE|SECRET|CREDENTIAL",
    re.IGNORECASE,
)
_URL_PASSWORD = re.compile(r"://[^/\s:@]*:([^/\s@]+)@")
_PLACES = ("_PATH", "_FILE", "_DIR")


def secret_values(environment: Mapping[str, str]) -> tuple[str, ...]:
    """What shows a credential that a variable holds, the longest first.

    The values of variables with such names, also as Python and JSON write them and line by line, as logs are read; and
    the passwords in URLs of any variable.
    """
    found = {value for name, value in environment.items() if holds_secret(name)}
    found |= {password for value in environment.values() for password in _URL_PASSWORD.findall(value)}
    found |= {repr(value)[1:-1] for value in found} | {json.dumps(value)[1:-1] for value in found}
    found |= {line for value in found for line in value.splitlines()}
    return tuple(sorted((part for part in found if len(part) >= MIN_LENGTH), key=lambda part: (-len(part), part)))


def mask(text: str, secrets: Sequence[str]) -> str:
    """The text with these values, Hugging Face tokens and logins in URLs replaced by `***`."""
    text = masked(text)
    for secret in secrets:
        text = text.replace(secret, "***")
    return text


def holds_secret(name: str) -> bool:
    """Whether a variable of this name holds a credential."""
    return _NAMES.search(name) is not None and not name.upper().endswith(_PLACES)
