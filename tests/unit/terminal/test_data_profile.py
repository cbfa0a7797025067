from sft.data.profile.lengths import Cut, LengthProfile
from sft.data.profile.profile import DataProfile
from sft.data.profile.remark import Remark
from sft.data.profile.splits import SplitProfile
from sft.terminal.data_profile import data_lines

TEXT = LengthProfile("text", "tokens", 3000, 1500, 21, 37, 52, (Cut("prompting.max_input_length", 32, 0.123),), ("m",))
CODES = Remark("label_codes", "the labels look like codes " + "and more of it " * 5, "dataset.labels: {}")


def _split(name: str, n_rows: int, counts: dict[str, int] | None, n_dropped: int = 0) -> SplitProfile:
    n_used = n_rows if counts is None else sum(counts.values())
    return SplitProfile(name, n_rows, n_used, n_dropped, counts, counts)


def _profile(*splits: SplitProfile, caps: dict[str, int] | None = None) -> DataProfile:
    return DataProfile("data", caps or {}, None, ("a", "b"), ("text",), "label", splits, (CODES,), (TEXT,))


def test_labels_by_split_then_lengths_then_what_to_write() -> None:
    train, test = _split("train", 1200, {"bad": 800, "good": 400}), _split("test", 90, {"bad": 20, "good": 0})
    assert data_lines([_profile(train, test)]) == [
        "",
        "Data: data",
        "        train      test",
        "  bad     800        20",
        "  good    400         0",
        "  rows  1,200  20 of 90",
        "  text: median 21, 95 % up to 37, longest 52 tokens (1,500 of 3,000 measured);",
        "    max_input_length 32 cuts 12.3 %",
        "  - the labels look like codes and more of it and more of it and more of it and",
        "    more of it and more of it",
        "    write dataset.labels: {}",
    ]


def test_many_labels_are_told_by_their_rarest() -> None:
    counts = {f"label{number}": number for number in range(1, 78)}
    lines = data_lines([_profile(_split("train", 3003, counts), _split("test", 9, None))])
    assert lines[2:4] == [
        "  rows: train 3,003, test 9",
        "  77 labels with 1 to 77 train rows; fewest: label1 1, label2 2, label3 3",
    ]
    assert max(map(len, lines)) <= 80


def test_rows_that_were_left_out_are_told_by_split() -> None:
    lines = data_lines([_profile(_split("train", 9, None, 1200), _split("test", 9, None))])
    assert lines[3] == "  left out for an empty cell: 1,200 train rows"


def test_a_remark_that_data_sections_share_is_told_once() -> None:
    profiles = [_profile(_split("test", 9, None), caps={"max_n_test": cap}) for cap in range(7)]
    lines = data_lines(profiles)
    assert "Data: data, max_n_test 0 (a, b)" in lines
    assert sum("dataset.labels" in line for line in lines) == 1
    assert lines[-1] == "  ... and 2 more (--json has all)"
