"""No change moves a stage key or an id of an example unless the pinned file changes with it."""

import json

import pytest

from tests.contract.pinned_keys import PINNED, ROOT, is_held, keys_of_examples


def test_the_keys_of_every_example_are_what_they_were() -> None:
    if not (ROOT / "data" / "demo" / "tweets" / "test.jsonl").is_file():
        pytest.skip("needs make demo-data")
    pinned = json.loads(PINNED.read_text("utf-8"))
    assert keys_of_examples() == {place: keys for place, keys in pinned.items() if is_held(place)}
