"""What the holder of the lock puts in order before the first job."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from sft.experiments.running.recovery import job_folders, sweep
from sft.runs.chains import Ended, Submission, SubmittedTry
from sft.runs.events import EventLog
from sft.runs.files import JobFolder, ResultsFolder
from sft.runs.records import StatusRecord, read_status, write_record
from sft.runs.states import LOST


@pytest.fixture
def said() -> list[str]:
    return []


def running(made: Any, key: str) -> JobFolder:
    folder: JobFolder = made.stage("train", key)
    made.job(folder, "train")
    write_record(folder.status, StatusRecord("running", "train", attempt=1, started="t", pid=7))
    return folder


def states(made: Any) -> list[tuple[str, str]]:
    return [(event.job, event.state) for event in EventLog(made.results.events).read().events]


def test_what_ran_when_its_runner_was_killed_does_not_run(made: Any, said: list[str]) -> None:
    folder = running(made, "a")
    sweep(made.results, [], said.append)
    status = read_status(folder.status)
    assert status is not None
    assert (status.state, status.error, status.attempt) == ("interrupted", LOST, 1)
    assert states(made) == [("stages/train/a000000000000000", "interrupted")]
    assert said == []


@pytest.mark.parametrize("linked", ["stages/train/a000000000000000", "stages/train", "stages"])
def test_what_lies_behind_a_link_is_left_alone(made: Any, said: list[str], tmp_path: Path, linked: str) -> None:
    folder = running(made, "a")
    (made.results.path / linked).rename(tmp_path / "elsewhere")
    (made.results.path / linked).symlink_to(tmp_path / "elsewhere")
    sweep(made.results, [], said.append)
    status = read_status(folder.status)
    assert status is not None
    assert status.state == "running"
    assert said == []


def test_a_job_folder_that_goes_meanwhile_is_none(made: Any) -> None:
    first, second = running(made, "a"), running(made, "b")
    found = job_folders(made.results)
    assert next(found) == first
    shutil.rmtree(second.path)
    assert list(found) == []


def test_what_had_finished_then_is_done(made: Any, said: list[str]) -> None:
    folder = made.finish(made.stage("train", "a"), "train")
    write_record(folder.status, StatusRecord("running", "train", attempt=1))
    running(made, "b")
    assert sweep(made.results, [], said.append) == {folder.path}, "it ended while nobody watched"
    assert states(made)[0] == ("stages/train/a000000000000000", "done")
    assert sweep(made.results, [], said.append) == frozenset(), "said once"


@pytest.mark.parametrize(
    ("outlives_runner", "has_ended", "state"),
    [(True, False, "running"), (True, True, "interrupted"), (False, False, "interrupted")],
)
def test_what_a_cluster_runs_without_a_runner_is_left_to_it(
    made: Any, said: list[str], outlives_runner: bool, has_ended: bool, state: str
) -> None:
    """A run of other experiments: who runs this one later takes it over, instead of a second submission."""
    folder = running(made, "a")
    tried = SubmittedTry(folder.attempt(1).path)
    write_record(tried.submission, Submission("slurm", "sft-x", "chain.json", "7", outlives_runner))
    if has_ended:
        write_record(tried.ended, Ended(1))
    sweep(made.results, [], said.append)
    status = read_status(folder.status)
    assert status is not None
    assert status.state == state


def test_the_runner_looks_after_its_own_jobs(made: Any, said: list[str]) -> None:
    folder = running(made, "a")
    sweep(made.results, [folder], said.append)
    assert read_status(folder.status) == StatusRecord("running", "train", attempt=1, started="t", pid=7)
    assert states(made) == []


def test_results_that_are_about_to_be_replaced_are_kept(made: Any, said: list[str]) -> None:
    folder = made.finish(made.planned("one", "a"), "evaluate")
    folder.metrics.write_text("edited by hand")
    other = made.finish(made.planned("two", "b"), "evaluate")
    other.metrics.write_text("edited too, but nothing replaces it")
    sweep(made.results, [folder], said.append)
    assert not folder.result.exists()
    assert other.metrics.exists()
    (kept,) = made.results.trash.iterdir()
    assert (kept / "metrics.json").read_text() == "edited by hand"
    assert len(said) == 1
    assert "are not those of its manifest; it runs again" in said[0]


def test_temporary_files_go_at_the_top_only_when_nobody_writes_them_any_more(made: Any, said: list[str]) -> None:
    folder = made.stage("infer", "a")
    made.job(folder, "infer")
    new, old = made.results.path / ".tmp-new", made.results.path / ".tmp-old"
    for path in (folder.path / ".tmp-now", new, old):
        path.write_text("half")
    os.utime(old, (0, 0))
    sweep(made.results, [], said.append)
    assert [path.name for path in made.results.path.rglob(".tmp-*")] == [".tmp-new"]


@pytest.mark.parametrize(("behind", "kept"), [(0, [".tmp-new"]), (61, [])])
def test_how_old_a_temporary_file_is_is_told_by_its_own_disk(
    made: Any, said: list[str], behind: int, kept: list[str]
) -> None:
    """The clock of that is an hour away from the one of this machine."""
    new = made.results.path / ".tmp-new"
    new.write_text("half")
    now = new.stat().st_mtime - 3600.0
    os.utime(made.results.lock, (now, now))
    os.utime(new, (now - behind, now - behind))
    sweep(made.results, [], said.append)
    assert [path.name for path in made.results.path.glob(".tmp-*")] == kept


def test_a_pruned_adapter_is_not_damage(made: Any, said: list[str]) -> None:
    folder = made.finish(made.stage("train", "t"), "train")
    (folder.adapter / "adapter_model.safetensors").unlink()
    write_record(folder.status, StatusRecord("pruned", "train", attempt=1))
    sweep(made.results, [folder], said.append)
    assert folder.training.exists()
    assert said == []


def test_a_new_folder_has_nothing_to_sweep(made: Any, said: list[str]) -> None:
    sweep(ResultsFolder(made.results.path / "new"), [], said.append)
    sweep(made.results, [made.stage("train", "new")], said.append)
    assert said == []
    assert set(made.content()) == set()


@pytest.mark.parametrize(("has_ended", "is_kept"), [(False, True), (True, False)])
def test_what_a_job_of_a_cluster_may_just_write_stays(
    made: Any, said: list[str], has_ended: bool, is_kept: bool
) -> None:
    folder = running(made, "a")
    tried = SubmittedTry(folder.attempt(1).path)
    write_record(tried.submission, Submission("slurm", "sft-a", "chain.json", "7"))
    if has_ended:
        write_record(tried.ended, Ended(0))
    files = [folder.path / ".tmp-progress", tried.path / "out" / ".tmp-weights"]
    for file in files:
        file.parent.mkdir(exist_ok=True)
        file.touch()
    sweep(made.results, [folder], said.append)
    assert [file.exists() for file in files] == [is_kept] * 2
