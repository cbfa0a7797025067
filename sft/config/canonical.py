"""Canonical JSON and the keys made from it."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

KEY_DIGITS = 16


def canonical(value: Any) -> Any:
    """The value as JSON gives it back, whole floats as integers (3.0 == 3), so that equal configs are equal JSON.

    Raises:
        ValueError: a number is not finite.
    """
    return _DECODER.decode(_ENCODER.encode(value))


def canonical_json(value: Any) -> str:
    """Sorted, compact JSON of the canonical form; the keys of mappings are text."""
    written = _CANONICAL.encode(value)
    return _CANONICAL.encode(canonical(value)) if _MAY_DIFFER.search(written) else written


def key_of(fields: Mapping[str, Any]) -> str:
    """The first 16 hex digits of sha256 over the canonical JSON of `fields`."""
    encoded = canonical_json(fields).encode("utf-8", "surrogatepass")
    return hashlib.sha256(encoded).hexdigest()[:KEY_DIGITS]


def json_text(value: Any) -> str:
    """A data value as text: text as it is, anything else as its canonical JSON (`true`, `1`, `0.5`)."""
    return value if isinstance(value, str) else canonical_json(value)


def _number(written: str) -> int | float:
    number = float(written)
    return int(number) if number.is_integer() else number


_MAY_DIFFER = re.compile(r"[0-9](?:\.0(?![0-9])|e\+)|[\ud800-\udbff]")
"""Whole floats are written like this (3.0, 1e+16), and halves of characters may meet; all other text is canonical."""
_ENCODER = json.JSONEncoder(allow_nan=False)
_DECODER = json.JSONDecoder(parse_float=_number)
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
"""Made once: thousands of stages have keys, and an encoder of its own takes each as long as its text."""
