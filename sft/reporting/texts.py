"""How a setting is written for people."""

from typing import Any

UNSET = "none"
LONGEST = 60
GIB = 1 << 30
"""Bytes."""


def plain_text(value: Any) -> str:
    """A setting's value in one cell: null as `none`, a list with commas, long texts cut."""
    if value is None:
        return UNSET
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        value = ", ".join(plain_text(item) for item in value)
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
