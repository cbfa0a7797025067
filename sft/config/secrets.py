"""Credentials have no place in a config: found by key name or by form, and never echoed."""

import re
from typing import Any

SECRET_KEYS = frozenset({"token", "hf_token", "api_key", "password", "secret", "access_token"})
ADVICE = "secrets do not belong in a config; put it in the environment, e.g. HF_TOKEN"

_LONG_TOKEN = re.compile(r"hf_(?<![A-Za-z0-9_]hf_)[A-Za-z0-9]{20,}")
_WHOLE_TOKEN = re.compile(r"hf_(?:[A-Za-z0-9]{6,}|[a-z]*[A-Z0-9][A-Za-z0-9]*)")
_URL_LOGIN = re.compile(r"://[^/\s:@]+:[^/\s@]+@")
_FORMS = (
    (("hf_",), _LONG_TOKEN, "hf_***"),
    (("://",), re.compile(r"://[^/\s@]+@"), "://***@"),
    # A URL that was taken for a path has lost a slash.
    ((":/",), re.compile(r"(?<=[A-Za-z0-9]):/[^/\s:@]+:[^/\s@]+@"), ":/***@"),
    (
        ("token=", "key=", "sig=", "signature=", "password="),
        re.compile(r"(?P<kept>[?&](?i:[\w-]*token|api_?key|key|sig|signature|password)=)[^&\s'\"]+"),
        r"\g<kept>***",
    ),
    (
        ("authorization",),
        re.compile(r"(?i)(?P<kept>authorization['\"]?\s*[:=]\s*['\"]?(?:bearer|basic) )[\w.~+/=-]+"),
        r"\g<kept>***",
    ),
    (
        ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "xox", "sk-", "akia"),
        re.compile(r"\b(?:gh[pousr]_|github_pat_|glpat-|xox[abprs]-|sk-|AKIA)(?=[A-Za-z_-]*\d)[\w-]{16,}"),
        "***",
    ),
)
"""What to look for in a text, and what is shown for it: tokens of known services, logins and keys in URLs, headers.

Before each stands what a text must hold, in lower case, to be worth the search, which is a hundred times as slow.
"""


def looks_secret(text: str) -> bool:
    """Whether a text has the form of a Hugging Face token or of a URL with `user:password`.

    A short lower-case word such as `hf_text` passes, because columns and folders are called so.
    """
    if "hf_" in text and (_WHOLE_TOKEN.fullmatch(text.strip()) or _LONG_TOKEN.search(text)):
        return True
    return "://" in text and _URL_LOGIN.search(text) is not None


def is_secret(key: str | None, value: Any) -> bool:
    """Whether `value`, found under `key`, is a credential; `token: true` only asks for the stored login."""
    if key in SECRET_KEYS and value not in (None, "", [], {}) and not isinstance(value, bool):
        return True
    return isinstance(value, str) and looks_secret(value)


def masked(text: str) -> str:
    """The text with whatever has the form of a credential replaced by `***`.

    A short token is known by being all of its line.
    """
    lowered = text.lower()
    if "hf_" in lowered:
        text = "".join(map(_without_whole_token, text.splitlines(keepends=True)))
    for marks, form, shown in _FORMS:
        if any(mark in lowered for mark in marks):
            text = form.sub(shown, text)
    return text


def _without_whole_token(line: str) -> str:
    body = line.strip()
    return line.replace(body, "hf_***") if _WHOLE_TOKEN.fullmatch(body) else line
