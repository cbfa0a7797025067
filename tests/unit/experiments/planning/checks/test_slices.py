"""Columns of `evaluation.slices` that are not there, or have too many values."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sft.config.findings import InvalidExperiments


def test_columns_that_cannot_be_sliced_are_findings(
    project: Path, raw: Callable[..., dict[str, Any]], plan_of: Callable[..., Any], rewrite: Callable[..., None]
) -> None:
    def many(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [row | {"case": f"{row['id']} {part}"} for row in rows for part in range(4)]

    rewrite(project, "test", many)
    sliced = {"evaluation": {"slices": ["channel", "case", "id"]}}
    with pytest.raises(InvalidExperiments) as caught:
        plan_of(project, one=raw(sliced))
    told = [(finding["path"], finding["message"]) for finding in caught.value.findings]
    assert [path for path, _ in told] == ["evaluation.slices"] * 2
    assert "column 'channel' not found in split test" in told[0][1]
    assert "column 'case' has 36 values in 36 evaluated rows" in told[1][1]
    assert plan_of(project, one=raw({"evaluation": {"slices": ["id"]}})).experiments
