"""Which label sets are warned of, and in which words."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sft.labels.ambiguity import ScoredLabels, beginnings, label_warnings

WORDS = ("negative", "neutral", "positive")


def told(
    words: Sequence[str],
    ids: Sequence[Sequence[int]] | None = None,
    normalization: str = "sum",
    end_token: bool = True,
) -> dict[str, str]:
    """The warnings by kind."""
    label_ids = None if ids is None else tuple(tuple(label) for label in ids)
    found = label_warnings(ScoredLabels(tuple(words), label_ids, normalization, end_token))
    assert len({warning.kind for warning in found}) == len(found)
    return dict(found)


@pytest.mark.parametrize("end_token", [True, False])
@pytest.mark.parametrize("normalization", ["sum", "mean"])
def test_ordinary_labels_are_not_warned_of(normalization: str, end_token: bool) -> None:
    assert told(WORDS, [[17728], [30627], [16185]], normalization, end_token) == {}
    assert told(("?", "!"), None, normalization, end_token) == {}
    assert told(("+", "-", "👍", "👎"), None, normalization, end_token) == {}
    assert told(("A", "B", "C"), [[1], [2], [3]], normalization, end_token) == {}


def test_labels_that_differ_in_case_and_punctuation_only() -> None:
    found = told(("Good", "bad", "Good.", "so-so", "So so"))
    assert set(found) == {"look_alike"}
    assert "('Good' and 'Good.', 'so-so' and 'So so')" in found["look_alike"]


@pytest.mark.parametrize(
    ("word", "shown"),
    [
        ("y\u200bes", "'y\\u200bes'"),
        ("\u0443es", "'\\u0443es'"),
        ("ye\u00ads", "'ye\\xads'"),
        ("y\u0435s\u00a0", "'y\\u0435s'"),
    ],
)
def test_labels_that_the_eye_cannot_tell_apart_are_shown_with_escapes(word: str, shown: str) -> None:
    found = told(("yes", "no", word))
    assert set(found) == {"same_to_the_eye"}
    assert f"look the same and are different texts, a class each ('yes' and {shown})" in found["same_to_the_eye"]


def test_gold_values_that_look_the_same_are_told_whatever_their_words() -> None:
    values = ("yes", "no", "yes ")
    (found,) = label_warnings(ScoredLabels(("x", "y", "z"), None, "sum", True, values))
    assert found.kind == "same_to_the_eye"
    assert "('yes' and 'yes ')" in found.text


def test_vowel_signs_are_letters() -> None:
    assert told(("की", "का")) == {}


def test_a_word_that_begins_another_is_told_apart_by_the_stop() -> None:
    found = told(("1", "12", "2", "card lost", "card"), [[1], [1, 2], [2], [3, 4], [3]])
    assert set(found) == {"beginning"}
    assert "('1' of '12', 'card' of 'card lost')" in found["beginning"]
    assert "leave inference.label_scoring.end_token on" in found["beginning"]


def test_without_the_stop_the_shorter_label_always_wins_in_a_sum() -> None:
    found = told(("1", "12", "2"), [[1], [1, 2], [2]], end_token=False)
    assert set(found) == {"token_beginning"}
    assert "'1' of '12'" in found["token_beginning"]
    assert "always scores at least as high" in found["token_beginning"]
    mean = told(("1", "12", "2"), [[1], [1, 2], [2]], "mean", end_token=False)["token_beginning"]
    assert "always" not in mean
    assert "end_token is false" in mean


def test_words_that_begin_alike_and_tokens_that_do_not() -> None:
    found = told(("joy", "joyful"), [[1], [2]], end_token=False)
    assert set(found) == {"open_beginning"}
    assert "nothing says where the shorter one ends" in found["open_beginning"]
    tokens = told(("joy", "ful"), [[1], [1, 2]], end_token=False)
    assert set(tokens) == {"token_beginning"}


def test_labels_of_very_different_lengths_are_told_under_a_sum_only() -> None:
    ids = [[1], [2, 3, 4, 5], [6, 7]]
    found = told(WORDS, ids)
    assert set(found) == {"uneven"}
    assert "1 ('negative') to 4 tokens ('neutral')" in found["uneven"]
    assert "normalization to mean" in found["uneven"]
    assert told(WORDS, ids, "mean") == {}
    assert told(WORDS, [[1], [2, 3, 4], [6, 7]]) == {}


def test_many_pairs_are_shortened() -> None:
    words = [f"{letter}{end}" for letter in "abcde" for end in ("", "x")]
    assert "and 2 more)" in told(words)["beginning"]


@given(st.lists(st.text("ab", min_size=1, max_size=5), unique=True, max_size=12))
def test_beginnings_are_those_of_comparing_every_two(words: list[str]) -> None:
    found = beginnings(words)
    assert all(words[long].startswith(words[short]) and short != long for short, long in found)
    begun = {long for long, word in enumerate(words) for other in words if other != word and word.startswith(other)}
    assert {long for _, long in found} == begun
    assert len(found) == len(begun)
