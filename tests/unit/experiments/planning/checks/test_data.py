"""The rows of experiments that share a reading of their data."""

from collections.abc import Callable
from pathlib import Path
from typing import Any


def test_a_kept_field_within_a_column_is_found_whoever_reads_the_data_first(
    project: Path, raw: Callable[..., dict[str, Any]], plan_of: Callable[..., Any], rewrite: Callable[..., None]
) -> None:
    rewrite(project, "test", lambda rows: [row | {"meta": {"channel": "mail"}} for row in rows])
    kept = {"dataset": {"keep_columns": ["meta.channel"]}}
    assert len(plan_of(project, all=raw(), one=raw(kept)).experiments) == 2
