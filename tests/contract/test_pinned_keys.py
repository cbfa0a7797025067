"""No change moves a stage key or an id of an example unless the pinned file changes with it."""

import json
from pathlib import Path

import pytest

from tests.contract.pinned_keys import (
    PINNED,
    ROOT,
    WRITTEN_HERE,
    is_held,
    keys_of_encoder_decoders,
    keys_of_examples,
)


def test_the_keys_of_every_example_are_what_they_were() -> None:
    if not (ROOT / "data" / "demo" / "tweets" / "test.jsonl").is_file():
        pytest.skip("needs make demo-data")
    pinned = json.loads(PINNED.read_text("utf-8"))
    del pinned[WRITTEN_HERE]
    assert keys_of_examples() == {place: keys for place, keys in pinned.items() if is_held(place)}


def test_so_are_those_of_encoder_decoders(tmp_path: Path) -> None:
    pinned = json.loads(PINNED.read_text("utf-8"))
    found = keys_of_encoder_decoders(tmp_path)
    assert found == {WRITTEN_HERE: pinned[WRITTEN_HERE]}
    keys = list(found[WRITTEN_HERE].values())
    assert len({stage["eval"] for stage in keys}) == len(keys)
