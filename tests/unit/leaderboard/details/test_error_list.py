"""`sft errors`: which rows, in which order, and what is said where there are none."""

import csv
import io
from pathlib import Path

import pytest
from rich.cells import cell_len

import sft
from sft.evaluation.predictions import Prediction, prediction_record, read_predictions, write_predictions
from sft.exceptions import UserError
from sft.leaderboard.collect import ExperimentRecord
from sft.leaderboard.details.error_list import ErrorList, ErrorRequest, error_list
from sft.leaderboard.joining import collect
from sft.reporting.error_rows import error_csv, error_record
from sft.runs.files import JobFolder
from sft.terminal.error_rows import error_text
from sft.terminal.screen import Screen
from tests.support.records import config
from tests.support.results import ResultsBuilder

LABELS = ("a", "b", "c")
ROWS = [("a", (0.9, 0.1, 0.0)), ("a", (0.3, 0.7, 0.0)), ("c", (0.2, 0.79, 0.01)), ("b", (0.5, 0.1, 0.4))]
"""Gold and probabilities: row 0 is right."""
TEXT = '=HYPERLINK("http://x")'


def recorded(tmp_path: Path, rows: list[tuple[str, tuple[float, ...]]] = ROWS) -> ExperimentRecord:
    """An experiment with these predictions; the n-th is of row 10 n of the data."""
    made = ResultsBuilder(tmp_path / "results")
    job = made.done("one", "1", config(), {"results": {"accuracy": 0.25}, "data": {}, "details": {}})
    records = []
    for index, (gold, found) in enumerate(rows):
        probabilities = dict(zip(LABELS, found, strict=True))
        said = max(probabilities, key=lambda label: probabilities[label])
        columns = {"text": TEXT if index == 2 else f"text {index}", "label": gold}
        records.append(prediction_record(columns, Prediction(said, index, 10 * index, probabilities=probabilities)))
    write_predictions(job.predictions("test", "jsonl"), job.predictions("test", "tsv"), records)
    return collect([made.results]).in_grid[0]


def indices(found: ErrorList) -> list[int]:
    return [row.index for row in found.rows]


def test_wrong_rows_come_with_the_surest_first(tmp_path: Path) -> None:
    found = error_list(recorded(tmp_path), ErrorRequest())
    assert (found.n_rows, found.n_wrong) == (4, 3)
    assert indices(found) == [2, 3, 1]
    assert [row.source_index for row in found.rows] == [20, 30, 10]


@pytest.mark.parametrize(
    ("gold", "said", "expected"), [("a", None, [1]), (None, "b", [2, 1]), ("c", "b", [2]), ("c", "a", [])]
)
def test_gold_and_said_choose_a_confusion(tmp_path: Path, gold: str, said: str, expected: list[int]) -> None:
    found = error_list(recorded(tmp_path), ErrorRequest(gold, said))
    assert (indices(found), found.n_wrong) == (expected, 3)


@pytest.mark.parametrize(
    ("gold", "said", "expected"), [(None, None, [1, 0]), ("a", None, [1, 0]), ("b", "a", [0]), (None, "b", [1])]
)
def test_rows_of_several_labels_are_chosen_by_one_of_them(
    tmp_path: Path, gold: str | None, said: str | None, expected: list[int]
) -> None:
    """The probability of exactly the gold set: 0.9 * 0.4 of the first row, 0.2 * 0.3 of the second."""
    made = ResultsBuilder(tmp_path / "results")
    job = made.done("one", "1", config(dataset={"task_type": "multilabel"}), {"results": {"micro_f1": 0.5}})
    rows = [(["a", "b"], ["a"], (0.9, 0.4)), (["a"], ["b"], (0.2, 0.7)), ([], [], (0.1, 0.2))]
    records = [
        prediction_record(
            {"text": f"text {index}", "label": own},
            Prediction(list(given), index, index, probabilities=dict(zip("ab", found, strict=True))),
        )
        for index, (own, given, found) in enumerate(rows)
    ]
    write_predictions(job.predictions("test", "jsonl"), job.predictions("test", "tsv"), records)
    found = error_list(collect([made.results]).in_grid[0], ErrorRequest(gold, said))
    assert (indices(found), found.n_wrong) == (expected, 2)
    if gold == "b":
        assert found.rows[0].gold_probability == pytest.approx(0.9 * 0.4)
        assert found.rows[0].said_probability == pytest.approx(0.9 * 0.6)


def test_texts_that_are_measured_whole_are_listed_by_perplexity(tmp_path: Path) -> None:
    made = ResultsBuilder(tmp_path / "results")
    own = config(dataset={"task_type": "text"}, prompting={"input_columns": ["label"]})
    made.answered("one", "1", own, ["12.5", "810", "34"], {"label": ["the cat sat", "a dog", "the sun"]})
    found = error_list(collect([made.results]).in_grid[0], ErrorRequest())
    text = error_text(found, 10, Screen())
    assert indices(found) == [1, 2, 0]
    assert text.startswith("one [10000000]: 3 test rows; the worst perplexity first.")
    assert "row 1: perplexity 810\n    a dog" in text
    assert "wrong" not in text


def test_what_is_not_there_is_told_in_one_line(tmp_path: Path) -> None:
    record = recorded(tmp_path)
    with pytest.raises(UserError, match=r"--gold: unknown label 'z'; known: a, b, c"):
        error_list(record, ErrorRequest(gold="z"))
    with pytest.raises(UserError, match="has no dev rows: --split test"):
        error_list(record, ErrorRequest(split="dev"))
    with pytest.raises(UserError, match="must be test or dev"):
        ErrorRequest(split="train")
    JobFolder(record.folder).predictions("test", "jsonl").unlink()
    with pytest.raises(UserError, match="no predictions of test rows with the column 'label' can be read"):
        error_list(record, ErrorRequest())


def test_the_text_fits_its_terminal_and_names_the_row(tmp_path: Path) -> None:
    rows = [*ROWS, ("a", (0.0, 0.6, 0.4))]
    text = error_text(error_list(recorded(tmp_path, rows), ErrorRequest()), 2, Screen(width=40))
    assert max(cell_len(line) for line in text.split("\n")) <= 40
    assert "4 of 5 test rows wrong" in text.replace("\n", " ").replace("  ", " ")
    assert text.index("row 40") < text.index("row 20")
    assert "row 30" not in text


def test_generated_texts_with_the_fewest_shared_words_are_first_and_have_no_labels(tmp_path: Path) -> None:
    made = ResultsBuilder(tmp_path / "results")
    own = config(dataset={"task_type": "generation"})
    gold = ["the cat sat", "a dog", "the sun"]
    made.answered("one", "1", own, ["the cat ran", "the sun", "the sun "], {"text": ["x", "y", "z"], "label": gold})
    record = collect([made.results]).in_grid[0]
    found = error_list(record, ErrorRequest())
    assert (indices(found), found.has_labels) == ([1, 0], False)
    assert "0.67 of the words shared" in error_text(found, 10, Screen())
    with pytest.raises(UserError, match="writes texts and has no labels; leave --said out"):
        error_list(record, ErrorRequest(said="the sun"))


def test_generated_texts_are_right_and_wrong_as_their_experiment_compares_them(tmp_path: Path) -> None:
    made = ResultsBuilder(tmp_path / "results")
    own = config(
        dataset={"task_type": "generation"}, evaluation={"metrics": ["exact_match"], "exact_match_ignore_case": True}
    )
    made.answered("one", "1", own, ["The Sun", "a cat"], {"text": ["x", "y"], "label": ["the sun", "a dog"]})
    found = error_list(collect([made.results]).in_grid[0], ErrorRequest())
    assert (indices(found), found.n_wrong) == ([1], 1)


def test_the_file_runs_no_formula_and_the_record_has_texts_as_they_are(tmp_path: Path) -> None:
    found = error_list(recorded(tmp_path), ErrorRequest())
    cells = list(csv.DictReader(io.StringIO(error_csv(found), newline="")))
    assert [cell["source_index"] for cell in cells] == ["20", "30", "10"]
    assert (cells[0]["text"], cells[0]["gold"], cells[0]["gold_probability"]) == (f"'{TEXT}", "c", "0.01")
    record = error_record(found, 1)
    assert (record["n_wrong"], record["n_asked"], [row["text"] for row in record["rows"]]) == (3, 3, [TEXT])


def test_from_python_errors_are_found_and_written(tmp_path: Path) -> None:
    recorded(tmp_path)
    found = sft.errors("one", tmp_path / "results", csv=tmp_path / "new" / "wrong.csv")
    assert indices(found) == [2, 3, 1]
    assert len((tmp_path / "new" / "wrong.csv").read_text().splitlines()) == 4
    with pytest.raises(UserError, match=r"--csv .*new: .*new is a folder"):
        sft.errors("1", tmp_path / "results", csv=tmp_path / "new")
    with pytest.raises(UserError, match="no experiment is called 'two'"):
        sft.errors("two", tmp_path / "results")


def test_predictions_without_input_columns_say_so(tmp_path: Path) -> None:
    record = recorded(tmp_path)
    job = JobFolder(record.folder)
    lines = read_predictions(job.predictions("test", "jsonl"))
    bare = [{key: value for key, value in line.items() if key != "text"} for line in lines]
    write_predictions(job.predictions("test", "jsonl"), job.predictions("test", "tsv"), bare)
    found = error_list(record, ErrorRequest())
    assert not found.has_texts
    assert "keep no input column (`dataset.keep_columns`)" in error_text(found, 10, Screen())
