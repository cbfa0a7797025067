"""Canonical JSON is the same whichever of its two ways a value takes, and keys with it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sft.config.canonical import canonical, canonical_json, json_text, key_of

SCALARS = st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


def slow(value: Any) -> str:
    """Through the canonical form, whatever the value holds."""
    return json.dumps(canonical(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


@given(VALUES)
def test_what_holds_no_whole_float_is_written_at_once_and_the_same(value: Any) -> None:
    assert canonical_json(value) == slow(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3.0, "3"),
        (-0.0, "0"),
        (1e16, "10000000000000000"),
        (1.5e300, slow(1.5e300)),
        (1e-05, "1e-05"),
        (2.5, "2.5"),
        (0.05, "0.05"),
        ([1.0, {"a": 2.0}], '[1,{"a":2}]'),
        ({"b": "v1.0", "a": 1}, '{"a":1,"b":"v1.0"}'),
        ({"b": "é\ud800"}, '{"b":"é\ud800"}'),
        ("\ud83d\ude00", '"\N{GRINNING FACE}"'),
    ],
)
def test_whole_floats_are_integers(value: Any, text: str) -> None:
    assert canonical_json(value) == text == slow(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"a": [float("-inf")]}])
def test_numbers_that_are_not_finite_are_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical_json(value)


def test_equal_configs_have_equal_keys() -> None:
    assert key_of({"a": 3.0, "b": [1]}) == key_of({"b": [1.0], "a": 3})
    assert key_of({"a": 3.5}) != key_of({"a": 3})
    assert len(key_of({})) == 16
    assert json_text("1") == json_text(1.0) == "1"
