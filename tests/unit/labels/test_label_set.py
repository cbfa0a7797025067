from typing import Any

import pytest

from sft.exceptions import DataError, UserError
from sft.labels.label_set import LabelSet, check_gold, resolve_labels


def test_a_list_keeps_its_order_and_becomes_text() -> None:
    labels = resolve_labels([True, 1, 0.5, 3.0, "01"], ["ignored"], ["ignored"])
    assert labels.values == labels.words == ("true", "1", "0.5", "3", "01")


def test_a_map_is_ordered_by_gold_value_and_keeps_its_words() -> None:
    labels = resolve_labels({"2": "bad", "10": "good", "1": "so-so"}, None, None)
    assert labels.values == ("1", "10", "2")
    assert labels.words == ("so-so", "good", "bad")
    assert labels.word("10") == "good"
    assert labels.index("2") == 2


def test_declared_names_keep_their_order_before_the_train_split() -> None:
    assert resolve_labels(None, ["neg"], ["pos", "neg", "mixed"]).values == ("pos", "neg", "mixed")


def test_train_labels_are_sorted_as_text() -> None:
    assert resolve_labels(None, [2, 10, 1, 2], None).values == ("1", "10", "2")
    assert resolve_labels(None, ["b", "a", "B"], None).values == ("B", "a", "b")


@pytest.mark.parametrize(
    ("written", "train", "message"),
    [
        (["yes", " yes"], None, "'yes' and ' yes' are equal after trimming"),
        ({"0": "no", "1": "no "}, None, "'0' and '1' are equal after trimming ('no')"),
        (None, ["a", "a "], "'a' and 'a ' are equal after trimming"),
        (None, ["b", "a", "a\u00a0"], "'a' and 'a\\xa0' are equal after trimming ('a'); write 'a' in all cells"),
        (["a", "a "], None, "('a'); keep one of them, and write 'a' in all cells"),
        ({"a": "x", "a ": "x"}, None, "('a'); keep one of them, and write 'a' in all cells"),
        (None, ["é", "e\u0301"], "'e\\u0301' and 'é' are equal but for their Unicode form ('é'); write 'é' in all"),
        (["yes", "yes"], None, "written more than once: 'yes'"),
        ([1, 1.0], None, "written more than once: '1'"),
        (["yes", " "], None, "empty word ' '"),
        ({"0": ""}, None, "'0' has an empty word ''"),
        (["yes"], None, "dataset.labels: there is one label only, 'yes'"),
        ({"1": "yes"}, None, "there is one label only, '1'"),
        (None, ["a", "a"], "there is one label only, 'a'"),
        ([], None, "the label set is empty"),
        ({}, None, "the label set is empty"),
        (None, [], "the label set is empty"),
        (None, None, "there is no train split to take the labels from"),
    ],
)
def test_label_sets_that_cannot_be_used(written: Any, train: Any, message: str) -> None:
    with pytest.raises(UserError) as caught:
        resolve_labels(written, train, None)
    assert message in str(caught.value)


def test_labels_may_differ_by_case_or_be_words_for_missing() -> None:
    assert resolve_labels(["NA", "na", "null", "None"], None, None).values == ("NA", "na", "null", "None")


def test_gold_outside_the_set_names_rows_and_values() -> None:
    labels = LabelSet(("a", "b"), ("A", "B"))
    check_gold(labels, [(0, "a"), (1, "b")], "test")
    with pytest.raises(DataError) as caught:
        check_gold(labels, [(i, "a" if i < 17 else f"x{i}") for i in range(24)], "test")
    text = str(caught.value)
    assert text.startswith("split \"test\": gold labels outside the label set (row 17: 'x17'")
    assert "and 2 more" in text
    assert "labels are: a, b" in text
    with pytest.raises(DataError, match="'A' is not in the label set"):
        labels.index("A")


@pytest.mark.parametrize("value", ["yes ", "\u0443es", "yes\u200b", "Yes"])
def test_gold_that_only_looks_like_a_label_is_no_label_to_add(value: str) -> None:
    with pytest.raises(DataError) as caught:
        check_gold(LabelSet(("no", "yes"), ("no", "yes")), [(3, value)], "test")
    assert f"{value!a} looks like 'yes' and is another text: write it so in the data" in str(caught.value)
    assert "add them" not in str(caught.value)


def test_equal_sets_are_equal_after_use() -> None:
    one, two = resolve_labels(["a", "b"], None, None), resolve_labels(["a", "b"], None, None)
    one.index("a")
    assert one == two
    assert hash(one) == hash(two)
