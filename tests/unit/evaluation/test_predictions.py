"""Predictions as files: nothing is lost, whatever the text holds."""

import csv
import datetime
import itertools
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sft.data.cells.conversations import Conversation
from sft.evaluation.predictions import (
    Prediction,
    kept_columns,
    prediction_record,
    read_predictions,
    unescape,
    write_predictions,
)

AWKWARD = "\\\t\n\r\x00\x0b\x0c\x1c\x85\u2028\u2029\"'|,é日\U0001f600\ud83dtn0u"
texts = st.text(st.one_of(st.sampled_from(AWKWARD), st.characters()), max_size=12).filter(
    lambda text: not any("\ud800" <= a < "\udc00" <= b < "\ue000" for a, b in itertools.pairwise(text))
)


def write(rows: list[dict[str, Any]], folder: Path) -> tuple[Path, Path]:
    jsonl, tsv = folder / "predictions.jsonl", folder / "predictions.tsv"
    write_predictions(jsonl, tsv, rows)
    return jsonl, tsv


def read_tsv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return [
            {unescape(name): unescape(cell) for name, cell in row.items()}
            for row in csv.DictReader(file, delimiter="\t")
        ]


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=3), texts.filter(bool))
@example([(AWKWARD, "\ud83d")], AWKWARD)
@example([('"quoted', "\\n"), ("\\\\u0000", "\\u2028")], "a\tb")
def test_any_text_comes_back_from_both_files(cells: list[tuple[str, str]], column: str) -> None:
    name = f"{column}."
    rows = [
        prediction_record({name: text}, Prediction(predicted, index, index + 5))
        for index, (text, predicted) in enumerate(cells)
    ]
    with tempfile.TemporaryDirectory() as folder:
        jsonl, tsv = write(rows, Path(folder))
        assert read_predictions(jsonl) == rows
        assert len(jsonl.read_text("utf-8").splitlines()) == len(rows)
        assert len(tsv.read_text("utf-8").splitlines()) == len(rows) + 1
        assert [(row[name], row["predictions"]) for row in read_tsv(tsv)] == cells


def test_columns_stand_in_their_order(tmp_path: Path) -> None:
    prediction = Prediction("good", 0, 7, [3, 1], {"good": -0.5, "bad": -2.0}, {"good": 0.8, "bad": 0.2}, 0.75)
    rows = [prediction_record({"text": "fine", "label": "good"}, prediction)]
    jsonl, tsv = write(rows, tmp_path)
    order = [
        "text", "label", "icl_indices", "predictions", "index", "source_index", "label_logprobs", "probabilities",
        "label_mass",
    ]  # fmt: skip
    assert list(read_predictions(jsonl)[0]) == order
    assert tsv.read_text().splitlines()[0].split("\t") == order
    assert read_tsv(tsv)[0]["icl_indices"] == "[3, 1]"
    assert read_tsv(tsv)[0]["label_mass"] == "0.75"
    assert json.loads(read_tsv(tsv)[0]["probabilities"]) == {"good": 0.8, "bad": 0.2}


def test_generation_has_no_label_columns() -> None:
    assert list(prediction_record({}, Prediction("a text", 0, 0))) == ["predictions", "index", "source_index"]


def test_a_data_column_with_one_of_our_names_is_renamed_and_never_lost() -> None:
    record = prediction_record(
        {"index": "x", "predictions": "y", "data.index": "z", "probabilities": 1}, Prediction("p", 3, 4)
    )
    assert record == {
        "data.data.index": "x", "data.predictions": "y", "data.index": "z", "data.probabilities": 1,
        "predictions": "p", "index": 3, "source_index": 4,
    }  # fmt: skip


def test_missing_is_empty_and_columns_may_differ_by_row(tmp_path: Path) -> None:
    rows = [
        prediction_record({"a": None, "b": {"x": [1, "\n"]}}, Prediction("p", 0, 0)),
        prediction_record({"c": True, "a": 1.5}, Prediction("p", 1, 1)),
    ]
    table = read_tsv(write(rows, tmp_path)[1])
    assert [row["a"] for row in table] == ["", "1.5"]
    assert [row["c"] for row in table] == ["", "true"]
    assert json.loads(table[0]["b"]) == {"x": [1, "\n"]}


def test_values_that_json_does_not_know_are_written_plainly() -> None:
    values = {
        "nan": float("nan"),
        "array": np.array([1, 2]),
        "number": np.float32(0.5),
        "day": datetime.date(2024, 2, 3),
    }
    record = prediction_record(values, Prediction("p", 0, 0))
    assert [record[name] for name in values] == [None, [1, 2], 0.5, "2024-02-03"]


def test_kept_columns_always_have_the_output_column() -> None:
    row = {"id": 1, "text": "a", "label": "b"}
    assert kept_columns(row, None, "label") == row
    assert kept_columns(row, ["id"], "label") == {"id": 1, "label": "b"}
    assert kept_columns({"id": 1}, [], "label") == {}


def test_the_record_of_a_conversation_has_its_answer_and_the_turns_before_it() -> None:
    turns = [{"role": "user", "content": "2+2?"}, {"role": "assistant", "content": "4"}]
    values = {"id": 1, "messages": Conversation(turns)}
    whole = {"id": 1, "messages": "4", "messages.prompt": turns[:1]}
    assert kept_columns(values, None, "messages") == whole
    assert kept_columns(values, ["id"], "messages") == {"id": 1, "messages": "4"}
