from collections.abc import Callable

import pytest

from sft.data.profile import lengths
from sft.data.profile.lengths import cut_remarks, length_profile, text_sample, word_counts
from sft.data.rows import Splits


def test_lengths_of_all_texts_and_what_limits_cut(splits_of: Callable[..., Splits]) -> None:
    splits = splits_of(train=[("w " * number, "x") for number in range(1, 96)], test=[("w " * 200, "x")] * 5)
    assert splits.train is not None
    sample = text_sample([splits.train.rows, (), splits.test.rows], "text")
    assert sample is not None
    counts = word_counts(sample.texts)
    profile = length_profile(sample, counts, word_counts(sample.longest), "words", [("a.b", 90), ("a.c", 200)])
    assert (profile.n_rows, profile.n_measured) == (100, 100)
    assert (profile.median, profile.p95, profile.longest) == (50, 95, 200)
    assert [cut.share for cut in profile.cuts] == [pytest.approx(0.10), 0]
    (remark,) = cut_remarks(profile)
    assert remark.text == "a.b 90 cuts 10 % of the texts of 'text'; 95 % of them have at most 95 words"
    assert remark.write == "a.b: 96"


def test_of_many_texts_evenly_spread_ones_are_measured_and_the_longest(
    splits_of: Callable[..., Splits], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lengths, "SAMPLED", 10)
    texts = ["w " * (number % 7 + 1) for number in range(101)]
    texts[55] = "w " * 99
    sample = text_sample([splits_of(test=[(text,) for text in texts]).test.rows], "text")
    assert sample is not None
    assert sample.texts == tuple(texts[::11])
    profile = length_profile(sample, word_counts(sample.texts), word_counts(sample.longest), "words")
    assert (profile.n_rows, profile.n_measured, profile.longest) == (101, 10, 99)


def test_a_column_that_is_not_there_has_no_sample(splits_of: Callable[..., Splits]) -> None:
    assert text_sample([splits_of(test=[("a",)]).test.rows, ()], "label") is None
