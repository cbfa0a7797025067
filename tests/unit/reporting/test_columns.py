"""Columns of the board that stand there for some experiments only."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from sft.reporting.tables.columns import _rank_columns


@pytest.mark.parametrize(
    ("settings", "exported", "is_shown"),
    [
        ({"lora.r": 4}, 4, False),
        ({"lora.r": 4}, 8, True),
        ({"adapter.r": 16}, 16, False),
        ({"adapter.r": None}, 8, False),
        ({}, 8, False),
        ({"adapter.num_virtual_tokens": 8}, None, False),
    ],
)
def test_the_rank_of_the_saved_adapter_is_shown_where_it_is_another(settings: Any, exported: Any, is_shown: bool):
    resources = {"exported_rank": exported}
    record = SimpleNamespace(settings_in_force=settings, part=lambda _name: resources)
    assert bool(_rank_columns(cast("Any", [record]))) is is_shown
