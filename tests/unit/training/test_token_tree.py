"""The tree of a batch beside a slow one that looks at each pair of tokens."""

import random

import numpy as np
import pytest

from sft.training.token_tree import TokenTree, runs_as_tree


def made_rows(seed: int) -> list[tuple[int, ...]]:
    """Rows of few different tokens, so that beginnings of all lengths are shared; some are equal."""
    chance = random.Random(seed)
    rows = [tuple(chance.randrange(2) for _ in range(chance.randrange(1, 8))) for _ in range(chance.randrange(1, 9))]
    return [*rows, rows[0]]


def beginnings(rows: list[tuple[int, ...]]) -> set[tuple[int, ...]]:
    return {row[: end + 1] for row in rows for end in range(len(row))}


@pytest.mark.parametrize("seed", range(30))
def test_each_token_stands_once_and_sees_what_stands_before_it_in_its_rows(seed: int) -> None:
    rows = made_rows(seed)
    tree = TokenTree.of(rows)
    whole = {}
    for row, path in zip(rows, tree.paths, strict=True):
        assert tuple(tree.ids[path]) == row
        assert tree.depths[path].tolist() == list(range(len(row)))
        whole |= {int(place): row[: depth + 1] for depth, place in enumerate(path)}
    assert len(tree.ids) == len(whole) == len(beginnings(rows))
    for seen, start in whole.items():
        for seeing, sequence in whole.items():
            assert (seen <= seeing < tree.ends[seen]) == (sequence[: len(start)] == start), (start, sequence)


def test_rows_without_anything_in_common_stand_one_after_the_other() -> None:
    tree = TokenTree.of([(5, 6), (1, 2, 3)])
    assert tree.ids.tolist() == [1, 2, 3, 5, 6]
    assert tree.ends.tolist() == [3, 3, 3, 5, 5]
    assert [path.tolist() for path in tree.paths] == [[3, 4], [0, 1, 2]]
    assert all(array.dtype == np.int64 for array in (tree.ids, tree.depths, tree.ends))


@pytest.mark.parametrize(
    ("shared", "own", "rows", "expected"),
    [(30, 30, 4, True), (0, 30, 4, False), (2, 500, 8, False), (900, 20, 8, True), (60, 0, 2, True)],
)
def test_a_tree_is_run_where_it_is_clearly_cheaper(shared: int, own: int, rows: int, expected: bool) -> None:
    made = [tuple(range(shared)) + (1000 + number,) * own for number in range(rows)]
    assert runs_as_tree(made, shared + own, 64, attends_in_full=False) is expected


def test_products_of_all_pairs_of_tokens_are_not_held_for_more_pairs_than_before() -> None:
    made = [tuple(range(200)) + (1000 + number,) * 200 for number in range(8)]
    assert runs_as_tree(made, 400, 4096, attends_in_full=False)
    assert not runs_as_tree(made, 400, 4096, attends_in_full=True)
