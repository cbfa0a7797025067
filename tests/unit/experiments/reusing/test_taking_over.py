"""Finished stages of other results folders are taken from there as they are, and nothing is changed there."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sft.exceptions import UserError
from sft.experiments.planning.plan_record import plan_record
from sft.experiments.reusing import taking_over
from sft.experiments.reusing.other_results import OtherResults, other_results
from sft.experiments.reusing.taking_over import take_over
from sft.pipeline.jobs import ExperimentFolders, PlannedJob, jobs_of
from sft.runs.files import JobFolder, ResultsFolder
from sft.runs.manifest import difference, finished_files, write_manifest
from sft.runs.records import StatusRecord, read_job, read_status, write_record
from sft.terminal.plan import plan_lines

Raw = Callable[..., dict[str, Any]]


@pytest.fixture
def results(tmp_path: Path) -> ResultsFolder:
    return ResultsFolder(tmp_path / "results")


@pytest.fixture
def other(tmp_path: Path) -> ResultsFolder:
    return ResultsFolder(tmp_path / "monday")


@pytest.fixture
def plan(plan_of: Callable[..., Any], project: Path, raw: Raw) -> Any:
    return plan_of(project, a=raw())


def jobs(plan: Any, results: ResultsFolder) -> list[PlannedJob]:
    planned = plan.experiments[0]
    return jobs_of(planned.experiment, planned.keys, ExperimentFolders(results), results, "metrics")


def finish(job: PlannedJob, name: str = "old") -> None:
    """As a run under another name left it."""
    folder = job.folder if job.record.stage != "evaluate" else JobFolder(job.folder.path.with_name(name))
    outputs = {"train": [folder.training, folder.adapter / "weights"], "infer": [folder.inference]}
    for path in outputs.get(job.record.stage, [folder.metrics]):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{path.name} of {job.record.key}")
    top = [folder.training, folder.adapter] if job.record.stage == "train" else outputs.get(job.record.stage)
    write_record(folder.status, StatusRecord("done", job.record.stage, attempt=1, seconds=7.0, log="attempts/01"))
    folder.config.write_text(f'{{"id": "{job.record.key}"}}')
    write_manifest(folder, top or [folder.result])


def contents(folder: ResultsFolder) -> dict[str, str]:
    files = (path for path in folder.path.rglob("*") if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


class Taking:
    """Takes over, and keeps what was said and recorded."""

    def __init__(self, results: ResultsFolder, *others: ResultsFolder) -> None:
        self.results, self.others = results, OtherResults(others)
        self.said: list[str] = []
        self.recorded: list[StatusRecord] = []

    def __call__(self, planned: list[PlannedJob]) -> None:
        take_over(planned, self.others, self.results, self._record, self.said.append)

    def _record(self, folder: JobFolder, status: StatusRecord) -> None:
        self.recorded.append(status)
        write_record(folder.status, status)


@pytest.mark.parametrize("linked_from", [0, 1 << 20])
def test_all_stages_are_done_and_whole_here_and_untouched_there(
    plan: Any, results: ResultsFolder, other: ResultsFolder, monkeypatch: pytest.MonkeyPatch, linked_from: int
) -> None:
    monkeypatch.setattr(taking_over, "LINKED_FROM", linked_from)
    for job in jobs(plan, other):
        finish(job)
    before = contents(other)
    own = jobs(plan, results)
    half = own[0].folder.adapter / "half"
    half.parent.mkdir(parents=True)
    half.touch()
    take = Taking(results, other)
    take(own)
    assert contents(other) == before
    for job in own:
        listed = finished_files(job.folder)
        assert listed
        assert [difference(job.folder.path / name, file) for name, file in listed.items()] == [None] * len(listed)
        assert read_job(job.folder.job).key == job.record.key
        status = read_status(job.folder.status)
        assert status is not None
        assert (status.state, status.stage, status.seconds, status.log) == ("done", job.record.stage, 7.0, None)
        assert Path(str(status.reused_from)).parents[2 if job.record.stage != "evaluate" else 1] == other.path
    assert not half.exists()
    assert own[0].folder.adapter.joinpath("weights").samefile(jobs(plan, other)[0].folder.adapter / "weights") == (
        linked_from == 0
    )
    assert take.said == [f"reused of {other.path}: 1 train stage, 1 infer stage, 1 evaluate stage"]
    take(own)
    assert len(take.recorded) == len(own)  # what is done here is not looked for


def test_a_damaged_stage_is_not_taken_and_said(plan: Any, results: ResultsFolder, other: ResultsFolder) -> None:
    train, infer, _ = jobs(plan, other)
    finish(train)
    finish(infer)
    text = train.folder.training.read_text()
    train.folder.training.write_text(text[::-1])
    take = Taking(results, other)
    take(jobs(plan, results))
    assert [status.stage for status in take.recorded] == ["infer"]
    assert take.said[0].startswith(f"warning: --reuse: {train.folder.training} has another content than was written")


def test_the_manifest_lists_what_was_copied_whatever_is_written_there_meanwhile(
    plan: Any, results: ResultsFolder, other: ResultsFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    infer = jobs(plan, other)[1]
    finish(infer)
    whole, place = finished_files(infer.folder), taking_over._place

    def place_as_the_manifest_goes(source: Path, target: Path, *, is_large: bool) -> None:
        infer.folder.manifest.unlink()
        place(source, target, is_large=is_large)

    monkeypatch.setattr(taking_over, "_place", place_as_the_manifest_goes)
    own = jobs(plan, results)[1]
    Taking(results, other)([own])
    assert finished_files(own.folder) == whole


def test_a_plan_shows_what_would_be_reused(plan: Any, results: ResultsFolder, other: ResultsFolder) -> None:
    train, infer, _ = jobs(plan, other)
    finish(train)
    finish(infer)
    others = other_results([other.path], results)
    lines = plan_lines(plan, results, others)
    assert "  train    0 to run, 0 done, 0 shared, 1 reused (1 asked for)" in lines
    assert "1 of 3 stages to run; saved: 0 shared, 0 done, 2 reused" in lines
    (line,) = [line for line in lines if line.startswith("  a: train ")]
    assert line.count(f"reused from {other.path}") == 2
    record = plan_record(plan, results, others)
    assert [stage["plan"] for stage in record["experiments"][0]["stages"]] == ["reused", "reused", "to run"]
    assert record["experiments"][0]["stages"][0]["reused_from"] == str(train.folder.path)


def test_a_folder_that_is_no_other_one_is_refused(tmp_path: Path, results: ResultsFolder) -> None:
    results.path.mkdir()
    (tmp_path / "link").symlink_to(results.path)
    with pytest.raises(UserError, match=r"--reuse nowhere: no such results folder"):
        other_results([Path("nowhere")], results)
    with pytest.raises(UserError, match=r"is --results-path itself"):
        other_results([tmp_path / "link"], results)
