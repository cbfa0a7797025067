"""What a tracker is given of results folders, and what happens when it fails."""

from pathlib import Path
from typing import Any

import pytest

from sft.exceptions import MachineError, PackageMissing, UserError
from sft.leaderboard.joining import collect
from sft.reporting import tracked
from sft.reporting.tracked import last_log, log_results, require_tracker, tracked_grid
from sft.runs.atomic import write_json
from sft.runs.records import ErrorRecord, StatusRecord, write_record
from sft.tracking.tracker import Point, TrackedExperiment, TrackedGrid
from tests.support.records import config, metrics
from tests.support.results import ResultsBuilder

A, B = "a" * 16, "b" * 16
CURVE = [{"step": 1, "loss": 2.5, "learning_rate": 1e-3}, {"step": 2, "loss": None}, {"step": 3, "loss": 1.5}]


@pytest.fixture
def folder(tmp_path: Path) -> ResultsBuilder:
    return ResultsBuilder(tmp_path / "results")


def grid_of(folder: ResultsBuilder, source: str = "tickets.jsonnet") -> TrackedGrid:
    write_json(folder.results.grid, {"schema": 1, "source": source, "configs": folder.configs, "pinned": {}})
    return tracked_grid(collect([folder.results]).in_grid, [folder.results], folder.results)


def only(folder: ResultsBuilder) -> TrackedExperiment:
    (experiment,) = grid_of(folder).experiments
    return experiment


def test_a_finished_experiment_is_settings_numbers_tags_and_files(folder: ResultsBuilder) -> None:
    own = config(dataset={"labels": {"C++": "good"}})
    job = folder.done("lora", A, own, metrics({"macro_f1": 0.5, "ece": None, "n": 3}))
    job.predictions("test", "jsonl").write_text("{}\n")
    write_record(job.status, StatusRecord("done", "evaluate", ended="1970-01-01T00:01:00.500Z"))
    found = only(folder)
    assert (found.id, found.name, found.state) == (A, "lora", "done")
    assert found.params["lora.r"] == 8
    assert found.params["dataset.labels.C++"] == "good"
    assert None not in found.params.values()
    assert found.metrics == {
        "macro_f1": 0.5, "n": 3.0, "peak_rss_bytes": float(1 << 30),
        "seconds.train": 12.34, "seconds.infer": 5.0, "seconds.evaluate": 1.0,
    }  # fmt: skip
    assert found.tags.keys() == {"state", "names", "seed", "board", "folder"}
    assert found.tags["board"].startswith("classification/label/")
    assert (found.tags["seed"], found.tags["folder"]) == ("13", str(job.path))
    assert found.artifacts == (job.config, job.metrics, job.predictions("test", "jsonl"))
    assert found.ended == 60.5
    assert found.started == pytest.approx(60.5 - 18.34)


def test_the_curves_and_the_adapter_are_those_of_its_training(folder: ResultsBuilder) -> None:
    job = folder.done("lora", A, config(), metrics({"macro_f1": 0.5}))
    write_json(
        job.config, {"schema": 1, "id": A, "names": ["lora"], "config": config(), "stages": {"train": "t" * 16}}
    )
    training = folder.results.stage("train", "t" * 16)
    training.adapter.mkdir(parents=True)
    costs = [{"step": 1, "tokens_per_second": 90.5, "peak_rss_bytes": 1 << 30, "peak_gpu_bytes": None}]
    written = {"loss_curve": CURVE, "eval_curve": [{"step": 3, "loss": 2.0}], "cost_curve": costs}
    write_json(training.training, written)
    found = only(folder)
    assert found.curves == {
        "train/loss": (Point(1, 2.5), Point(3, 1.5)),
        "train/dev_loss": (Point(3, 2.0),),
        "train/learning_rate": (Point(1, 1e-3),),
        "train/tokens_per_second": (Point(1, 90.5),),
        "train/peak_rss_bytes": (Point(1, float(1 << 30)),),
    }
    assert found.tags["adapter"] == str(training.adapter)
    assert not any(path.is_relative_to(training.path) for path in found.artifacts)


def test_several_names_of_an_id_are_one_experiment(folder: ResultsBuilder) -> None:
    job = folder.done("one", A, config(), metrics({"macro_f1": 0.5}))
    folder.alias("two", A, config(), job)
    found = only(folder)
    assert (found.name, found.tags["names"]) == ("one", '["one", "two"]')


def test_a_failure_says_why_and_what_has_not_begun_is_left_out(folder: ResultsBuilder) -> None:
    folder.failed("bad", B, config(), ErrorRecord("oom_gpu", "no memory"))
    folder.planned("waiting", A, config(seed=2))
    found = only(folder)
    assert (found.state, found.metrics, found.curves) == ("failed", {}, {})
    told = {key: text for key, text in found.tags.items() if key.startswith("error.")}
    assert told == {"error.kind": "oom_gpu", "error.stage": "train", "error.message": "no memory"}


@pytest.mark.parametrize(
    ("source", "name"), [("grids/tickets.jsonnet", "tickets"), ("a.b.json", "a.b"), ("grid", "results")]
)
def test_a_grid_has_the_name_of_its_file(folder: ResultsBuilder, source: str, name: str) -> None:
    assert grid_of(folder, source).name == name


def test_joined_folders_are_one_grid_under_the_name_of_where_they_are_joined(
    tmp_path: Path, folder: ResultsBuilder
) -> None:
    other = ResultsBuilder(tmp_path / "other")
    folder.done("one", A, config(), metrics({"macro_f1": 0.5}))
    other.done("two", B, config(seed=2), metrics({"macro_f1": 0.6}))
    target = ResultsBuilder(tmp_path / "both").results
    folders = [folder.results, other.results]
    found = tracked_grid(collect(folders).in_grid, folders, target)
    assert (found.name, [item.name for item in found.experiments]) == ("both", ["one", "two"])


class Broken:
    """A tracker whose store does not answer."""

    def require(self) -> None:
        pass

    def log(self, grid: TrackedGrid, folder: Path) -> str:
        raise ConnectionError("no\nanswer")


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracked, "require_tracker", lambda name: Broken())


def test_a_tracker_that_fails_is_told_in_one_line(folder: ResultsBuilder, broken: None) -> None:
    with pytest.raises(MachineError, match=r"^the results could not be logged to mine: ConnectionError: no answer$"):
        log_results((), [folder.results], folder.results.path, "mine")


def test_a_run_that_has_ended_is_not_ended_again_by_its_tracker(folder: ResultsBuilder, broken: None) -> None:
    (line,) = last_log(folder.results, "mine", print)
    assert line.endswith(f"nothing is lost, log them with: sft leaderboard {folder.results.path} --tracker mine")


def test_an_unknown_tracker_is_told_with_those_there_are() -> None:
    with pytest.raises(UserError, match=r"unknown tracker 'mlfow' \(did you mean mlflow\?\); known: mlflow"):
        require_tracker("mlfow")


def test_a_tracker_without_its_package_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_spec(name: str) -> Any:
        return None

    monkeypatch.setattr("importlib.util.find_spec", no_spec)
    with pytest.raises(PackageMissing, match="--tracker mlflow needs the package mlflow"):
        require_tracker("mlflow")
