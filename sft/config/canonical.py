"""Canonical JSON and the keys made from it."""

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

KEY_DIGITS = 16


def canonical(value: Any) -> Any:
    """The value with whole floats as integers (3.0 == 3) and text keys, so that equal configs are equal JSON.

    Raises:
        ValueError: a number is not finite.
    """
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} has no JSON form")
        return int(value) if value.is_integer() else value
    if isinstance(value, Mapping):
        return {str(key): canonical(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [canonical(item) for item in value]
    return value


def canonical_json(value: Any) -> str:
    """Sorted, compact JSON of the canonical form."""
    return json.dumps(canonical(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def key_of(fields: Mapping[str, Any]) -> str:
    """The first 16 hex digits of sha256 over the canonical JSON of `fields`."""
    encoded = canonical_json(fields).encode("utf-8", "surrogatepass")
    return hashlib.sha256(encoded).hexdigest()[:KEY_DIGITS]


def json_text(value: Any) -> str:
    """A data value as text: text as it is, anything else as its canonical JSON (`true`, `1`, `0.5`)."""
    return value if isinstance(value, str) else canonical_json(value)
