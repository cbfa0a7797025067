"""What is read of a results folder, whole or not."""

from pathlib import Path

import pytest

from sft.exceptions import UserError
from sft.leaderboard.collect import ExperimentError
from sft.leaderboard.joining import collect
from sft.runs.atomic import write_json
from sft.runs.files import ResultsFolder
from sft.runs.lock import locked
from sft.runs.manifest import write_manifest
from sft.runs.records import ErrorRecord, StatusRecord, write_record
from tests.support.records import config, metrics
from tests.support.results import ResultsBuilder


def test_every_state_is_told_apart(tmp_path: Path) -> None:
    folder = ResultsBuilder(tmp_path)
    folder.done("good", "a" * 16, config(), metrics({"macro_f1": 0.5}))
    folder.failed("bad", "b" * 16, config(seed=1), ErrorRecord("oom_gpu", "no memory"))
    folder.planned("waiting", "c" * 16, config(seed=2))
    running = folder.planned("running", "d" * 16, config(seed=3))
    write_record(running.status, StatusRecord("running", "evaluate"))
    damaged = folder.done("damaged", "e" * 16, config(seed=4), metrics({"macro_f1": 0.9}))
    damaged.metrics.write_text("{}")
    predicted = folder.planned("predicted", "f" * 16, config(seed=5))
    predicted.predictions("test", "jsonl").parent.mkdir(parents=True)
    predicted.predictions("test", "jsonl").write_text("{}\n")
    write_manifest(predicted, [predicted.predictions("test", "jsonl")])
    with locked(folder.results):
        records = {record.name: record for record in collect([folder.results]).in_grid}
    assert {name: record.state for name, record in records.items()} == {
        "good": "done", "bad": "failed", "waiting": "pending", "running": "running",
        "damaged": "damaged", "predicted": "predicted",
    }  # fmt: skip
    assert records["good"].part("results") == {"macro_f1": 0.5}
    error = records["bad"].error
    assert error is not None
    assert (error.kind, error.message, error.stage) == ("oom_gpu", "no memory", "train")
    assert records["damaged"].metrics == {}


def test_results_without_a_manifest_do_not_count(tmp_path: Path) -> None:
    folder = ResultsBuilder(tmp_path)
    job = folder.done("half", "a" * 16, config(), metrics({"macro_f1": 0.5}))
    job.manifest.unlink()
    write_record(job.status, StatusRecord("running", "evaluate"))
    with locked(folder.results):
        assert collect([folder.results]).in_grid[0].state == "running"
    (record,) = collect([folder.results]).in_grid
    assert (record.state, record.error) == (
        "lost", ExperimentError("killed", "its runner ended without recording how", "evaluate"),
    )  # fmt: skip


def test_an_experiment_stands_as_the_stage_that_runs_or_stopped(tmp_path: Path) -> None:
    folder = ResultsBuilder(tmp_path)
    job = folder.planned("one", "a" * 16, config())
    write_json(job.config, {"id": "a" * 16, "names": ["one"], "stages": {"train": "t" * 16, "infer": "i" * 16}})
    train = folder.results.stage("train", "t" * 16)
    error = ErrorRecord("oom_gpu", "no memory")
    write_record(train.status, StatusRecord("failed", "train", attempt=1, error=error))
    (record,) = collect([folder.results]).in_grid
    assert (record.state, record.error) == ("failed", ExperimentError("oom_gpu", "no memory", "train"))
    write_record(train.status, StatusRecord("running", "train", attempt=2))
    with locked(folder.results):
        assert collect([folder.results]).in_grid[0].state == "running"


def test_metrics_of_the_right_size_with_another_content_do_not_count(tmp_path: Path) -> None:
    folder = ResultsBuilder(tmp_path)
    job = folder.done("one", "a" * 16, config(), metrics({"macro_f1": 0.5}))
    job.metrics.write_text(job.metrics.read_text().replace("0.5", "0.9"))
    (record,) = collect([folder.results]).in_grid
    assert (record.state, record.metrics) == ("damaged", {})
    assert record.error is not None


def test_what_the_grid_does_not_hold_stands_apart(tmp_path: Path) -> None:
    folder = ResultsBuilder(tmp_path)
    folder.done("now", "a" * 16, config(), metrics({"macro_f1": 0.5}))
    folder.done("before", "b" * 16, config(seed=1), metrics({"macro_f1": 0.6}), in_grid=False)
    collected = collect([folder.results])
    assert [record.name for record in collected.in_grid] == ["now"]
    assert [(record.name, record.state) for record in collected.others] == [("before", "done")]


def test_equal_experiments_keep_each_name_with_its_own_config(tmp_path: Path) -> None:
    folder = ResultsBuilder(tmp_path)
    job = folder.done("one", "a" * 16, config(seed=1), metrics({"macro_f1": 0.5}))
    folder.alias("two", "a" * 16, config(seed=2), job)
    records = collect([folder.results]).in_grid
    assert [(record.name, record.seed, record.state) for record in records] == [("one", 1, "done"), ("two", 2, "done")]


def test_a_folder_without_grid_gives_all_its_experiments(tmp_path: Path) -> None:
    folder = ResultsBuilder(tmp_path)
    folder.done("one", "a" * 16, config(), metrics({"macro_f1": 0.5}), in_grid=False)
    assert [record.name for record in collect([folder.results]).in_grid] == ["one"]
    folder.results.grid.write_text("{ half")
    assert [record.name for record in collect([folder.results]).in_grid] == ["one"]


def test_joined_folders_keep_an_experiment_once_and_finished(tmp_path: Path) -> None:
    first, second = ResultsBuilder(tmp_path / "one"), ResultsBuilder(tmp_path / "two")
    first.planned("both", "a" * 16, config())
    second.done("both", "a" * 16, config(), metrics({"macro_f1": 0.5}))
    second.done("other", "b" * 16, config(seed=2), metrics({"macro_f1": 0.4}))
    records = collect([first.results, second.results]).in_grid
    assert [(record.name, record.state) for record in records] == [("both", "done"), ("other", "done")]


def test_broken_files_are_survived(tmp_path: Path) -> None:
    folder = ResultsBuilder(tmp_path)
    job = folder.planned("odd", "a" * 16, config())
    job.status.write_text("[1")
    (folder.results.experiments / "stray").mkdir()
    write_json(folder.results.experiments / "list" / "config.json", [1])
    collected = collect([folder.results])
    assert [(record.name, record.state) for record in collected.in_grid] == [("odd", "pending")]
    assert [record.name for record in collected.others] == ["list"]


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no results folder .*nowhere"):
        collect([ResultsFolder(tmp_path / "nowhere")])
