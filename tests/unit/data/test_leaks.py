from sft.data.leaks import count_leaks, normalised_input
from sft.data.rows import Row


def test_each_used_text_counts() -> None:
    assert count_leaks(["A", "a ", "b", "c"], ["a", "a", "C"]) == 3
    assert count_leaks([], ["a"]) == 0


def test_input_of_several_columns() -> None:
    row = Row(0, {"a": "X y", "b": None, "c": True})
    assert normalised_input(row, ["a", "b", "c"]) == "x y\x1f\x1ftrue"
    assert normalised_input(Row(0, {"a": " ", "b": None}), ["a", "b"]) == ""
    assert normalised_input(Row(0, {"a": "x", "b": ""}), ["a", "b"]) != normalised_input(
        Row(0, {"a": "", "b": "x"}), ["a", "b"]
    )
