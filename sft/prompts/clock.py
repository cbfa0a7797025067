"""A clock that stands still for chat templates: a prompt must not change with the day on which it is rendered."""

import json
import re
import string
from datetime import datetime

_NOW = datetime(2024, 7, 26)  # any constant will do
_FUNCTION = "strftime_now"
_CALL = re.compile(_FUNCTION + r"\(([^)]*)\)")
_DIRECTIVE = re.compile(r"%(?P<name>[-_0^#EO]?.)", re.DOTALL)
_PLAIN_NAMES = frozenset("aAbBdHIjmMpSyY")

# Seconds since 1970 depend on the time zone of the machine.
_TOLD = {"s": "1721952000"}
for _letter in string.ascii_letters.replace("s", ""):
    for _flag in ("", *"-_0^#EO"):
        _text = _NOW.strftime(f"%{_flag}{_letter}")
        if "%" not in _text:
            _TOLD[_flag + _letter] = _text

_MACRO = (
    "{%- macro NAME(format) -%}{%- set told = TOLD -%}{%- set at = namespace(literal=true) -%}"
    "{%- for piece in format.split('%') -%}"
    "{%- if at.literal -%}{{ piece }}{%- set at.literal = false -%}"
    "{%- elif not piece -%}%{%- set at.literal = true -%}"
    "{%- elif piece[0] in told -%}{{ told[piece[0]] }}{{ piece[1:] }}"
    "{%- elif piece[:2] in told -%}{{ told[piece[:2]] }}{{ piece[2:] }}"
    "{%- else -%}{{ raise_exception('NAME knows no directive %' + piece[:1]) }}"
    "{%- endif -%}{%- endfor -%}{%- endmacro +%}"
).replace("NAME", _FUNCTION)


def with_fixed_clock(source: str) -> str:
    """The template with `strftime_now` of a constant time; transformers lets no function in through the variables.

    All directives of this system's strftime are known; the template refuses the conversation at another one.
    """
    return _MACRO.replace("TOLD", json.dumps(_TOLD)) + source if _FUNCTION in source else source


def tells_unusual_time(source: str) -> bool:
    """Whether a template writes a time by other directives than the plain ones for year, month, day and hour."""
    formats = " ".join(_CALL.findall(source))
    return any(match["name"] not in _PLAIN_NAMES for match in _DIRECTIVE.finditer(formats))
