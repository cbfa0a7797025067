from pathlib import Path
from typing import Any

import pytest

from sft.wording import (
    LONGEST_CELL,
    and_more,
    clock,
    counted,
    distinct_texts,
    duration,
    one_line,
    plain_text,
    shown_path,
    some,
    whole_clock,
    without_numbers,
)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (10.4, "10 s"),
        (59.6, "1 min"),
        (725, "12 min 5 s"),
        (3600, "1 h"),
        (7980, "2 h 13 min"),
        (360000, "4 d 4 h"),
    ],
)
def test_a_duration_has_one_or_two_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_times_in_narrow_columns() -> None:
    assert [clock(seconds) for seconds in (0, 12.34, 245, 3723)] == ["0.0", "12.3", "4:05", "1:02:03"]
    assert [whole_clock(seconds) for seconds in (0, 9.4, 245, 3723)] == ["0:00", "0:09", "4:05", "1:02:03"]


def test_counts_agree_with_their_noun() -> None:
    assert (counted(1, "stage"), counted(0, "stage")) == ("1 stage", "0 stages")


def test_what_breaks_a_line_or_steers_a_terminal_becomes_a_space() -> None:
    assert one_line("a\nb\x1b[31mc\u2028d\ud83de\t") == "a b [31mc d e"
    assert one_line("Größe 日本") == "Größe 日本"


def test_paths_below_the_working_directory_are_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert shown_path(tmp_path / "results" / "x") == "results/x"
    assert shown_path(Path("/elsewhere/x")) == "/elsewhere/x"


def test_of_many_names_the_first_are_told() -> None:
    assert some(["a", "b"]) == "a, b"
    assert some(["a", "b\n", "c"], shown=2) == "a, b and 1 more"


def test_reasons_are_alike_but_for_their_numbers() -> None:
    one, other = "NaN at step 2 of 300 (rate 1e+30, 1.5 GB)", "NaN at step 17 of 9 (rate 2.5e-05, 20 GB)"
    assert without_numbers(one) == without_numbers(other) != without_numbers("Inf at step 2")


def test_nothing_is_said_of_more_where_all_is_shown() -> None:
    assert [and_more(total, 3) for total in (0, 3, 4)] == ["", "", " and 1 more"]


def test_a_setting_in_a_cell() -> None:
    assert [plain_text(value) for value in (None, True, [1, "b"], 2e-5)] == ["none", "true", "1, b", "2e-05"]
    assert plain_text("x" * 61) == "x" * 59 + "…"


LONG = "Classify the tweet about an airline by its sentiment, and answer with "


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([None, True, 8, [1, "a"]], ["none", "true", "8", "1, a"]),
        ([LONG + "one word"] * 2, ["Classify the tweet about an airline by its sentiment, and a…"] * 2),
        ([f"{LONG}one word", f"{LONG}a sentence"], ["…and answer with one word", "…and answer with a sentence"]),
        ([LONG + "x", LONG + "xy"], ["…and answer with x", "…and answer with xy"]),
        ([0.12345671, 0.12345672], ["0.12345671", "0.12345672"]),
        ([8, 8.0], ["8", "8"]),
        ([True, "true"], ["true", '"true"']),
        ([["a, b"], ["a", "b"]], ['["a, b"]', '["a", "b"]']),
    ],
)
def test_unequal_values_have_unequal_texts(values: list[Any], texts: list[str]) -> None:
    assert distinct_texts(values) == texts


def test_of_several_long_texts_each_is_cut_where_it_differs() -> None:
    far = "and then, after some more words that are the same in both of them, "
    found = distinct_texts([f"{LONG}a", f"{LONG}b {far}c", f"{LONG}b {far}d", "short"])
    assert len(set(found)) == 4
    assert max(map(len, found)) <= LONGEST_CELL
    assert [text[-1] for text in found] == ["a", "c", "d", "t"]
