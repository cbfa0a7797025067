"""The process that answers writes to no file that another one has begun with something else."""

import dataclasses
from pathlib import Path

from sft.deployment.new_rows.__main__ import main
from sft.deployment.new_rows.origin import read_origin
from sft.deployment.new_rows.work_files import WorkFolder
from tests.support.new_rows import WANTED


def test_answers_of_another_experiment_that_came_first_stay(tmp_path: Path) -> None:
    output, work = tmp_path / "new.predictions.jsonl", WorkFolder(tmp_path)
    WANTED.write(work.wanted)
    other = dataclasses.replace(WANTED, experiment="b" * 16, name="zero", rows_at_once=32)
    other.write(output)
    output.write_text('{"index": 0}\n', "utf-8")
    assert main([str(output), str(work.path), "0"]) == 2
    error = work.error()
    assert error is not None
    assert "has the answers of zero [bbbbbbbb], not of lora [aaaaaaaa]" in error.message
    assert read_origin(output) == other
    assert output.read_text("utf-8") == '{"index": 0}\n'
