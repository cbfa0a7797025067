"""Answers go on only from the experiment and the file that they began with."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from sft.deployment.new_rows.origin import check_output, origin_in_force, output_beside
from sft.exceptions import UserError
from tests.support.new_rows import WANTED


def begun(tmp_path: Path, **changes: Any) -> Path:
    output = tmp_path / "new.predictions.jsonl"
    output.write_text("{}\n", "utf-8")
    dataclasses.replace(WANTED, rows_at_once=32, **changes).write(output)
    return output


def test_answers_go_on_in_groups_of_the_same_size(tmp_path: Path):
    found = origin_in_force(begun(tmp_path, folder="/moved", input="/moved/new.csv"), WANTED)
    assert found == dataclasses.replace(WANTED, rows_at_once=32)


def test_a_new_or_empty_file_begins_with_what_is_wanted(tmp_path: Path):
    assert origin_in_force(tmp_path / "new.predictions.jsonl", WANTED) == WANTED
    output = begun(tmp_path, experiment="b" * 16)
    output.write_text("", "utf-8")
    assert origin_in_force(output, WANTED) == WANTED


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"experiment": "b" * 16, "name": "zero"}, r"has the answers of zero \[bbbbbbbb\], not of lora \[aaaaaaaa\]"),
        ({"sha256": "2" * 64}, "to /data/new.csv, which changed since"),
        ({"sha256": "2" * 64, "input": "/data/old.csv"}, "to /data/old.csv, not to /data/new.csv"),
        ({"read": {"encoding": "cp1252", "sep": None, "quote": None}}, "which was read in another way"),
    ],
)
def test_answers_of_other_origin_are_refused_in_one_line(tmp_path: Path, changes: dict[str, Any], message: str):
    with pytest.raises(UserError, match=message) as found:
        origin_in_force(begun(tmp_path, **changes), WANTED)
    assert "choose another --output" in str(found.value)
    assert "\n" not in str(found.value)


def test_a_file_without_an_origin_is_left_alone(tmp_path: Path):
    output = tmp_path / "new.predictions.jsonl"
    output.write_text("mine", "utf-8")
    with pytest.raises(UserError, match=r"no new\.predictions\.jsonl\.origin\.json says"):
        origin_in_force(output, WANTED)


def test_answers_go_beside_the_input():
    assert output_beside(Path("data/new.rows.csv")) == Path("data/new.rows.predictions.jsonl")


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("out.csv", "ends in .jsonl"),
        ("no/out.jsonl", "no folder"),
        ("new.jsonl", "the input itself"),
        ("d.jsonl", "a folder"),
    ],
)
def test_an_output_that_cannot_be_is_refused(tmp_path: Path, output: str, message: str):
    (tmp_path / "new.jsonl").touch()
    (tmp_path / "d.jsonl").mkdir()
    with pytest.raises(UserError, match=message):
        check_output(tmp_path / output, tmp_path / "new.jsonl")
