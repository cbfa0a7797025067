from sft.data.leaks import count_leaks, normalised_input
from sft.data.rows import Row


def _rows(column: str, *texts: str) -> list[Row]:
    return [Row(number, {column: text}) for number, text in enumerate(texts)]


def test_each_used_text_counts() -> None:
    assert count_leaks(_rows("x", "A", "a ", "b", "c"), _rows("x", "a", "a", "C"), ["x"]) == 3
    assert count_leaks([], _rows("x", "a"), ["x"]) == 0
    assert count_leaks(_rows("x", " ", "b"), _rows("x", "", "a"), ["x"]) == 1


def test_columns_that_only_read_alike_one_after_the_other_are_no_leak() -> None:
    seen = Row(0, {"title": "Late again", "text": "train"})
    moved, same = Row(1, {"title": "Late", "text": "again train"}), Row(2, {"title": "late  again", "text": "Train"})
    assert count_leaks([seen], [moved], ["title", "text"]) == 0
    assert count_leaks([seen], [moved, same], ["title", "text"]) == 1


def test_input_of_several_columns() -> None:
    row = Row(0, {"a": "X y", "b": None, "c": True})
    assert normalised_input(row, ["a", "b", "c"]) == "x y\x1f\x1ftrue"
    assert normalised_input(Row(0, {"a": " ", "b": None}), ["a", "b"]) == ""
    assert normalised_input(Row(0, {"a": "x", "b": ""}), ["a", "b"]) != normalised_input(
        Row(0, {"a": "", "b": "x"}), ["a", "b"]
    )
