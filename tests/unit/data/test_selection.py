import itertools
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sft.config.dataset import DatasetConfig
from sft.data.rows import Row, Split, Splits, alone
from sft.data.selection import Selection, sample, select, strata_of
from sft.exceptions import DataError
from sft.labels.label_sets import members, set_text

LABELS = st.lists(st.sampled_from("aabbbbc"), min_size=1, max_size=150)


def make_rows(labels: Sequence[str]) -> tuple[Row, ...]:
    return tuple(Row(i, {"text": f"t {i}", "label": label}) for i, label in enumerate(labels))


def split(name: str, labels: Sequence[str]) -> Split:
    return Split(name, ("text", "label"), make_rows(labels))


def chosen(
    labels: Sequence[str], shots: Any = 1, seed: int = 13, values: Sequence[str] | None = ("a", "b"), **keys: Any
) -> Selection:
    dataset = DatasetConfig.model_validate({"path": "x", "task_type": "classification", "shots": shots, **keys})
    splits = Splits(split("train", labels), split("dev", labels), split("test", labels), {})
    return select(dataset, splits, "label", values, seed)


def indices(rows: Sequence[Row] | None) -> list[int]:
    assert rows is not None
    return [row.source_index for row in rows]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from("ab"), min_size=40, max_size=100), st.integers(0, 5), st.integers(1, 8))
def test_shots_are_per_label_nested_and_sorted(labels: list[str], seed: int, n: int) -> None:
    few = chosen(labels, n, seed, if_fewer="use_all").shots
    many = chosen(labels, 2 * n, seed, if_fewer="use_all").shots
    counts = Counter(row.text("label") for row in few)
    assert all(counts[label] == min(n, labels.count(label)) for label in "ab")
    assert set(indices(few)) <= set(indices(many))
    assert indices(few) == sorted(set(indices(few)))


def test_shots_depend_on_their_seed_and_not_on_other_labels() -> None:
    labels = ["ab"[i % 2] for i in range(60)]
    assert indices(chosen(labels, 4).shots) == indices(chosen(labels, 4).shots)
    assert indices(chosen(labels, 4).shots) != indices(chosen(labels, 4, seed=14).shots)
    assert indices(chosen(labels, 4, splits={"seed": 5}).shots) == indices(chosen(labels, 4).shots)
    only_a = indices(chosen(labels, 4, values=("a",)).shots)
    assert only_a == [i for i in indices(chosen(labels, 4).shots) if labels[i] == "a"]
    assert only_a == [10, 16, 30, 34]


def test_rows_of_several_labels_are_sampled_by_their_rarest() -> None:
    """A combination that stands once would be in no sample of less than half of the rows."""
    sets = [["a"]] * 28 + [list(pair) for pair in itertools.combinations("bcdefghi", 2)]
    rows = make_rows([set_text(own) for own in sets])
    found = indices(sample(rows, 20, "x", 0, "label", members))
    assert 8 <= sum(index >= 28 for index in found) <= 12
    assert set(indices(sample(rows, 10, "x", 0, "label", members))) <= set(found)


def test_strata_are_rarest_labels() -> None:
    texts = [set_text(own) for own in (["a", "b"], ["a"], ["a", "c", "b"], ["a"], ["b"], [])]
    assert strata_of([*texts, "null"], members) == ["b", "a", "c", "a", "b", "", ""]
    assert strata_of(["y", "x"], alone) == ["y", "x"]


def test_generation_counts_in_total() -> None:
    labels = [str(i) for i in range(30)]
    four, ten = (chosen(labels, n, values=None).shots for n in (4, 10))
    assert (len(four), len(ten)) == (4, 10)
    assert set(indices(four)) <= set(indices(ten))


def test_zero_and_all_shots() -> None:
    none = chosen("aab", 0)
    assert none.shots == ()
    assert none.pool == none.train
    everything = chosen("aabz", "all")
    assert indices(everything.shots) == [0, 1, 2]
    assert everything.pool == everything.shots
    with pytest.raises(DataError, match="shots: all"):
        chosen("zz", "all")


def test_too_few_names_every_short_label() -> None:
    with pytest.raises(DataError) as caught:
        chosen("aaabccccccccccc", 10, values=("a", "b", "c", "d"))
    assert "10 shots asked, 0 available (per label: a: 3, b: 1, d: 0)" in str(caught.value)
    assert "if_fewer: use_all" in str(caught.value)
    assert Counter(row.text("label") for row in chosen("aaab", 10, if_fewer="use_all").shots) == {"a": 3, "b": 1}
    with pytest.raises(DataError, match=r"^10 shots asked, 3 available; "):
        chosen("abc", 10, values=None)


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("AB", "0 available: the train split has the labels a, b instead; write dataset.labels so"),
        (("a ", "b"), "(per label: 'a ': 0); the train split has the labels a instead; write dataset.labels so"),
        ("abc", "(per label: c: 0); leave labels without rows out of dataset.labels"),
    ],
)
def test_a_label_without_rows_is_told_with_what_the_rows_have(written: Sequence[str], told: str) -> None:
    with pytest.raises(DataError) as caught:
        chosen("aabb", 1, values=tuple(written))
    assert told in str(caught.value)
    assert "ask for fewer" not in str(caught.value)


def test_rows_of_other_labels_are_never_shots() -> None:
    assert indices(chosen("azbz", 1).train) == [0, 2]


def test_no_train_split() -> None:
    dataset = DatasetConfig.model_validate({"path": "x", "task_type": "classification", "shots": 0})
    selection = select(dataset, Splits(None, None, split("test", "ab"), {}), "label", ("a", "b"), 13)
    assert selection.pool == ()
    assert selection.dev is None


@settings(max_examples=80, deadline=None)
@given(LABELS, st.integers(1, 60), st.integers(0, 40), st.integers(0, 3))
def test_samples_are_nested_proportional_and_ordered(labels: list[str], n: int, more: int, seed: int) -> None:
    rows = make_rows(labels)
    small = sample(rows, n, "max_n_test", seed, "label")
    large = sample(rows, n + more, "max_n_test", seed, "label")
    assert len(small) == min(n, len(rows))
    assert set(indices(small)) <= set(indices(large))
    assert indices(small) == sorted(indices(small))
    counts = Counter(row.text("label") for row in small)
    for label, total in Counter(labels).items():
        assert abs(counts[label] - len(small) * total / len(rows)) <= 1


def test_sample_without_gold_and_purposes_differ() -> None:
    rows = tuple(Row(i, {"text": str(i)}) for i in range(100))
    assert len(sample(rows, 10, "max_n_test", 0, "label")) == 10
    assert sample(rows, 10, "max_n_test", 0, None) != sample(rows, 10, "max_n_dev", 0, None)
    assert sample((), 10, "max_n_test", 0, "label") == ()


def test_caps_belong_to_their_split_and_come_before_shots() -> None:
    labels = ["ab"[i % 2] for i in range(200)]
    selection = chosen(labels, 5, max_n_train=20, max_n_test=50)
    assert [len(selection.train), len(selection.test), len(selection.dev or ())] == [20, 50, 50]
    assert set(indices(selection.shots)) <= set(indices(selection.train))
    assert len(chosen(labels, 5, max_n_test=50, max_n_dev=10).dev or ()) == 10
    assert indices(chosen(labels, 5, seed=1, max_n_test=50).test) == indices(selection.test)
    assert indices(chosen(labels, 5, max_n_test=50, splits={"seed": 1}).test) != indices(selection.test)


def test_a_small_sample_keeps_unequal_proportions() -> None:
    rows = make_rows(["a"] * 80 + ["b"] * 15 + ["c"] * 5)
    for n, counts in ((20, (16, 3, 1)), (60, (48, 9, 3))):
        taken = Counter(row.text("label") for row in sample(rows, n, "max_n_test", 0, "label"))
        assert (taken["a"], taken["b"], taken["c"]) == counts


def oracle_in_total(labels: Sequence[str], n: int) -> dict[str, int]:
    """One row of each label, then the next to the label whose next row has the lowest (2 j + 1) / (2 m), j from 0."""
    have = Counter(labels)
    counts = dict.fromkeys(sorted(have), 1)
    for _ in range(n - len(have)):
        open_labels = [label for label in counts if counts[label] < have[label]]
        least = min((2 * counts[label] + 1) / (2 * have[label]) for label in open_labels)
        tied = [label for label in open_labels if (2 * counts[label] + 1) / (2 * have[label]) == least]
        if len(tied) > 1:
            return {}  # which of them comes first is the seed's choice
        counts[tied[0]] += 1
    return counts


@settings(max_examples=120, deadline=None)
@given(LABELS.filter(lambda labels: len(set(labels)) == 3), st.integers(3, 60), st.integers(0, 30), st.integers(0, 3))
def test_shots_in_total_keep_the_proportions_and_are_nested(labels: list[str], n: int, more: int, seed: int) -> None:
    keys: dict[str, Any] = {"values": "abc", "shots_by": "total", "if_fewer": "use_all"}
    few, many = (chosen(labels, count, seed, **keys).shots for count in (n, n + more))
    assert len(few) == min(n, len(labels))
    assert set(indices(few)) <= set(indices(many))
    assert indices(few) == sorted(set(indices(few)))
    counts = Counter(row.text("label") for row in few)
    assert set(counts) == set("abc")
    expected = oracle_in_total(labels, min(n, len(labels)))
    assert not expected or counts == expected


def test_shots_in_total_of_74_percent_one_label() -> None:
    labels = (["a"] * 37 + ["b"] * 13) * 4
    keys: dict[str, Any] = {"shots_by": "total"}
    assert Counter(row.text("label") for row in chosen(labels, 50, **keys).shots) == {"a": 37, "b": 13}
    assert Counter(row.text("label") for row in chosen(labels, 2, **keys).shots) == {"a": 1, "b": 1}
    assert indices(chosen(labels, 50, **keys).shots) != indices(chosen(labels, 50, 14, **keys).shots)
    assert indices(chosen(labels, 50, splits={"seed": 5}, **keys).shots) == indices(chosen(labels, 50, **keys).shots)
    own = [index for index in indices(chosen(labels, 50, **keys).shots) if labels[index] == "b"]
    assert own == [index for index in indices(chosen(labels, 13).shots) if labels[index] == "b"]
    assert indices(chosen(labels, 8, values=None, **keys).shots) == indices(chosen(labels, 8, values=None).shots)


@pytest.mark.parametrize(
    ("labels", "shots", "told"),
    [
        ("aaab", 1, "1 shots in total asked (shots_by: total), but each of 2 labels gets at least one; write"),
        ("aaab", 5, "5 shots in total asked, 4 available; ask for fewer, or"),
        ("aaaa", 3, "3 shots asked, 0 available (per label: b: 0); leave labels without rows out of dataset.labels"),
    ],
)
def test_shots_in_total_that_do_not_go_round(labels: str, shots: int, told: str) -> None:
    with pytest.raises(DataError) as caught:
        chosen(labels, shots, shots_by="total")
    assert str(caught.value).startswith(told)


def of_several(labels: Sequence[str], shots: int, seed: int = 13, **keys: Any) -> list[int]:
    """The shots of rows whose letters are their labels."""
    dataset = DatasetConfig.model_validate({"path": "x", "task_type": "multilabel", "shots": shots, **keys})
    splits = Splits(split("train", labels), None, split("test", ["a"]), {})
    return indices(select(dataset, splits, "label", ("a", "b", "c"), seed, tuple).shots)


SETS = st.lists(st.sampled_from(["", "a", "b", "ab", "abc", "c"]), min_size=20, max_size=60).map(
    lambda own: [*own, "abc"]
)


@settings(max_examples=60, deadline=None)
@given(SETS, st.integers(0, 5), st.integers(1, 6))
def test_rows_of_several_labels_count_for_each_and_are_nested(labels: list[str], seed: int, n: int) -> None:
    few, many = (of_several(labels, shots, seed, if_fewer="use_all") for shots in (n, n + 2))
    assert set(few) <= set(many)
    assert all(labels[index] for index in many)
    for label in "abc":
        there = sum(label in own for own in labels)
        assert sum(label in labels[index] for index in few) >= min(n, there)
        assert len(few) <= sum(min(n, sum(other in own for own in labels)) for other in "abc")


@settings(max_examples=60, deadline=None)
@given(SETS, st.integers(0, 5), st.integers(3, 12))
def test_rows_of_several_labels_in_total_are_so_many_rows(labels: list[str], seed: int, n: int) -> None:
    few, many = (of_several(labels, shots, seed, shots_by="total", if_fewer="use_all") for shots in (n, n + 3))
    assert len(few) == min(n, sum(map(bool, labels)))
    assert set(few) <= set(many)
    assert {label for index in few for label in labels[index]} == {label for own in labels for label in own}


def test_rows_of_several_labels_are_not_counted_twice() -> None:
    assert of_several(["abc"] * 5, 5, shots_by="total") == [0, 1, 2, 3, 4]
    with pytest.raises(DataError, match="6 shots in total asked, 5 available"):
        of_several(["abc"] * 5, 6, shots_by="total")
