"""Cells with any number of labels, and shots that count for each label of a row."""

from collections import Counter

import pytest

from sft.config.dataset import DatasetConfig
from sft.data.cells.label_lists import label_lists, split_labels
from sft.data.rows import Row, Split, Splits
from sft.data.selection import select
from sft.data.tables import ListColumn
from sft.exceptions import DataError
from sft.labels.label_sets import members


@pytest.mark.parametrize(
    ("cell", "separator", "expected"),
    [
        (["b", "a", "b"], None, ["a", "b"]),
        ([], None, []),
        ('["b", 1, true]', None, ["1", "b", "true"]),
        ("a; b;;a ", ";", ["a", "b"]),
        ("[]", ";", []),
        ("[x];b", ";", ["[x]", "b"]),
        ("a; b", None, None),
        ([["a"]], None, None),
        ([None], ";", None),
        (3, ";", None),
    ],
)
def test_the_labels_of_a_cell(cell: object, separator: str | None, expected: list[str] | None) -> None:
    assert split_labels(cell, separator) == expected


def test_a_cell_that_is_no_list_is_named() -> None:
    column = ListColumn([["a"], None, "a;b"])
    with pytest.raises(DataError, match=r"row 2: 'topics' is 'a;b', and not a list .*dataset.labels_separator"):
        label_lists(column, 3, "row {}".format, name="topics", separator=None)
    found = label_lists(column, 3, str, name="topics", separator=";")
    assert [found.value(place) for place in range(3)] == [["a"], None, ["a", "b"]]
    assert list(found.missing()) == [1]


SETS = [["a"], ["a", "b"], ["b"], [], ["c", "a"], ["c"], ["b", "c"], ["a", "b", "c"], ["a"], ["b"], ["c"], ["z"]]


def _drawn(shots: int, **dataset: object) -> tuple[set[int], Counter[str]]:
    rows = tuple(Row(place, {"text": "t", "topics": own}) for place, own in enumerate(SETS))
    split = Split("train", ("text", "topics"), rows)
    config = DatasetConfig.model_validate({"path": "d", "task_type": "multilabel", "shots": shots, **dataset})
    found = select(config, Splits(split, None, split, {}), "topics", ["a", "b", "c"], 5, members).shots
    return {row.source_index for row in found}, Counter(label for row in found for label in SETS[row.source_index])


def test_each_label_has_as_many_rows_and_a_row_counts_for_each_of_its_labels() -> None:
    for shots in (1, 2, 4):
        drawn, counts = _drawn(shots)
        assert min(counts[label] for label in "abc") == shots
        assert len(drawn) <= 3 * shots
        assert 3 not in drawn  # it has no label
        assert 11 not in drawn  # its label is outside the set
        assert drawn <= _drawn(shots + 1)[0]


def test_shots_in_total_are_as_many_rows() -> None:
    drawn, counts = _drawn(5, shots_by="total")
    assert len(drawn) == 5
    assert all(counts[label] for label in "abc")


def test_a_short_label_is_named() -> None:
    with pytest.raises(DataError, match="per label: a: 5"):
        _drawn(6)
