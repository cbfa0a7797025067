"""What a trainer's own run leaves in the store, however the training ends."""

import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sft.processes.signals import StopRequested
from sft.runs.files import ResultsFolder
from sft.tracking.mlflow.store import EXPERIMENT, STORE
from sft.tracking.mlflow.training import trainer_store

pytest.importorskip("mlflow")
pytest.importorskip("alembic")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> ResultsFolder:
    return ResultsFolder(tmp_path_factory.mktemp("results"))


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (STORE, EXPERIMENT):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "")  # mlflow sets it; in a stage it ends with the process


def report(name: str, error: BaseException | None = None) -> str:
    """As the callback of the trainer does it, which leaves what it logs to a thread; the id of its run."""
    import mlflow

    mlflow.set_experiment(os.environ[EXPERIMENT])
    run = mlflow.start_run(run_name=name)
    for step in range(1, 4):
        mlflow.log_metrics({"loss": 1 / step}, step=step, synchronous=False)
    if error is not None:
        raise error
    mlflow.end_run()
    return str(run.info.run_id)


def runs(results: ResultsFolder, experiment: str = "trainings") -> dict[str, Any]:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{results.mlflow_store}")
    found = client.search_runs([client.get_experiment_by_name(experiment).experiment_id])
    return {run.info.run_name: run for run in found}


def test_a_run_is_written_whole_when_the_training_ends(results: ResultsFolder) -> None:
    with trainer_store(results):
        run_id = report("whole")
    assert {name: os.environ.get(name) for name in (STORE, EXPERIMENT)} == {STORE: None, EXPERIMENT: None}
    run = runs(results)["whole"]
    assert (run.info.run_id, run.info.status, run.data.metrics["loss"]) == (run_id, "FINISHED", 1 / 3)
    assert run.info.artifact_uri.startswith(results.mlflow_artifacts.as_uri())


@pytest.mark.parametrize(("error", "status"), [(ValueError("x"), "FAILED"), (StopRequested(), "KILLED")])
def test_a_run_ends_as_its_training_does(results: ResultsFolder, error: BaseException, status: str) -> None:
    import mlflow

    with pytest.raises(type(error)), trainer_store(results):
        report(status, error)
    assert mlflow.active_run() is None
    run = runs(results)[status]
    assert (run.info.status, run.data.metrics["loss"]) == (status, 1 / 3)


def test_a_store_that_is_gone_does_not_hide_how_the_training_failed(
    results: ResultsFolder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import mlflow

    end_run = mlflow.end_run
    monkeypatch.setattr(mlflow, "end_run", lambda _: (end_run("FAILED"), 1 / 0))
    with caplog.at_level(logging.WARNING), pytest.raises(StopRequested), trainer_store(results):
        report("hidden", StopRequested())
    assert "ZeroDivisionError" in caplog.text


def test_the_user_s_own_store_and_experiment_stay(results: ResultsFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(EXPERIMENT, "mine")
    with trainer_store(results):
        report("named")
    assert "named" in runs(results, "mine")
    monkeypatch.setenv(STORE, f"sqlite:///{results.mlflow_store}")
    with trainer_store(ResultsFolder(Path("/nowhere"))):
        assert os.environ[STORE] == f"sqlite:///{results.mlflow_store}"


def test_points_that_are_lost_do_not_lose_the_training(
    results: ResultsFolder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import mlflow

    def fail() -> None:
        raise ConnectionError("gone")

    monkeypatch.setattr(mlflow, "flush_async_logging", fail)
    with caplog.at_level(logging.WARNING), trainer_store(results):
        report("lossy")
    assert "did not take all of the loss curve: ConnectionError: gone" in caplog.text


@pytest.mark.slow
def test_processes_that_open_a_new_store_at_once_all_get_it(tmp_path: Path) -> None:
    code = f"""
from pathlib import Path
from sft.runs.files import ResultsFolder
from sft.tracking.mlflow.store import open_experiment, open_store, quiet
results = ResultsFolder(Path({str(tmp_path)!r}))
with quiet():
    print(open_experiment(open_store(f"sqlite:///{{results.mlflow_store}}"), "one", results))
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code]
    children = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) for _ in range(4)]
    answers = [child.communicate()[0] for child in children]
    assert [child.returncode for child in children] == [0] * 4
    assert len(set(answers)) == 1
