"""Rows to token ids, by a chat template or plainly."""

from sft.prompts.builder import PromptBuilder
from sft.prompts.style import (
    Cuts,
    Encoded,
    Example,
    LabelIds,
    Message,
    PromptFormat,
    PromptStyle,
    TooLong,
    resolve_format,
)

__all__ = [
    "Cuts",
    "Encoded",
    "Example",
    "LabelIds",
    "Message",
    "PromptBuilder",
    "PromptFormat",
    "PromptStyle",
    "TooLong",
    "resolve_format",
]
