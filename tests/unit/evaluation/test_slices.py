"""How a column becomes slices: frequent values, the rest, quarters of numbers, and what is refused."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sft.data.rows import Row
from sft.evaluation.rows import EvaluatedRows, read_rows, write_rows
from sft.evaluation.slices import EMPTY, OTHERS, SlicedColumn, sliced
from sft.exceptions import DataError


def rows(cells: Sequence[Any]) -> list[Row]:
    return [Row(index, {"column": cell}) for index, cell in enumerate(cells)]


def named(found: SlicedColumn, split: str = "test") -> list[str]:
    return [found.values[code] for code in found.codes[split]]


def test_the_values_are_the_same_for_all_splits_the_most_frequent_first() -> None:
    found = sliced("column", {"dev": rows(["phone"] * 3), "test": rows(["mail", " phone ", "mail", None, "", "mail"])})
    assert found.values == ("phone", "mail", EMPTY)
    assert named(found) == ["mail", "phone", "mail", EMPTY, EMPTY, "mail"]
    assert found.record("dev") == [
        {"value": "phone", "n_rows": 3}, {"value": "mail", "n_rows": 0}, {"value": EMPTY, "n_rows": 0},
    ]  # fmt: skip


def test_what_is_no_text_has_its_canonical_text_and_null_stays_a_word() -> None:
    assert named(sliced("column", {"test": rows([True, 1, "null", None])})) == ["true", "1", "null", EMPTY]


def test_rare_values_are_one_slice_and_too_many_are_refused() -> None:
    cells = [f"v{index % 10}" for index in range(40)] + [f"rare {index}" for index in range(30)]
    found = sliced("column", {"test": rows(cells)})
    assert (len(found.values), found.values[-1]) == (11, OTHERS)
    assert [value == OTHERS for value in named(found)] == [False] * 40 + [True] * 30
    with pytest.raises(DataError, match="column 'column' has 70 values in 100 evaluated rows, and the 10 most"):
        sliced("column", {"test": rows([*cells[:40], *(f"rare {index}" for index in range(60))])})


def test_numbers_of_many_values_are_cut_into_quarters_and_of_few_stay() -> None:
    found = sliced("column", {"test": rows([str(index) for index in range(1, 41)] + [""])})
    assert found.values == ("up to 10", "above 10, up to 20", "above 20, up to 30", "above 30", EMPTY)
    assert np.bincount(found.codes["test"]).tolist() == [10, 10, 10, 10, 1]
    assert sliced("column", {"test": rows([1, 2.5] * 9)}).values == ("1", "2.5")


def test_bounds_of_quarters_are_told_with_all_their_digits() -> None:
    found = sliced("column", {"test": rows(range(1_700_000_001, 1_700_000_041))})
    assert found.values[:2] == ("up to 1700000010", "above 1700000010, up to 1700000020")
    assert len(set(found.values)) == 4


def test_numbers_that_are_mostly_one_have_fewer_slices() -> None:
    found = sliced("column", {"test": rows([0] * 80 + list(range(1, 21)))})
    assert found.values == ("up to 0", "above 0")
    assert np.bincount(found.codes["test"]).tolist() == [80, 20]


def test_slices_are_kept_with_the_rows_of_each_split(tmp_path: Path) -> None:
    correct = np.array([True, False])
    codes = np.array([1, 0])
    path = tmp_path / "rows.npz"
    write_rows(path, {"test": EvaluatedRows(correct, slices={"a": codes}), "dev": EvaluatedRows(correct)})
    found, dev = read_rows(path), read_rows(path, "dev_")
    assert found is not None
    assert dev is not None
    assert (found.slices["a"].tolist(), dict(dev.slices), dict(found.per_row)) == ([1, 0], {}, {})
