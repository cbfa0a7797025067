"""Texts that look alike, and names of which all can be seen."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sft.wording import as_seen, listed, normalised, shown


def test_case_width_and_space_do_not_matter() -> None:
    assert normalised("  Ｇood\tDAY\u00a0 \n") == "good day"
    assert normalised("Straße") == normalised("STRASSE")
    assert normalised("e\u0301") == normalised("é")
    assert normalised("good day!") != normalised("good day")


@given(st.text(alphabet=st.characters(codec=None)))
def test_normalising_twice_changes_nothing(text: str) -> None:
    assert normalised(normalised(text)) == normalised(text)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("café", "cafe\u0301"),
        ("yes", "y\u200bes"),
        ("yes", "\ufeffyes"),
        ("so so", "so\u00a0so"),
        ("spam", "s\u0440am"),
        ("Bar", "\u0412ar"),
        ("caf\u00e9", "caf\u0435\u0301"),
        ("no", "n\u03bf"),
        ("ok", "o\ufe00k"),
        ("ok", "\u03bf\u03ba"),
        ("ok", "\u043e\u043a"),
    ],
)
def test_texts_that_the_eye_cannot_tell_apart_have_one_form(first: str, second: str) -> None:
    assert as_seen(first) == as_seen(second)


@pytest.mark.parametrize(("first", "second"), [("a b", "ab"), ("+", "-"), ("की", "का"), ("да", "нет"), ("Yes", "yes")])
def test_texts_that_it_can_have_two(first: str, second: str) -> None:
    assert as_seen(first) != as_seen(second)


def test_names_are_quoted_where_a_part_could_not_be_seen() -> None:
    assert listed(["text", "label ", "", "a,b", "c\u00a0d", "\ufeffid", "cafe\u0301", "café"]) == (
        "text, 'label ', '', 'a,b', 'c\\xa0d', '\\ufeffid', 'cafe\\u0301', café"
    )
    assert shown("What's new?") == "What's new?"
