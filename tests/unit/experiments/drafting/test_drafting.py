"""A first grid says what it found, and is a grid that passes its checks as it is and with every knob switched on."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sft import api
from sft.exceptions import UserError
from sft.experiments.drafting.draft import draft
from sft.experiments.drafting.reading import bring
from sft.experiments.grids.loading import GridOptions, load_grid
from sft.experiments.planning.plan import GridPlan
from sft.experiments.planning.planning import plan_grid
from tests.support.tickets import SWITCHED_OFF, TICKETS, write_tickets


def test_a_csv_file_becomes_a_grid_that_runs_and_so_do_its_knobs(
    brought: Path, checked: Callable[..., tuple[str, GridPlan]]
) -> None:
    write_tickets(brought / "tickets.csv", TICKETS, ";", "cp1252")
    text, plan = checked("tickets.csv", ["subject,text"], "category")
    assert text.startswith("// From tickets.csv: 90 rows, csv in cp1252 with semicolons between columns.\n")
    assert list(plan.named()) == ["icl", "lora", "zero"]
    config = plan.experiments[0].experiment.config
    assert config.dataset.model_dump(exclude_unset=True) == {
        "path": "tickets.csv",
        "read": {"encoding": "cp1252"},
        "task_type": "classification",
        "labels": ["billing", "bug", "other"],
        "splits": {"folds": 5},
        "shots": 8,
    }
    assert config.prompting.input_columns == ["subject", "text"]
    assert "// Or, in place of that line: splits: { test: 0.3 }," in text
    assert plan.data[0].remarks == ()
    switched = text.replace("Qwen/Qwen2.5-1.5B-Instruct", "model")
    (brought / "grid.jsonnet").write_text(SWITCHED_OFF.sub(r"\1", switched))
    wide = plan_grid(load_grid("grid.jsonnet", GridOptions()), {})
    assert len(wide.experiments) == 6 * 2 * 2 * 3
    assert {planned.experiment.config.prompting.max_input_length for planned in wide.experiments} == {256}


def test_codes_get_a_map_to_fill_in_and_rare_labels_all_they_have(
    brought: Path, checked: Callable[..., tuple[str, GridPlan]]
) -> None:
    write_tickets(brought / "a.csv", {"0": 60, "1": 60, "9": 4})
    text, plan = checked("a.csv", ["text"], "category")
    config = plan.experiments[0].experiment.config
    assert config.dataset.labels == {"0": "0", "1": "1", "9": "9"}
    assert config.dataset.if_fewer == "use_all"
    assert "labels with few rows for shots: '9' 4" in text
    assert config.dataset.splits.test == 0.3  # five folds would each need a row of it
    assert "instruction: 'Classify the text by category. Answer with one of: {labels}.'" in text


@pytest.mark.parametrize(
    ("n_rows", "splits"),
    [(299, {"folds": 5}), (300, {"test": 0.3}), (1000, {"test": 0.3, "dev": 0.15})],
)
def test_few_rows_are_cut_into_folds_and_many_into_shares(brought: Path, n_rows: int, splits: dict[str, Any]) -> None:
    write_tickets(brought / "a.csv", {"bad": n_rows // 2, "good": n_rows - n_rows // 2})
    assert draft(bring("a.csv", brought), ["text"], "category", None, None).splits.written == splits


def test_splits_that_lie_there_are_used_by_their_names(checked: Callable[..., tuple[str, GridPlan]]) -> None:
    text, plan = checked("data", ["text"], "label")
    dataset = plan.experiments[0].experiment.config.dataset
    assert (dataset.splits.train, dataset.splits.dev, dataset.splits.test) == ("train", "dev", "test")
    assert "splits: { dev: 'dev' }" in text


def test_a_test_split_without_labels_is_not_taken_for_one(
    brought: Path, checked: Callable[..., tuple[str, GridPlan]]
) -> None:
    (brought / "data" / "dev.jsonl").unlink()
    (brought / "data" / "test.jsonl").write_text('{"text": "new"}\n')
    write_tickets(brought / "data" / "train.csv", TICKETS)
    (brought / "data" / "train.jsonl").unlink()
    text, plan = checked("data", ["text"], "category")
    dataset = plan.experiments[0].experiment.config.dataset
    assert (dataset.path, dataset.splits.folds) == ("data/train.csv", 5)
    assert "only 'train' has that column" in text


def test_rows_that_cannot_be_used_are_dropped_and_counted(
    brought: Path, checked: Callable[..., tuple[str, GridPlan]]
) -> None:
    write_tickets(brought / "a.csv", {"billing": 40, "bug": 40, "": 3})
    text, plan = checked("a.csv", ["text"], "category")
    assert "on_missing: 'drop',  // leaves out 3 rows with an empty cell, 3 without 'category'" in text
    assert sum(split.n_rows for split in plan.data[0].splits) == 80


def test_few_rows_that_lose_some_are_cut_so_that_every_set_up_has_its_shots(
    brought: Path, checked: Callable[..., tuple[str, GridPlan]]
) -> None:
    """Rows are left out after the cut, so that a fold might keep none of a label."""
    write_tickets(brought / "a.csv", {"0": 11, "1": 10, "2": 9, "": 3})
    text, plan = checked("a.csv", ["text"], "category")
    assert plan.experiments[0].experiment.config.dataset.splits.test == 0.3
    assert "if_fewer: 'use_all',  // labels with few rows for shots: '0' 11, '1' 10, '2' 9" in text


@pytest.mark.parametrize(
    ("inputs", "label", "task", "told"),
    [
        (
            [],
            None,
            None,
            "--inputs must say which columns are read, and --label which is predicted; columns are: id,",
        ),
        (["text"], None, None, "--label must say which column is predicted"),
        ([], "category", None, "for example: sft new a.csv --inputs text --label category"),
        (
            ["txt"],
            "category",
            None,
            "column 'txt' not found in a.csv; columns are: id, subject, text, category, empty;",
        ),
        (["empty"], "category", None, "column 'empty' of a.csv is empty in every row"),
        (["text,category"], "category", None, "--label category is also among --inputs"),
        (["text"], "category", "tagging", "--task 'tagging': must be one of classification, multilabel, generation,"),
        (["text"], "category", "multilabel", "'category' holds neither lists nor labels joined by one of ; | ,"),
        ([], "category", None, "or --task text, which learns that column whole; columns are: id, subject, text,"),
        (["id"], "text", "text", "--inputs id: a text is learned whole, with nothing before it; leave it out"),
        ([], None, "text", "--label must say which column is learned whole; columns are: id, subject, text,"),
        (["text"], "one", "classification", "column 'one' of a.csv has one value only, 'same'"),
    ],
)
def test_what_is_not_there_is_told_with_what_is(
    brought: Path, inputs: list[str], label: str | None, task: str | None, told: str
) -> None:
    write_tickets(brought / "a.csv", TICKETS)
    text = (brought / "a.csv").read_text().replace("\n", ",\n").replace("category,", "category,empty", 1)
    if label == "one":
        text = re.sub(r",(?=\n)", ",same", text).replace("empty", "one", 1)
    (brought / "a.csv").write_text(text)
    with pytest.raises(UserError) as error:
        api.new("a.csv", inputs, label, task=task)
    assert told in str(error.value)
    assert "\n" not in str(error.value)


def test_equal_texts_stay_on_one_side_so_that_few_of_them_make_no_folds(brought: Path) -> None:
    (brought / "a.csv").write_text("text,y\n" + "".join(f"text {n % 4},{'ab'[n % 2]}\n" for n in range(40)))
    assert draft(bring("a.csv", brought), ["text"], "y", None, None).splits.written == {"test": 0.3}
    (brought / "b.csv").write_text("text,y\n" + "same,a\nsame,b\n" * 20)
    with pytest.raises(UserError, match="1 different text with gold: too few"):
        api.new("b.csv", ["text"], "y")


def test_a_header_alone_has_no_rows(brought: Path) -> None:
    (brought / "a.csv").write_text("text,y\n")
    with pytest.raises(UserError, match="there are no rows, only the columns text, y"):
        api.new("a.csv", ["text"], "y")


def test_labels_that_differ_in_white_space_alone_are_told(brought: Path) -> None:
    (brought / "a.jsonl").write_text("".join(f'{{"text": "t {n}", "y": "{("a", "a ")[n % 2]}"}}\n' for n in range(40)))
    with pytest.raises(UserError, match="'a' and 'a ' differ in white space alone"):
        api.new("a.jsonl", ["text"], "y")


def test_without_a_model_a_hub_name_is_written_that_is_said_to_be_one(brought: Path) -> None:
    write_tickets(brought / "a.csv", TICKETS)
    text = api.new("a.csv", ["text"], "category")
    assert "// A name on huggingface.co, fetched when it is first used, or a folder." in text
    assert "model: { name: 'Qwen/Qwen2.5-0.5B-Instruct' }," in text
