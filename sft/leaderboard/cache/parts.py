"""JSON documents of which most parts are alike, such as the configs of a grid: each part is kept and parsed once."""

import json
from collections.abc import Collection, Iterator, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]

Split = Mapping[str, Any]
"""Key of a map -> how its value is split in turn; `*` = any key. What stands under no key is one part."""


class Parts:
    """A growing set of parts, each a JSON text or a map of other parts, known by a number; equal ones are one part."""

    def __init__(self, arrays: Arrays | None = None) -> None:
        """
        Args:
            arrays: of another one; None: no parts yet.

        Raises:
            KeyError: an array is not there.
            ValueError: they do not fit together.
        """
        known = _EMPTY if arrays is None else arrays
        self._text = known["text"].tobytes().decode("ascii")
        self._text_ends: list[int] = known["text_ends"].tolist()
        self._maps: list[int] = known["maps"].tolist()
        self._map_ends: list[int] = known["map_ends"].tolist()
        if self._text_ends[-1] != len(self._text) or self._map_ends[-1] != len(self._maps):
            raise ValueError("parts that are cut")
        self._n_known = len(self._text_ends) - 1
        self._new_texts: list[str] = []
        self._places: dict[str | tuple[int, ...], int] | None = None
        self._wholes: dict[str, int] = {}
        self._values: dict[int, Any] = {}
        self._keys: dict[int, dict[str, int]] = {}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What `Parts` is made of again."""
        return {
            "text": np.frombuffer("".join([self._text, *self._new_texts]).encode("ascii"), np.uint8),
            "text_ends": np.array(self._text_ends, np.int64),
            "maps": np.array(self._maps, np.int32),
            "map_ends": np.array(self._map_ends, np.int64),
        }

    def value(self, number: int) -> Any:
        """The value of a part, which nobody may change: it is the same object each time."""
        value = self._values.get(number, self)
        if value is self:
            value = Document(self, number) if number < 0 else json.loads(self._text_of(number))
            self._values[number] = value
        return value

    def add(self, value: Any, split: Split | None = None) -> int:
        """The number of a JSON value.

        Args:
            value: maps in it are kept in their order.
            split: of a map whose values are parts of their own; None: it is one part.
        """
        if isinstance(value, Document) and value.parts is self:
            return value.number
        if split is None or not isinstance(value, Mapping):
            return self._place(json.dumps(value))
        whole = json.dumps(value) if not split else None  # a config stands in several files
        if whole is not None and whole in self._wholes:
            return self._wholes[whole]
        others = split.get("*")
        children = [self.add(item, split.get(key, others)) for key, item in value.items()]
        number = self._place((self.add(list(value)), *children))
        if whole is not None:
            self._wholes[whole] = number
        return number

    def children(self, number: int) -> tuple[int, dict[str, int], list[int]]:
        """Of a map: the number of its list of keys, key -> place, and the numbers at these places."""
        keys, *children = self._maps[self._map_ends[~number] : self._map_ends[~number + 1]]
        if keys not in self._keys:
            self._keys[keys] = {key: place for place, key in enumerate(self.value(keys))}
        return keys, self._keys[keys], children

    def _place(self, part: str | tuple[int, ...]) -> int:
        if self._places is None:
            texts = (self._text[start:end] for start, end in pairwise(self._text_ends))
            maps = (tuple(self._maps[start:end]) for start, end in pairwise(self._map_ends))
            self._places = {text: place for place, text in enumerate(texts)}
            self._places |= {own: ~place for place, own in enumerate(maps)}
        known = self._places.get(part)
        if known is not None:
            return known
        if isinstance(part, str):
            number = len(self._text_ends) - 1
            self._new_texts.append(part)
            self._text_ends.append(self._text_ends[-1] + len(part))
        else:
            number = ~(len(self._map_ends) - 1)
            self._maps.extend(part)
            self._map_ends.append(len(self._maps))
        self._places[part] = number
        return number

    def _text_of(self, number: int) -> str:
        if number >= self._n_known:
            return self._new_texts[number - self._n_known]
        return self._text[self._text_ends[number] : self._text_ends[number + 1]]


class Document(Mapping[str, Any]):
    """A map whose values are parsed when they are asked for."""

    __slots__ = ("_children", "_keys", "_places", "number", "parts")

    def __init__(self, parts: Parts, number: int) -> None:
        self.parts = parts
        self.number = number
        self._keys, self._places, self._children = parts.children(number)

    def __getitem__(self, key: str) -> Any:
        return self.parts.value(self._children[self._places[key]])

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def get(self, key: str, default: Any = None) -> Any:
        """As of any map, without an exception for what is not there."""
        place = self._places.get(key)
        return default if place is None else self.parts.value(self._children[place])

    def numbers(self, left_out: Collection[str] = ()) -> tuple[int, ...]:
        """What is equal for maps that are equal but for some keys: the numbers of the keys and of the values' parts.

        Args:
            left_out: keys whose values do not count.
        """
        values = (child for key, child in zip(self._places, self._children, strict=True) if key not in left_out)
        return (self._keys, *values)


_EMPTY: Arrays = {
    "text": np.zeros(0, np.uint8),
    "text_ends": np.zeros(1, np.int64),
    "maps": np.zeros(0, np.int32),
    "map_ends": np.zeros(1, np.int64),
}
