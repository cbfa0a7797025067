import io
import re
from pathlib import Path

import pytest

from sft.experiments.display import LineDisplay, closing_lines
from sft.experiments.runner import RunSummary
from sft.pipeline.jobs import PlannedJob
from sft.runs.files import ResultsFolder
from sft.runs.records import ErrorRecord, JobRecord, StatusRecord

LOG = "stages/train/k/attempts/01/stderr.log"


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ResultsFolder:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results" / LOG).parent.mkdir(parents=True)
    return ResultsFolder(tmp_path / "results")


def _failed(error: ErrorRecord | None, log: str | None) -> StatusRecord:
    return StatusRecord("failed", "train", error=error, log=log)


def test_the_summary_repeats_reason_last_line_log_and_how_to_run_it_again(results: ResultsFolder) -> None:
    (results.path / LOG).write_text("Traceback\nValueError: why\n")
    failed = {"a/b": _failed(ErrorRecord("exception", "ValueError: why"), LOG)}
    assert closing_lines(RunSummary(ran=3, reused=2), failed, results) == [
        "3 stages run, 2 already done, 1 experiment failed",
        "FAILED a/b at train: ValueError: why",
        "  last line: ValueError: why",
        f"  Log: results/{LOG}. Again: python -m sft.worker results/stages/train/k",
    ]


def test_an_empty_log_is_said_to_be_empty(results: ResultsFolder) -> None:
    (results.path / LOG).write_text("")
    lines = closing_lines(RunSummary(), {"a": _failed(ErrorRecord("killed", "x"), LOG)}, results)
    assert "  the log is empty" in lines


def test_nothing_failed(results: ResultsFolder) -> None:
    assert closing_lines(RunSummary(ran=1), {}, results) == ["1 stage run, 0 already done, 0 experiments failed"]


def test_one_line_at_the_start_and_one_at_the_end_of_a_job(results: ResultsFolder) -> None:
    record = JobRecord("infer", "k", "a", config={}, config_folder="", fingerprints={})
    job = PlannedJob(results.stage("infer", "k"), record, ())
    stream = io.StringIO()
    display = LineDisplay(stream)
    display.started(job)
    display.ended(job, StatusRecord("done", "infer", seconds=1.26))
    display.ended(job, _failed(ErrorRecord("data", "no rows"), LOG))
    lines = [re.sub(r"^\[\d\d:\d\d:\d\d\] ", "", line) for line in stream.getvalue().splitlines()]
    assert lines == ["infer    a started", "infer    a done in 1.3 s", "infer    a failed: at train: no rows"]
