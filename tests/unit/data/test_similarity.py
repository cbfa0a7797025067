"""Likeness of texts, against cosines that are computed word by word."""

import math
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sft.data.similarity import EmbeddingRanking, WordRanking

POOL = ["the cat sat", "A dog barked at the CAT", "dogs bark", "the the the", "x y z", "!?"]
WORDS = st.sampled_from(["cat", "dog", "The", "sat", "x", "Ärger", "7", "!"])
TEXTS = st.lists(WORDS, max_size=6).map(" ".join)


def words(text: str) -> Counter[str]:
    return Counter(re.findall(r"\w+", text.lower()))


def cosine(pool: Sequence[str], first: str, second: str) -> float:
    """By the formula in the docstring, with a dictionary for a vector."""
    rarity = {
        word: math.log((1 + len(pool)) / (1 + sum(word in words(text) for text in pool))) + 1
        for text in pool
        for word in words(text)
    }
    one, other = (
        {word: n * rarity[word] for word, n in words(text).items() if word in rarity} for text in (first, second)
    )
    lengths = math.hypot(*one.values()) * math.hypot(*other.values())
    return sum(value * other.get(word, 0.0) for word, value in one.items()) / lengths if lengths else 0.0


def brute_force(pool: Sequence[str], text: str) -> list[int]:
    return sorted(range(len(pool)), key=lambda position: (-round(cosine(pool, text, pool[position]), 6), position))


@pytest.mark.parametrize("text", ["a cat", "The dog at the door", "dogs", "x", "nothing known", "", "the the cat y"])
def test_the_order_is_that_of_cosines_computed_by_hand(text: str) -> None:
    assert WordRanking(POOL).order(text) == brute_force(POOL, text)


@settings(max_examples=100, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=8), TEXTS)
def test_any_pool_is_ordered_as_by_hand(pool: list[str], text: str) -> None:
    assert WordRanking(pool).order(text) == brute_force(pool, text)


def test_an_equal_text_is_the_nearest_and_ties_keep_the_order_of_the_pool() -> None:
    pool = ["b a", "c", "a b", "A B", "c"]
    assert WordRanking(pool).order("a b") == [0, 2, 3, 1, 4]
    assert WordRanking(pool).order("nothing known") == [0, 1, 2, 3, 4]
    assert WordRanking(["!", "?"]).order("a") == [0, 1]


def test_words_of_one_letter_count() -> None:
    assert WordRanking(["b c", "a c"]).order("a") == [1, 0]


def test_what_was_asked_before_changes_nothing() -> None:
    """The vocabulary and the weights are those of the pool: no other row has a part in them."""
    pool = ["cat", "dog", "dog"]
    assert WordRanking(pool).order("cat dog") == [0, 1, 2]  # the rarer word weighs more
    ranking = WordRanking(pool)
    ranking.prepare(["cat"] * 9)
    ranking.order("cat cat")
    assert ranking.order("cat dog") == [0, 1, 2]


class Encoder:
    """Two numbers per text: on a circle, by its length."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        self.asked.append(list(texts))
        return np.array([[math.cos(len(text) / 10), math.sin(len(text) / 10)] for text in texts], np.float32)


def test_vectors_order_by_their_cosine() -> None:
    ranking = EmbeddingRanking(["aaaa", "a", "aaa", "bbbb"], Encoder())
    assert ranking.order("aa") == [1, 2, 0, 3]
    assert ranking.order("xxxxxx") == [0, 3, 2, 1]


def test_all_announced_texts_are_encoded_at_once_and_each_once() -> None:
    encoder = Encoder()
    ranking = EmbeddingRanking(["a", "b", "a"], encoder)
    assert encoder.asked == []
    ranking.prepare(["c", "a", "c"])
    assert encoder.asked == [["a", "b", "c"]]
    ranking.order("c")
    ranking.prepare(["b", "d"])
    assert encoder.asked[1:] == [["d"]]
    ranking.order("new")
    assert encoder.asked[2:] == [["new"]]


def test_the_rounding_of_sums_is_no_difference() -> None:
    def noisy(texts: Sequence[str]) -> np.ndarray:
        return np.array([[1 - 1e-7 * number, 0] for number, _ in enumerate(texts)])

    assert EmbeddingRanking(["a", "b", "c"], noisy).order("d") == [0, 1, 2]
    assert EmbeddingRanking(["a", "b", "c"], lambda texts: noisy(texts)[::-1]).order("d") == [0, 1, 2]
