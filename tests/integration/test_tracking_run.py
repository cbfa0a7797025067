"""Real trainings that report, and a real grid that is logged, read back from the stores."""

import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

REPORTS = {"training": {"trainer_args": {"report_to": ["mlflow", "tensorboard"]}}}


class TrackedPlace:
    """A grid with a training that reports, one that diverges while it does, and none; `silent` shares the first."""

    def __init__(self, place: Any) -> None:
        self.place = place
        self.results: Path = place.folder / "results"
        diverges = {"training": {"trainer_args": {"report_to": "mlflow", "learning_rate": 1e30}}}
        configs = {
            "zero": place.classification(),
            "lora": place.trained(**REPORTS),
            "bad": place.trained(**diverges),
            "silent": place.trained(),
        }
        self.said = place.run(
            "run-experiments", {"configs": configs}, "--tracker", "mlflow", "--jobs", "2", expected=1
        )

    def client(self) -> Any:
        from mlflow import MlflowClient

        return MlflowClient(f"sqlite:///{self.results}/mlflow.db")

    def runs(self, experiment: str) -> dict[str, Any]:
        client = self.client()
        found = client.search_runs([client.get_experiment_by_name(experiment).experiment_id])
        names = [run.info.run_name for run in found]
        assert len(set(names)) == len(names)
        return dict(zip(names, found, strict=True))

    def curve(self, run: Any, key: str) -> list[tuple[int, float]]:
        return [(point.step, point.value) for point in self.client().get_metric_history(run.info.run_id, key)]


@pytest.fixture(scope="module")
def tracked(make_place: Callable[[str], Any]) -> TrackedPlace:
    for package in ("mlflow", "alembic", "tensorboardX"):
        pytest.importorskip(package)
    return TrackedPlace(make_place("tracked"))


def training(tracked: TrackedPlace, name: str) -> Any:
    """The `training.json` of an experiment."""
    config = json.loads((tracked.place.experiment(name=name) / "config.json").read_text())
    return json.loads((tracked.results / "stages" / "train" / config["stages"]["train"] / "training.json").read_text())


def test_every_experiment_of_the_grid_is_a_run(tracked: TrackedPlace) -> None:
    runs = tracked.runs("config")
    assert {name: run.info.status for name, run in runs.items()} == {
        "zero": "FINISHED", "lora": "FINISHED", "bad": "FAILED",
    }  # fmt: skip
    for name in ("zero", "lora"):
        numbers = tracked.place.metrics(name=name)["results"]
        assert numbers.items() <= runs[name].data.metrics.items()
        files = {file.path for file in tracked.client().list_artifacts(runs[name].info.run_id)}
        assert files == {"config.json", "metrics.json", "predictions.jsonl"}
    assert runs["bad"].data.tags["sft.error.kind"] == "diverged"
    points = [(point["step"], point["loss"]) for point in training(tracked, "lora")["loss_curve"]]
    assert tracked.curve(runs["lora"], "train/loss") == points
    assert runs["lora"].data.tags["sft.names"] == '["lora", "silent"]', "what it reports is in no id"
    assert "mlflow: experiment 'config': 3 new" in tracked.said


def test_what_a_training_reports_itself_is_whole_and_in_the_same_store(tracked: TrackedPlace) -> None:
    runs = tracked.runs("trainings")
    assert {name: run.info.status for name, run in runs.items()} == {"lora": "FINISHED", "bad": "FAILED"}
    points = [(point["step"], point["loss"]) for point in training(tracked, "lora")["loss_curve"]]
    assert dict(tracked.curve(runs["lora"], "loss")) == pytest.approx(dict(points))
    assert runs["lora"].data.params["num_train_epochs"] == "2"


def test_tensorboard_files_are_in_the_results_folder(tracked: TrackedPlace) -> None:
    (folder,) = (tracked.results / "tensorboard").iterdir()
    assert folder.name.startswith("lora-")
    points = [(point["step"], point["loss"]) for point in training(tracked, "lora")["loss_curve"]]
    found = {step: value for step, tag, value in scalars(folder) if tag == "train/loss"}
    assert found == pytest.approx(dict(points))


def test_other_commands_are_not_disturbed(tracked: TrackedPlace) -> None:
    before = {path: path.stat().st_mtime_ns for path in (tracked.results / "mlflow-artifacts").rglob("*")}
    assert "nothing to delete" in tracked.place.sft("clean").stdout
    assert tracked.place.sft("verify").returncode == 0
    ended = tracked.place.sft("leaderboard", "results", "--tracker", "mlflow")
    assert ended.returncode == 0
    assert "mlflow: experiment 'config': 3 unchanged" in ended.stdout
    assert before == {path: path.stat().st_mtime_ns for path in (tracked.results / "mlflow-artifacts").rglob("*")}


def scalars(folder: Path) -> Iterator[tuple[int, str, float]]:
    """Step, tag and value of each scalar; a record is a length, its checksum, the bytes, their checksum."""
    from tensorboardX.proto.event_pb2 import Event

    for path in folder.iterdir():
        data = path.read_bytes()
        while data:
            (length,) = struct.unpack("<Q", data[:8])
            event = Event.FromString(data[12 : 12 + length])
            data = data[16 + length :]
            yield from ((event.step, value.tag, value.simple_value) for value in event.summary.value)
