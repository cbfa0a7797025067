"""Pydantic's errors as problems by the dotted path of what the user wrote, one per path."""

import json
from collections import defaultdict
from collections.abc import Collection, Sequence
from functools import cache
from typing import Any, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from sft.config.experiment import ExperimentConfig
from sft.config.section import Section
from sft.config.values import Problem
from sft.registry import nearest

SHOWN_CHARACTERS = 60

KINDS = {
    "int_type": "an integer",
    "string_type": "text",
    "bool_type": "true or false",
    "float_type": "a number",
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
}
BOUNDS = {
    "greater_than_equal": ("a number >= {}", "ge"),
    "greater_than": ("a number > {}", "gt"),
    "less_than_equal": ("a number <= {}", "le"),
    "less_than": ("a number < {}", "lt"),
    "too_short": ("a list of at least {} entry", "min_length"),
    "string_too_short": ("text of at least {} character", "min_length"),
    "string_too_long": ("text of at most {} character", "max_length"),
}
CONTAINER_KINDS = frozenset({"an object", "a list"})

Keys = tuple[str, ...]


def shape_problems(error: ValidationError, raw: dict[str, Any], told: Collection[str]) -> list[Problem]:
    """One problem per path of the raw config; the branches of a union are told together.

    Args:
        error: of validating `raw` as an `ExperimentConfig`.
        raw: what was validated; pydantic's own names of union branches are those parts that it does not have.
        told: paths whose values are no JSON, or not to be shown, which other problems say.
    """
    by_path: dict[Keys, list[ErrorDetails]] = defaultdict(list)
    for details in error.errors(include_url=False, include_context=True):
        by_path[_path(details, raw)].append(details)
    problems = []
    for path, group in by_path.items():
        if ".".join(path) not in told and not _other_branch(path, group, by_path):
            problems.append(Problem(".".join(path), _message(path, group, raw)))
    return problems


def _path(details: ErrorDetails, raw: dict[str, Any]) -> Keys:
    value: Any = raw
    path = []
    for part in details["loc"]:
        in_list = isinstance(value, list) and isinstance(part, int) and part < len(value)
        in_object = isinstance(value, dict) and isinstance(part, str) and part in value  # other keys are told before
        if in_list or in_object:
            value = value[part]
            path.append(str(part))
    if details["type"] == "missing":
        path.append(str(details["loc"][-1]))
    return tuple(path)


def _other_branch(path: Keys, group: Sequence[ErrorDetails], by_path: dict[Keys, list[ErrorDetails]]) -> bool:
    """Whether these errors only say that a union's other branch, of another kind of container, does not fit."""
    deeper = any(len(other) > len(path) and other[: len(path)] == path for other in by_path)
    return deeper and all(_expected(details) in CONTAINER_KINDS for details in group)


def _message(path: Keys, group: Sequence[ErrorDetails], raw: dict[str, Any]) -> str:
    kinds = {details["type"] for details in group}
    if "missing" in kinds:
        return "required"
    if "extra_forbidden" in kinds:
        return _unknown_key(path)
    expected = list(dict.fromkeys(_expected(details) for details in group))
    return f"must be {' or '.join(expected)}, got {_shown(path, raw)}"


def _expected(details: ErrorDetails) -> str:
    kind, context = details["type"], details.get("ctx", {})
    if kind in KINDS:
        return KINDS[kind]
    if kind == "literal_error":
        return str(context["expected"])
    if kind in BOUNDS:
        form, limit = BOUNDS[kind]
        bound = context[limit]
        text = form.format(f"{bound:g}" if isinstance(bound, float) else bound)
        return text if limit not in ("min_length", "max_length") or context[limit] == 1 else text + "s"
    return f"valid ({details['msg']})"


def _shown(path: Keys, raw: dict[str, Any]) -> str:
    """The value at a path; secrets never come here, because their paths were told."""
    value: Any = raw
    for part in path:
        value = value[int(part)] if isinstance(value, list) else value[part]
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    text = json.dumps(value, ensure_ascii=True)
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "..."


def _unknown_key(path: Keys) -> str:
    *parents, key = path
    known = _known_keys().get(tuple(parents), ())
    elsewhere = [".".join((*section, key)) for section, keys in _known_keys().items() if key in keys]
    if elsewhere:
        return f"unknown key (did you mean {' or '.join(elsewhere[:3])}?)"
    close = nearest(key, known)
    return f"unknown key (did you mean {close}?)" if close else f"unknown key; known: {', '.join(sorted(known))}"


@cache
def _known_keys() -> dict[Keys, tuple[str, ...]]:
    """Field names by the path of their section."""
    known: dict[Keys, tuple[str, ...]] = {}
    waiting: list[tuple[Keys, type[Section]]] = [((), ExperimentConfig)]
    while waiting:
        path, section = waiting.pop(0)
        known[path] = tuple(section.model_fields)
        for name, field in section.model_fields.items():
            for kind in (field.annotation, *get_args(field.annotation)):
                if isinstance(kind, type) and issubclass(kind, Section):
                    waiting.append(((*path, name), kind))
    return known
