import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sft.data.in_context import ExampleSource, Round
from sft.data.rows import Row
from sft.exceptions import UserError

VALUES = ("a", "b", "c")


def pool(n: int, labels: Sequence[str] = VALUES) -> list[Row]:
    return [Row(10 + i, {"label": labels[i % len(labels)]}) for i in range(n)]


def source(
    k: int, n: int = 15, seed: int = 13, values: Sequence[str] | None = VALUES, if_fewer: str = "error"
) -> ExampleSource:
    return ExampleSource(pool(n), "label", values, k, seed, if_fewer)


def indices(rounds: Sequence[Round]) -> list[list[int]]:
    return [[row.source_index for row in one] for one in rounds]


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 4), st.integers(0, 9), st.integers(15, 40))
def test_a_round_has_each_label_once_and_no_row_comes_twice(k: int, seed: int, n: int) -> None:
    for rounds in (source(k, n, seed).fixed(), source(k, n, seed).drawn("test:3", None)):
        assert len(rounds) == k
        assert all(sorted(row.text("label") for row in one) == list(VALUES) for one in rounds)
        drawn = [index for one in indices(rounds) for index in one]
        assert len(set(drawn)) == 3 * k


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 4), st.integers(0, 9), st.sampled_from([None, 12, 20]))
def test_the_k_examples_are_the_first_of_the_k_plus_one(k: int, seed: int, exclude: int | None) -> None:
    fewer, more = source(k, 20, seed), source(k + 1, 20, seed)
    assert more.fixed()[:k] == fewer.fixed()
    assert more.drawn("train:1", exclude)[:k] == fewer.drawn("train:1", exclude)


@settings(max_examples=50, deadline=None)
@given(st.integers(10, 24), st.integers(0, 9))
def test_a_training_row_is_never_its_own_example(exclude: int, seed: int) -> None:
    rounds = source(4, 15, seed).drawn(f"train:{exclude}", exclude)
    assert len(rounds) == 4
    assert all(exclude not in one for one in indices(rounds))


def test_label_order_and_rows_move_with_seed_and_row() -> None:
    orders = {tuple(row.text("label") for row in one) for seed in range(30) for one in source(2, seed=seed).fixed()}
    assert len(orders) == 6
    assert source(2, seed=1).fixed() != source(2, seed=2).fixed()
    assert source(2).drawn("test:1", None) != source(2).drawn("test:2", None)
    assert source(2).drawn("test:1", None) == source(2).drawn("test:1", None)
    assert indices(source(2).fixed()) == [[11, 24, 10], [21, 19, 14]]


def test_generation_rounds_are_single_rows() -> None:
    rounds = source(4, values=None).fixed()
    assert [len(one) for one in rounds] == [1, 1, 1, 1]
    assert source(0, values=None).fixed() == ()


def test_too_many_names_the_largest_that_works() -> None:
    with pytest.raises(UserError) as caught:
        source(4, n=10)
    assert "icl_examples: 4 asked, the largest that works is 3 (per label: b: 3, c: 3)" in str(caught.value)
    with pytest.raises(UserError, match="the largest that works is 2;"):
        source(4, n=2, values=None)


def test_training_leaves_one_row_out() -> None:
    source(5).fixed()
    source(4).check_leave_one_out()
    with pytest.raises(UserError, match=r"5 asked, the largest that works is 4 .* never its own example"):
        source(5).check_leave_one_out()
    with pytest.raises(UserError, match="for row 10, which is never its own example"):
        source(5).drawn("train:10", 10)


def test_use_all_goes_on_with_what_there_is() -> None:
    few = source(9, n=7, if_fewer="use_all")
    few.check_leave_one_out()
    assert [len(one) for one in few.fixed()] == [3, 3, 1]
    assert [len(one) for one in few.drawn("train:10", 10)] == [3, 3]
    assert source(2, n=0, if_fewer="use_all").fixed() == ()


def test_one_row_of_a_large_pool_is_drawn_without_walking_it() -> None:
    class Counted(list[Row]):
        reads = 0

        def __getitem__(self, position):  # type: ignore[no-untyped-def]
            Counted.reads += 1
            return super().__getitem__(position)

    large = ExampleSource(pool(3000), "label", VALUES, 4, 13, "error")
    large._groups = {label: Counted(rows) for label, rows in large._groups.items()}
    large.drawn("test:1", 10)
    assert Counted.reads <= 2 * (3 * 4 + 1)  # each is read for its index, and once more when it is taken


def test_rows_of_other_labels_are_never_examples() -> None:
    mixed = ExampleSource(pool(12, ("a", "z", "b", "c")), "label", VALUES, 3, 13, "error")
    assert {row.text("label") for one in mixed.fixed() for row in one} == set(VALUES)


RANKINGS = st.integers(0, 99).map(lambda seed: random.Random(seed).sample(range(20), 20))


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 5), RANKINGS, st.sampled_from([None, 12, 20]))
def test_the_nearest_are_the_first_of_each_label_and_the_most_similar_stands_last(
    k: int, ranking: list[int], exclude: int | None
) -> None:
    rounds = source(k, 20).nearest("test:1", iter(ranking), exclude)
    assert len(rounds) == k
    for label in VALUES:
        ranked = [pool(20)[position] for position in ranking]
        wanted = [row.source_index for row in ranked if row.text("label") == label and row.source_index != exclude]
        shown = [row.source_index for one in rounds for row in one if row.text("label") == label]
        assert shown == wanted[:k][::-1]


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 4), st.integers(0, 9), RANKINGS, st.sampled_from([None, 12, 20]))
def test_the_k_nearest_are_the_last_of_the_k_plus_one(
    k: int, seed: int, ranking: list[int], exclude: int | None
) -> None:
    fewer, more = (source(n, 20, seed).nearest("train:1", ranking, exclude) for n in (k, k + 1))
    assert more[len(more) - k :] == fewer


def test_of_the_nearest_seed_and_row_move_the_order_of_labels_only() -> None:
    ranking = range(15)
    drawn = [source(3, seed=seed).nearest(f"test:{row}", ranking, None) for seed in range(5) for row in range(5)]
    assert len({tuple(map(tuple, indices(rounds))) for rounds in drawn}) > 9
    assert {tuple(tuple(sorted(one)) for one in indices(rounds)) for rounds in drawn} == {
        ((16, 17, 18), (13, 14, 15), (10, 11, 12))
    }


def test_the_nearest_of_a_generation_are_single_rows_whatever_the_seed() -> None:
    rounds = [source(3, seed=seed, values=None).nearest("test:1", [4, 0, 9, 2], 10) for seed in range(5)]
    assert all(indices(one) == [[12], [19], [14]] for one in rounds)


def test_too_few_nearest_are_an_error_or_all_there_are() -> None:
    with pytest.raises(UserError, match="for row 10, which is never its own example"):
        source(5).nearest("train:10", range(15), 10)
    few = source(9, n=7, if_fewer="use_all")
    assert [sorted(one) for one in indices(few.nearest("test:1", range(7), None))] == [
        [16],
        [13, 14, 15],
        [10, 11, 12],
    ]
    assert [sorted(one) for one in indices(few.nearest("train:10", range(7), 10))] == [[14, 15, 16], [11, 12, 13]]
    assert source(2, n=0, if_fewer="use_all").nearest("test:1", [], None) == ()


def test_a_ranking_is_read_no_further_than_it_takes() -> None:
    ranking = iter(range(15))
    source(2).nearest("test:1", ranking, None)
    assert next(ranking) == 7  # six rows, and one to see that none is missing


def test_rows_of_other_labels_are_never_nearest() -> None:
    mixed = ExampleSource(pool(12, ("a", "z", "b", "c")), "label", VALUES, 3, 13, "error")
    shown = mixed.nearest("test:1", range(12), None)
    assert {row.text("label") for one in shown for row in one} == set(VALUES)
