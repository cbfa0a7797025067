"""Documents come back as they were, and what is alike in them is kept once."""

from typing import Any

import pytest

from sft.leaderboard.cache.parts import Document, Parts

FIRST: dict[str, Any] = {"seed": 1, "model": {"name": "a", "args": {}}, "labels": ["ja", "né", "\ud800"], "none": None}
SECOND: dict[str, Any] = {**FIRST, "seed": 1.0}


def again(parts: Parts) -> Parts:
    return Parts(parts.arrays())


@pytest.mark.parametrize("split", [None, {}, {"model": {}}, {"*": {}}])
def test_a_value_comes_back(split: dict[str, Any] | None) -> None:
    parts = Parts()
    numbers = [parts.add(value, split) for value in (FIRST, SECOND)]
    for known in (parts, again(parts), again(again(parts))):
        found = [known.value(number) for number in numbers]
        assert found == [FIRST, SECOND]
        assert list(found[0]) == list(FIRST)
        assert type(found[1]["seed"]) is float
        assert found[0].get("nothing", 3) == 3


def test_equal_parts_are_one() -> None:
    parts = Parts()
    first, second = (parts.value(parts.add(value, {})) for value in (FIRST, SECOND))
    assert isinstance(first, Document)
    keys, *numbers = zip(first.numbers(), second.numbers(), strict=True)
    assert keys[0] == keys[1]
    alike = {key for key, (own, other) in zip(FIRST, numbers, strict=True) if own == other}
    assert alike == {"model", "labels", "none"}
    assert first.numbers(set(FIRST) - alike) == second.numbers(set(FIRST) - alike)
    assert first["model"] is second["model"]


def test_parts_grow_after_they_were_read() -> None:
    parts = Parts()
    old = parts.add(FIRST, {})
    grown = again(parts)
    assert grown.add(FIRST, {}) == old
    new = grown.add({**FIRST, "name": "b"}, {})
    assert grown.value(new)["name"] == "b"
    assert again(grown).value(new) == {**FIRST, "name": "b"}
    assert grown.add(grown.value(new)) == new


def test_cut_parts_are_refused() -> None:
    arrays = Parts().arrays()
    with pytest.raises(ValueError, match="cut"):
        Parts({**arrays, "text": arrays["map_ends"]})
