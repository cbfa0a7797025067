"""Columns of Arrow tables as JSON values; a cell becomes one when it is asked for."""

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time
from functools import cached_property
from typing import Any

from sft.config.canonical import json_text
from sft.data.tables import Column, ListColumn

BINARY = "binary data such as images or audio, and no text"
BLOCK = 64
"""Cells that become Python values together where they are asked for in turn: one short cell costs nearly as much."""


class UnreadColumn(Exception):
    """A column that has no text, or a value that Python cannot hold; its message says what the column holds."""


def arrow_column(data: Any, names: Sequence[str] | None) -> Column:
    """A column of an Arrow table.

    Args:
        data: a `pyarrow.ChunkedArray`.
        names: declared names where it is a ClassLabel.

    Raises:
        UnreadColumn: it cannot be read.
    """
    import pyarrow.types as types

    if _has_binary(data.type):
        raise UnreadColumn(BINARY)
    try:
        data.validate(full=True)
        if _always_converts(data.type) and (names is None or "" not in names):
            return _ArrowColumn(data, names if types.is_integer(data.type) else None)
        return ListColumn(_cells(data.to_pylist(), names))
    except (ValueError, OverflowError, KeyError) as error:  # KeyError: a time zone that is not installed
        raise UnreadColumn(f"what cannot be read ({str(error).splitlines()[0]})") from None


class BytesColumn:
    """Cells that hold bytes, alone or within lists and records."""

    def __init__(self, data: Any) -> None:
        """
        Args:
            data: a `pyarrow.ChunkedArray`.

        Raises:
            UnreadColumn: it is damaged.
        """
        try:
            data.validate(full=True)
        except ValueError as error:
            raise UnreadColumn(f"what cannot be read ({str(error).splitlines()[0]})") from None
        self._data = data

    def value(self, index: int) -> Any:
        """One cell."""
        return self._data[index].as_py()

    @property
    def texts(self) -> Sequence[str]:
        """There are none."""
        raise TypeError("bytes have no text")

    def missing(self) -> Sequence[int]:
        """The positions of cells that are None."""
        import pyarrow.compute as compute

        found: list[int] = compute.indices_nonzero(compute.is_null(self._data)).to_pylist()
        return found


class _ArrowColumn:
    """Valid cells of a type of which Python can hold every value."""

    def __init__(self, data: Any, names: Sequence[str] | None) -> None:
        self._data = data
        self._names = names
        self._start = 0
        self._block: list[Any] = []

    def value(self, index: int) -> Any:
        """One cell."""
        place = index - self._start
        if not 0 <= place < len(self._block):
            is_next = place == len(self._block)
            self._start, place = index, 0
            self._block = _cells(self._data.slice(index, BLOCK if is_next else 1).to_pylist(), self._names)
        return self._block[place]

    @cached_property
    def texts(self) -> Sequence[str]:
        """Every cell as text; those of equal cells are one object."""
        import pyarrow.types as types

        found: list[str] = []
        for chunk in self._data.chunks:
            if types.is_nested(chunk.type) or types.is_null(chunk.type):
                found += [json_text(value) for value in _cells(chunk.to_pylist(), self._names)]
                continue
            encoded = chunk.dictionary_encode(null_encoding="encode")
            texts = [json_text(value) for value in _cells(encoded.dictionary.to_pylist(), self._names)]
            found += [texts[place] for place in encoded.indices.to_numpy().tolist()]
        return found

    def missing(self) -> Sequence[int]:
        """The positions of cells that are None or the empty text."""
        import pyarrow
        import pyarrow.compute as compute
        import pyarrow.types as types

        mask = compute.is_null(self._data, nan_is_null=types.is_floating(self._data.type))
        if types.is_string(self._data.type) or types.is_large_string(self._data.type):
            mask = compute.or_(mask, compute.fill_null(compute.equal(self._data, ""), False))
        if self._names is not None:
            there = [number for number in self._data.unique().to_pylist() if number is not None]
            outside = [number for number in there if not 0 <= number < len(self._names)]
            mask = compute.or_(mask, compute.is_in(self._data, pyarrow.array(outside, self._data.type)))
        found: list[int] = compute.indices_nonzero(mask).to_pylist()
        return found


def _cells(values: list[Any], names: Sequence[str] | None) -> list[Any]:
    if names is None or any(isinstance(value, str) for value in values):
        return [_plain(value) for value in values]
    return [names[value] if value is not None and 0 <= value < len(names) else None for value in values]


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else (None if math.isnan(value) else str(value))
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return value.isoformat() if isinstance(value, date | datetime | time) else str(value)


def _has_binary(kind: Any) -> bool:
    import pyarrow.types as types

    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind):
        return True
    return any(_has_binary(kind.field(i).type) for i in range(kind.num_fields))


def _always_converts(kind: Any) -> bool:
    """Whether Python can hold every valid value of a type; dates, for one, end in Python with the year 9999."""
    import pyarrow.types as types

    simple: tuple[Callable[[Any], bool], ...] = (
        types.is_null,
        types.is_boolean,
        types.is_integer,
        types.is_float32,
        types.is_float64,
        types.is_string,
        types.is_large_string,
    )
    if types.is_list(kind) or types.is_large_list(kind):
        return _always_converts(kind.value_type)
    if types.is_struct(kind):
        fields = [kind.field(i) for i in range(kind.num_fields)]
        return len({own.name for own in fields}) == len(fields) and all(_always_converts(own.type) for own in fields)
    return any(is_kind(kind) for is_kind in simple)
