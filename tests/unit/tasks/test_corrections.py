"""Corrected gold: which rows it reaches, what it leaves alone, and what is refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sft.config.experiment import ExperimentConfig
from sft.data.rows import texts_of
from sft.exceptions import DataError
from sft.tasks.corrections import ScoredInputs, scored
from sft.tasks.inputs import load_inputs, rows_sha256

Raw = Callable[..., dict[str, Any]]
DEV = {"dataset": {"splits": {"dev": "dev"}}}


def scoring(project: Path, raw: Raw, content: str, *patches: Any, name: str = "fixes.csv") -> ScoredInputs:
    (project / name).write_text(content, "utf-8")
    config = ExperimentConfig.model_validate(raw({"dataset": {"corrections": name}}, *patches))
    return scored(load_inputs(config, project, {}), project)


def test_the_rows_that_are_named_have_other_gold_and_nothing_else_moves(project: Path, raw: Raw) -> None:
    found = scoring(project, raw, "source_index,gold,text\n1,bad,x\n2,mixed,as it is\n")
    plain = load_inputs(ExperimentConfig.model_validate(raw()), project, {})
    before, after = plain.evaluated()["test"], found.inputs.evaluated()["test"]
    assert texts_of(before, "label")[:3] == ["bad", "good", "mixed"]
    assert texts_of(after, "label") == ["bad", "bad", *texts_of(before, "label")[2:]]
    assert list(texts_of(after, "text")) == list(texts_of(before, "text"))
    assert list(after[1].values) == list(before[1].values)
    assert found.inputs.selection.shots == plain.selection.shots
    record = found.record("sha256:x")["corrections"]
    assert (record["n_rows"], record["changed"], record["content"]) == (2, {"test": [1]}, "sha256:x")
    assert record["uncorrected_test_rows_sha256"] == rows_sha256(before) != rows_sha256(after)
    assert found.warnings == ["dataset.corrections: fixes.csv changes the gold of 1 of 9 test rows; no model sees it"]


def test_without_a_file_nothing_is_corrected_or_recorded(project: Path, raw: Raw) -> None:
    inputs = load_inputs(ExperimentConfig.model_validate(raw()), project, {})
    found = scored(inputs, project)
    assert (found.inputs is inputs, found.record(None), found.warnings) == (True, {}, [])


def test_dev_rows_are_named_by_a_column(project: Path, raw: Raw) -> None:
    lines = [
        {"source_index": 0, "gold": "good", "split": "dev"},
        {"source_index": 0, "gold": "mixed", "split": "test"},
    ]
    found = scoring(project, raw, "".join(f"{json.dumps(line)}\n" for line in lines), DEV, name="fixes.jsonl")
    golds = {split: texts_of(rows, "label")[0] for split, rows in found.inputs.evaluated().items()}
    assert golds == {"dev": "good", "test": "mixed"}


def test_in_folds_rows_are_scored_by_it_and_shown_as_the_data_has_them(project: Path, raw: Raw) -> None:
    folds = {"dataset": {"path": "data/train.jsonl", "splits": {"folds": 3}}}
    found = scoring(project, raw, "source_index,gold\n0,good\n", folds)
    assert found.changed == {"test": [0]}
    assert texts_of(found.inputs.evaluated()["test"], "label")[:2] == ["good", "good"]
    shown = [row for part in found.inputs.parts for row in part.selection.train if row.source_index == 0]
    assert [row.text("label") for row in shown] == ["bad", "bad"]


def test_rows_that_are_not_sampled_are_known_and_the_sample_stays(project: Path, raw: Raw) -> None:
    cap = {"dataset": {"max_n_test": 3}}
    plain = load_inputs(ExperimentConfig.model_validate(raw(cap)), project, {}).evaluated()["test"]
    indices = [row.source_index for row in plain]
    other = next(index for index in range(9) if index not in indices)
    found = scoring(project, raw, f"source_index,gold\n{other},bad\n{indices[1]},bad\n", cap)
    assert [row.source_index for row in found.inputs.evaluated()["test"]] == indices
    assert set(found.changed["test"]) <= {indices[1]}


def test_a_file_of_a_spreadsheet_is_read_with_its_apostrophes(project: Path, raw: Raw) -> None:
    labels = {"dataset": {"labels": {"bad": "a", "good": "b", "mixed": "c", "-1": "d", "'=": "e"}}}
    found = scoring(project, raw, "source_index;gold\n0.0;'-1\n1;'=\n", labels, {"dataset": {"shots": 0}})
    assert texts_of(found.inputs.evaluated()["test"], "label")[:2] == ["-1", "'="]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("source_index,gold\n1,bad\n40,bad\n99,bad\n", r"fixes\.csv: no evaluated row 40, 99 in test; only these"),
        ("source_index,gold\n1,awful\n", r"gold 'awful' is not in the label set; labels are: bad"),
        ("source_index,gold\n1,bad\n1,mixed\n", r"fixes\.csv, row 2: row 1 has another gold further up"),
        ("source_index,label\n1,bad\n", r"needs the columns source_index and gold"),
        ("source_index,gold\n1,\n", r"row 1: `gold` is empty"),
        ("source_index,gold\nten,bad\n", r"source_index 'ten': must be the number of a row, from 0"),
        ("source_index,gold,split\n1,bad,train\n", r"split 'train': must be test or dev"),
    ],
)
def test_what_is_wrong_with_the_file_is_told(project: Path, raw: Raw, content: str, message: str) -> None:
    with pytest.raises(DataError, match=f"^dataset.corrections: .*{message}"):
        scoring(project, raw, content)


def test_an_index_of_two_splits_is_refused(project: Path, raw: Raw) -> None:
    with pytest.raises(DataError, match=r"there is a row 0 in test and in dev; add a column `split`"):
        scoring(project, raw, "source_index,gold\n0,good\n", DEV)


def test_a_plan_tells_a_missing_file_and_a_wrong_row_in_one_line_each(
    project: Path, raw: Raw, plan_of: Callable[..., Any]
) -> None:
    from sft.config.findings import InvalidExperiments

    (project / "fixes.csv").write_text("source_index,gold\n77,bad\n")
    gone, wrong = ({"dataset": {"corrections": name}} for name in ("gone.csv", "fixes.csv"))
    with pytest.raises(InvalidExperiments) as caught:
        plan_of(project, gone=raw(gone), wrong=raw(wrong))
    told = [(finding["path"], finding["message"]) for finding in caught.value.findings]
    assert [path for path, _ in told] == ["dataset.corrections"] * 2
    assert "gone.csv: no such file" in told[0][1]
    assert "no evaluated row 77" in told[1][1]


def test_the_content_of_the_file_is_in_the_key_of_scoring_alone(
    project: Path, raw: Raw, plan_of: Callable[..., Any]
) -> None:
    def keys() -> Any:
        (planned,) = plan_of(project, a=raw({"dataset": {"corrections": "fixes.csv"}})).named().values()
        return planned.keys

    (project / "fixes.csv").write_text("source_index,gold\n1,bad\n")
    (plain,) = plan_of(project, a=raw()).named().values()
    first = keys()
    (project / "fixes.csv").write_text("source_index,gold\n1,mixed\n")
    second = keys()
    assert (plain.keys.train, plain.keys.row_sets) == (first.train, first.row_sets) == (second.train, second.row_sets)
    assert len({plain.keys.evaluate, first.evaluate, second.evaluate}) == 3
    assert len({plain.keys.baseline, first.baseline, second.baseline}) == 3


def test_a_conversation_keeps_its_prompt(project: Path, raw: Raw) -> None:
    turns = [{"role": "user", "content": "2+2?"}, {"role": "assistant", "content": "5"}]
    for split in ("train", "test"):
        (project / f"{split}.jsonl").write_text(json.dumps({"messages": turns}) + "\n", "utf-8")
    chats = {
        "dataset": {"path": ".", "task_type": "generation", "shots": 1, "labels": None},
        "prompting": {"input_columns": ["messages"], "output_column": "messages"},
    }
    (row,) = scoring(project, raw, "source_index,gold\n0,4\n", chats).inputs.evaluated()["test"]
    assert [row.input_text("messages"), row.text("messages")] == ["2+2?", "4"]


def test_corrected_sets_of_labels_stay_lists(project: Path, raw: Raw, rewrite: Callable[..., None]) -> None:
    for split in ("train", "test"):
        rewrite(project, split, lambda rows: [row | {"topics": [row["label"]]} for row in rows])
    topics = {
        "dataset": {"task_type": "multilabel", "labels_separator": ";"},
        "prompting": {"output_column": "topics"},
    }
    after = scoring(project, raw, "source_index,gold\n1,good;bad\n", topics).inputs.evaluated()["test"]
    assert [after[place].values["topics"] for place in (0, 1)] == [["bad"], ["bad", "good"]]
