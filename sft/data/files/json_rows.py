"""Where the rows lie in a JSON value: a list of objects is the rows, and an object may hold that list."""

from collections.abc import Mapping, Sequence
from typing import Any

from sft.exceptions import DataError
from sft.wording import json_kind, listed, quoted

WRAPPERS = frozenset({"data", "rows", "records", "examples", "instances", "samples"})
"""Keys under which files hold their rows, beside keys that tell of the file (`version`, `license`)."""
CONVERSATIONS = frozenset({"messages", "conversations", "conversation", "turns"})
"""Keys under which a row, and no file, holds objects."""


def rows_field(value: Mapping[str, Any]) -> str | None:
    """The key of an object under which a file holds its rows; None where the object is a row, or that is not clear.

    It is the only key that has a list of objects, and either the only key at all or one that is usual for it.
    """
    lists = [key for key, inner in value.items() if _is_rows(inner)]
    if len(lists) != 1 or lists[0] in CONVERSATIONS:
        return None
    return lists[0] if len(value) == 1 or lists[0] in WRAPPERS else None


def inner_rows(value: Mapping[str, Any]) -> dict[str, int]:
    """Where lists of objects lie in an object, keys joined by dots, and how many objects each has."""
    found: dict[str, int] = {}
    for key, inner in value.items():
        if _is_rows(inner):
            found[key] = len(inner)
        elif isinstance(inner, dict):
            found |= {f"{key}.{rest}": n for rest, n in inner_rows(inner).items()}
    return found


def likely_field(value: Mapping[str, Any]) -> str | None:
    """Where in an object the most objects lie, however deep; None where that is a conversation or fewer than two."""
    lists = {field: n for field, n in inner_rows(value).items() if field.rpartition(".")[2] not in CONVERSATIONS}
    field = max(lists, key=lambda field: lists[field], default=None)
    return field if field is not None and lists[field] > 1 else None


def rows_at(name: str, value: Any, field: str) -> list[dict[str, Any]]:
    """The rows under the keys that `dataset.read.field` joins by dots.

    Args:
        name: the file's, for errors.
        value: what is in the file.
        field: a key, or several joined by dots; a key that has dots itself is found as well.

    Raises:
        DataError: there is no such key, or no list of objects.
    """
    found = value
    rest = field
    while rest:
        if not isinstance(found, dict):
            raise DataError(
                f"dataset.read.field: {name} holds {json_kind(found)} where {quoted(field)} asks for an object with "
                f"{quoted(rest)}" + ("; take field out" if found is value else "")
            )
        key = next((key for key in sorted(found, key=len, reverse=True) if f"{rest}.".startswith(f"{key}.")), None)
        if key is None:
            raise DataError(
                f"dataset.read.field: {name} has no {quoted(rest)} for {quoted(field)}; keys there: {listed(found)}"
            )
        found, rest = found[key], rest[len(key) + 1 :]
    if not _is_rows(found):
        raise DataError(
            f"dataset.read.field: {name} holds {json_kind(found)} under {quoted(field)}, and not a list of objects, "
            "{column: value} for each row"
        )
    rows: list[dict[str, Any]] = found
    return rows


def check_is_row(name: str, record: Mapping[str, Any]) -> None:
    """Refuse a file that is one object and yet no row.

    Raises:
        DataError: several rows lie inside it, or a list for each column; says what to write.
    """
    if isinstance(record.get("columns"), list) and isinstance(record.get("data"), list):
        raise DataError(
            f"{name}: one JSON object with `columns` and `data`, as pandas writes it with orient='split'; write it "
            "with orient='records'"
        )
    lists = {key: len(value) for key, value in record.items() if _is_rows(value) and key not in CONVERSATIONS}
    found = {key: n for key, n in lists.items() if n > 1}
    if found:
        told = ", ".join(f"{n} objects under {quoted(key)}" for key, n in found.items())
        raise DataError(
            f"{name}: one JSON object with {told}; if these are the rows, write dataset.read: "
            f"{{field: {quoted(next(iter(found)))}}}"
        )
    sizes = {len(value) if isinstance(value, list | dict) else 0 for value in record.values()}
    if len(record) > 1 and len(sizes) == 1 and max(sizes) > 1:
        raise DataError(
            f"{name}: one JSON object with {max(sizes)} values under each of {listed(record)}: columns, and "
            "not rows; save it as a list of objects, {column: value} for each row (pandas: orient='records')"
        )


def check_are_rows(name: str, items: Sequence[Any]) -> None:
    """Refuse a list of which an item is no object.

    Raises:
        DataError: names the first.
    """
    for index, item in enumerate(items):
        if not isinstance(item, dict):
            raise DataError(
                f"{name}: item {index} (from 0) of the list is {json_kind(item)} and not a JSON object; a row is "
                "an object: {column: value}"
            )


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 0 and all(isinstance(item, dict) for item in value)
