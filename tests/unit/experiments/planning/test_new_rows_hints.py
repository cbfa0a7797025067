"""A training that is wanted only for other rows to answer names the command that answers them."""

from pathlib import Path
from typing import Any

import pytest

from sft.experiments.planning.new_rows_hints import finished_trainings, new_rows_hints, only_rows_differ
from sft.runs.files import ResultsFolder
from sft.runs.manifest import write_manifest
from sft.runs.records import JobRecord, write_record

CUT = {"reading": {"content": {"all": "1"}, "splits": {"test": 0.3}, "columns": ["text"]}, "method": "lora"}
NAMED = {"reading": {"content": {"train": "1"}}, "method": "lora"}


@pytest.mark.parametrize(
    ("one", "other", "is_hint"),
    [
        (CUT, CUT, False),
        (CUT, NAMED, True),
        (CUT, {**CUT, "reading": {**CUT["reading"], "content": {"all": "2"}}}, True),  # type: ignore[dict-item]
        (CUT, {**NAMED, "method": "ssf"}, False),
        (CUT, {**CUT, "reading": {**CUT["reading"], "columns": ["body"]}}, False),  # type: ignore[dict-item]
        (CUT, {**CUT, "reading": {**CUT["reading"], "labels": [["a", "a"]]}}, False),  # type: ignore[dict-item]
        (NAMED, {**NAMED, "reading": {"content": {"train": "2"}}}, False),
    ],
)
def test_only_files_with_evaluated_rows_may_differ(one: dict[str, Any], other: dict[str, Any], is_hint: bool):
    assert only_rows_differ(one, other) is is_hint


def test_the_line_names_the_experiment_and_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    results = ResultsFolder(tmp_path / "other results")
    job = results.stage("train", "k")
    job.path.mkdir(parents=True)
    write_record(job.job, JobRecord("train", "k", "lora 8", {}, "/", {}, key_fields=CUT))
    assert new_rows_hints({"new": NAMED}, finished_trainings(results), results) == {}  # not finished yet
    job.training.write_text("{}", "utf-8")
    write_manifest(job, [job.training])
    command = "sft predict 'lora 8' --input FILE --results-path 'other results'"
    assert new_rows_hints({"new": NAMED, "same": CUT}, finished_trainings(results), results) == {"new": command}
