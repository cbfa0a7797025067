"""What is in a real store, read back with MLflow's own client; one store for all, because a new one takes seconds."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sft.exceptions import UserError
from sft.tracking.mlflow.store import EXPERIMENT, STORE
from sft.tracking.mlflow.tracker import Mlflow
from sft.tracking.tracker import Point, TrackedExperiment, TrackedGrid

pytest.importorskip("mlflow")
pytest.importorskip("alembic")

DONE = TrackedExperiment(
    id="a" * 16,
    name="lora/pissa",
    state="done",
    params={"lora.r": 8, "prompting.input_columns": ["text"], "labels.C++": "good", "long": "x" * 7000},
    metrics={"macro_f1": 0.75, "f1@10 (mean)": 0.5, "seconds.train": 12.5},
    tags={"state": "done", "names": '["lora/pissa", "twin"]', "error.message": "x" * 9000},
    curves={"train/loss": (Point(1, 2.5), Point(2, 1.25))},
    started=1000.5,
    ended=1020.25,
)


class Store:
    """A results folder's store and a client of it."""

    def __init__(self, folder: Path) -> None:
        from mlflow import MlflowClient

        self.folder = folder
        self.client = MlflowClient(f"sqlite:///{folder}/mlflow.db")

    def log(self, name: str, *experiments: TrackedExperiment) -> str:
        return Mlflow().log(TrackedGrid(name, experiments), self.folder)

    def runs(self, name: str, view: int = 1) -> list[Any]:
        """The runs of an experiment; view 2 is of those that were deleted."""
        experiment = self.client.get_experiment_by_name(name)
        assert experiment is not None
        return list(self.client.search_runs([experiment.experiment_id], run_view_type=view))

    def run(self, name: str) -> Any:
        (run,) = self.runs(name)
        return run

    def points(self, run: Any, key: str) -> list[tuple[int, float]]:
        return [(point.step, point.value) for point in self.client.get_metric_history(run.info.run_id, key)]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("a b%c#d") / "results"
    made = Store(folder)
    made.log("warm")
    return made


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (STORE, EXPERIMENT):
        monkeypatch.delenv(name, raising=False)


def changed(**fields: Any) -> TrackedExperiment:
    return dataclasses.replace(DONE, **fields)


def test_a_run_holds_all_of_an_experiment(store: Store, tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text("{}")
    said = store.log("whole", changed(artifacts=(tmp_path / "metrics.json",)))
    run = store.run("whole")
    assert said == f"mlflow: experiment 'whole': 1 new; in sqlite:///{store.folder}/mlflow.db"
    assert (run.info.run_name, run.info.status) == ("lora/pissa", "FINISHED")
    assert (run.info.start_time, run.info.end_time) == (1_000_500, 1_020_250)
    assert run.data.params["lora.r"] == "8"
    assert run.data.params["prompting.input_columns"] == '["text"]'
    assert run.data.params["labels.C__"] == "good"
    assert len(run.data.params["long"]) == 6000
    assert run.data.metrics == {"macro_f1": 0.75, "f1_10 _mean_": 0.5, "seconds.train": 12.5, "train/loss": 1.25}
    assert store.points(run, "train/loss") == [(1, 2.5), (2, 1.25)]
    assert run.data.tags["sft.id"] == "a" * 16
    assert run.data.tags["sft.names"] == '["lora/pissa", "twin"]'
    assert len(run.data.tags["sft.error.message"]) == 5000
    assert [file.path for file in store.client.list_artifacts(run.info.run_id)] == ["metrics.json"]
    assert list((store.folder / "mlflow-artifacts").rglob("metrics.json"))


def test_to_log_again_changes_nothing(store: Store) -> None:
    store.log("again", DONE)
    before = store.run("again")
    assert "1 unchanged" in store.log("again", DONE)
    after = store.run("again")
    assert (after.info.run_id, after.data.tags) == (before.info.run_id, before.data.tags)
    assert len(store.points(after, "macro_f1")) == 1


def test_a_failure_is_a_failed_run_and_a_later_success_takes_its_place(store: Store) -> None:
    failed = changed(state="failed", metrics={}, curves={}, tags={"state": "failed", "error.kind": "oom_gpu"})
    store.log("failed", failed)
    run = store.run("failed")
    assert (run.info.status, run.data.metrics, run.data.tags["sft.error.kind"]) == ("FAILED", {}, "oom_gpu")
    assert "1 updated" in store.log("failed", changed(tags={"state": "done"}))
    later = store.run("failed")
    assert (later.info.run_id, later.info.status) == (run.info.run_id, "FINISHED")
    assert later.data.metrics["macro_f1"] == 0.75
    assert "sft.error.kind" not in later.data.tags


@pytest.mark.parametrize(
    ("state", "status"),
    [("predicted", "FINISHED"), ("timeout", "FAILED"), ("damaged", "FAILED"), ("interrupted", "KILLED"),
     ("running", "RUNNING")],
)  # fmt: skip
def test_every_state_has_a_status(store: Store, state: str, status: str) -> None:
    store.log(f"state {state}", changed(state=state))
    assert store.run(f"state {state}").info.status == status


@pytest.mark.parametrize(
    "other",
    [
        changed(params={"lora.r": 16}),
        changed(curves={"train/loss": (Point(1, 9.0),)}),
        changed(metrics={}, state="failed"),
    ],
)
def test_what_cannot_be_taken_back_makes_a_new_run(store: Store, other: TrackedExperiment) -> None:
    name = f"replaced {other.state} {len(other.params)} {len(other.curves['train/loss'])}"
    store.log(name, DONE)
    first = store.run(name)
    store.log(name, other)
    second = store.run(name)
    assert second.info.run_id != first.info.run_id
    assert [run.info.run_id for run in store.runs(name, view=2)] == [first.info.run_id]
    assert second.data.metrics.get("macro_f1") == other.metrics.get("macro_f1")
    assert store.points(second, "train/loss") == [*other.curves["train/loss"]]


def test_metrics_that_changed_and_names_that_came_are_added_to_the_run(store: Store) -> None:
    store.log("added", DONE)
    first = store.run("added")
    tags = {"state": "done", "names": '["new", "lora/pissa"]'}
    store.log("added", changed(name="new", metrics=DONE.metrics | {"macro_f1": 0.5}, tags=tags, ended=2000.0))
    second = store.run("added")
    assert (second.info.run_id, second.info.run_name) == (first.info.run_id, "new")
    assert second.data.metrics["macro_f1"] == 0.5
    assert second.data.tags["sft.names"] == '["new", "lora/pissa"]'


def test_a_run_that_was_not_written_to_its_end_is_completed(store: Store) -> None:
    store.log("torn", DONE)
    run = store.run("torn")
    store.client.delete_tag(run.info.run_id, "sft.content")
    store.client.delete_tag(run.info.run_id, "sft.names")
    assert "1 updated" in store.log("torn", DONE)
    assert store.run("torn").data.tags["sft.names"] == DONE.tags["names"]


def test_more_than_fits_in_one_request_arrives(store: Store) -> None:
    params = {f"p{number}": number for number in range(250)}
    curve = tuple(Point(step, step / 7) for step in range(1, 1501))
    store.log("many", changed(params=params, curves={"train/loss": curve}))
    run = store.run("many")
    assert len(run.data.params) == 250
    assert store.points(run, "train/loss") == [*curve]


def test_tags_do_not_need_anything_beside_them(store: Store) -> None:
    store.log("bare", TrackedExperiment(id="b" * 16, name="bare", state="failed", tags={"state": "failed"}))
    assert store.run("bare").data.tags.items() >= {"sft.id": "b" * 16, "sft.state": "failed"}.items()


def test_an_experiment_that_was_deleted_there_is_not_brought_back(store: Store) -> None:
    store.log("deleted")
    store.client.delete_experiment(store.client.get_experiment_by_name("deleted").experiment_id)
    with pytest.raises(UserError, match=r"'deleted' was deleted there; .* MLFLOW_EXPERIMENT_NAME"):
        store.log("deleted", DONE)


def test_variables_name_another_experiment_and_store(store: Store, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv(STORE, f"sqlite:///{store.folder}/mlflow.db")
    monkeypatch.setenv(EXPERIMENT, "mine")
    monkeypatch.chdir(tmp_path)
    Mlflow().log(TrackedGrid("grid", (DONE,)), tmp_path / "elsewhere")
    assert store.run("mine").info.run_name == "lora/pissa"
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.slow
def test_telemetry_is_off_and_the_variables_are_as_before() -> None:
    code = """
import os
from sft.tracking.mlflow.store import quiet
with quiet():
    from mlflow.telemetry.client import get_telemetry_client
    from mlflow.telemetry.utils import is_telemetry_disabled
    assert is_telemetry_disabled()
assert get_telemetry_client() is None
assert "MLFLOW_DISABLE_TELEMETRY" not in os.environ
assert not is_telemetry_disabled(), "nothing else turns it off here"
"""
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "HOME") if name in os.environ}
    subprocess.run([sys.executable, "-c", code], check=True, env=kept | {"PYTHONPATH": os.pathsep.join(sys.path)})
