"""Names and values as MLflow takes them; its limits are those of `mlflow.utils.validation` in 3.17."""

import hashlib
import json
import posixpath
import re
from collections.abc import Mapping
from typing import Any, TypeVar

MAX_KEY, MAX_PARAM, MAX_TAG, MAX_NAME = 250, 6000, 5000, 500
"""Characters; that of tags is 8,000 since MLflow 3, and 5,000 before."""
_FORBIDDEN = re.compile(r"[^\w./ -]")
_DIGITS = 8

Value = TypeVar("Value")


def allowed_keys(values: Mapping[str, Value]) -> dict[str, Value]:
    """The values under keys that MLflow takes: letters, digits, `_`, `-`, `.`, `/` and spaces, at most 250 of them.

    Any other character becomes `_`. A key that is too long, that is no plain path, or that would be the one of
    another value, ends in the beginning of its hash.
    """
    found: dict[str, Value] = {}
    for key, value in values.items():
        allowed = _FORBIDDEN.sub("_", key)
        taken = allowed in found or (allowed != key and allowed in values)
        if taken or len(allowed) > MAX_KEY or not _is_plain_path(allowed):
            digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]
            allowed = f"{allowed.lstrip('.').replace('/', '_')[: MAX_KEY - _DIGITS - 1]}_{digest}"
        found[allowed] = value
    return found


def param_text(value: Any) -> str:
    """A setting as text, at most 6,000 characters: text as it is, anything else as JSON; the end gives way."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    text = _without_surrogates(text)
    if len(text) <= MAX_PARAM:
        return text
    mark = f"... ({len(text)} characters, sha256 {hashlib.sha256(text.encode()).hexdigest()})"
    return text[: MAX_PARAM - len(mark)] + mark


def tag_text(text: str) -> str:
    """A text as the value of a tag; the end gives way."""
    return _without_surrogates(text)[:MAX_TAG]


def name_text(text: str) -> str:
    """The name of an experiment or a run; the end gives way."""
    return _without_surrogates(text)[:MAX_NAME]


def _without_surrogates(text: str) -> str:
    """Lone surrogates, which JSON can bring in and no database takes, as their escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _is_plain_path(key: str) -> bool:
    return key != "." and not key.startswith(("/", "..")) and posixpath.normpath(key) == key
