"""Rows as they were read, and the splits they belong to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sft.config.canonical import json_text


@dataclass(frozen=True)
class Row:
    """One row of a split.

    Attributes:
        source_index: position in the split as it was read, from 0; with shares: in the one split that was cut.
        values: cells by column, JSON values; a missing cell is None.
    """

    source_index: int
    values: Mapping[str, Any]

    def text(self, column: str) -> str:
        """The cell as text: text as it is, anything else as canonical JSON."""
        return json_text(self.values[column])


@dataclass(frozen=True)
class Split:
    """The rows of one role (`name` is train, dev or test), in the order of `source_index`."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Splits:
    """All rows an experiment may use.

    Attributes:
        train: None where there is no train split and no shots are asked for.
        dev: None where none is configured.
        test: may lack the output column; its rows then have no gold.
        class_names: declared names of ClassLabel columns, in order; the cells are these names already.
        remarks: what a person should know of how the files were read, such as cells that may hide rows.
    """

    train: Split | None
    dev: Split | None
    test: Split
    class_names: Mapping[str, tuple[str, ...]]
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """What a reader returns: columns in their order, and every row with a value (or None) for each of them."""

    columns: tuple[str, ...]
    records: tuple[Mapping[str, Any], ...]
    class_names: Mapping[str, tuple[str, ...]]
    remarks: tuple[str, ...] = ()
    """As `Splits.remarks`."""
    unread: Mapping[str, str] = field(default_factory=dict)
    """Column that is in the file and not here -> what it holds."""
